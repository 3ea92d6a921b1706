//! How far a transfer is: counters that whoever shows them reads at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What went over the wire, and what is left. Shared by all that a process does with a store.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    received: AtomicU64,
    requests: AtomicU64,
    contents_sent: AtomicU64,
    contents_received: AtomicU64,
    results_found: AtomicU64,
    results_sent: AtomicU64,
    to_read: AtomicU64,
    read: AtomicU64,
}

/// What went over the wire so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Bytes that were sent, as they are stored.
    pub sent: u64,
    /// Bytes that were received, as they are stored.
    pub received: u64,
    /// How many requests were made.
    pub requests: u64,
    /// How many contents were sent.
    pub contents_sent: u64,
    /// How many contents were received.
    pub contents_received: u64,
    /// How many results were found there.
    pub results_found: u64,
    /// How many results were sent.
    pub results_sent: u64,
    /// Bytes of contents, as they are used, that have been dealt with.
    pub done: u64,
    /// Bytes of contents, as they are used, that are to be dealt with.
    pub total: u64,
}

impl Progress {
    /// What went over so far.
    #[must_use]
    pub fn transfer(&self) -> Transfer {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Transfer {
            sent: read(&self.sent),
            received: read(&self.received),
            requests: read(&self.requests),
            contents_sent: read(&self.contents_sent),
            contents_received: read(&self.contents_received),
            results_found: read(&self.results_found),
            results_sent: read(&self.results_sent),
            done: read(&self.read),
            total: read(&self.to_read),
        }
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn content_sent(&self) {
        self.contents_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn contents_received(&self, count: usize) {
        self.contents_received.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn results_found(&self, count: u64) {
        self.results_found.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn results_sent(&self, count: u64) {
        self.results_sent.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn expect(&self, bytes: u64) {
        self.to_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn done(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }
}
