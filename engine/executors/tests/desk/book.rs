//! A ledger in memory that outlives each desk, as a folder outlives a process.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tidemill_executors::{Batch, BatchId, Ledger};

/// What is written down.
pub(crate) type Pages = Arc<Mutex<BTreeMap<BatchId, (Arc<Batch>, Vec<String>)>>>;

/// The ledger of one process.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) pages: Pages,
    /// What is dead writes nothing.
    dead: AtomicBool,
}

impl Book {
    /// The ledger of a process that finds these pages.
    pub(crate) fn of(pages: &Pages) -> Arc<Self> {
        Arc::new(Self { pages: Arc::clone(pages), dead: AtomicBool::new(false) })
    }

    /// Nothing can be written any more.
    pub(crate) fn die(&self) {
        // What is being written is written.
        let _pages = self.pages.lock().unwrap();
        self.dead.store(true, Ordering::SeqCst);
    }

    /// The batches that are written down.
    pub(crate) fn batches(&self) -> Vec<(Arc<Batch>, Vec<String>)> {
        self.pages.lock().unwrap().values().cloned().collect()
    }
}

impl Ledger for Book {
    fn note(&self, batch: &Batch, labels: &[String]) -> io::Result<()> {
        let mut pages = self.pages.lock().unwrap();
        if self.dead.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is full"));
        }
        assert_eq!(batch.jobs.len(), labels.len());
        let before = pages.insert(batch.id.clone(), (Arc::new(batch.clone()), labels.to_vec()));
        assert!(before.is_none(), "{} is noted twice", batch.id);
        Ok(())
    }

    fn erase(&self, batch: &BatchId) {
        let mut pages = self.pages.lock().unwrap();
        if !self.dead.load(Ordering::SeqCst) {
            pages.remove(batch);
        }
    }
}
