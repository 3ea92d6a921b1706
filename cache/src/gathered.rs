//! What a run tells the index, gathered in memory until it is written in one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::index::Noted;
use crate::stamp::Stamp;
use crate::{Digest, Key};

/// So many rows are written at once.
const MUCH: usize = 2000;
/// Rows do not stay unwritten for longer while more are added.
const LONG: Duration = Duration::from_millis(250);

/// Rows that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// How many want rows to be gathered; while none does, they are written at once.
    pub(crate) gatherers: usize,
    rows: Rows,
    /// When rows were written last.
    written: Option<Instant>,
}

/// The rows themselves.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) stamps: BTreeMap<(u64, u64), (Stamp, Digest)>,
    pub(crate) values: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    /// By pipeline and step: the keys of results, and when they were made.
    results: BTreeMap<(String, String), BTreeMap<Key, i64>>,
    /// How many results that are.
    count: usize,
}

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.stamps.is_empty() && self.values.is_empty() && self.results.is_empty()
    }

    /// Pipeline, step, key and time of each result.
    pub(crate) fn results(&self) -> impl Iterator<Item = (&str, &str, Key, i64)> {
        self.results.iter().flat_map(|((pipeline, step), keys)| {
            keys.iter().map(|(key, finished)| (pipeline.as_str(), step.as_str(), *key, *finished))
        })
    }
}

impl Gathered {
    /// Takes stamps; false if nobody gathers.
    pub(crate) fn keep(&mut self, entries: &[(Stamp, Digest)]) -> bool {
        if self.gatherers > 0 {
            let entry = |entry: &(Stamp, Digest)| ((entry.0.device, entry.0.inode), *entry);
            self.rows.stamps.extend(entries.iter().map(entry));
        }
        self.gatherers > 0
    }

    /// Takes a value; false if nobody gathers.
    pub(crate) fn remember(&mut self, space: &str, key: &[u8], value: &[u8]) -> bool {
        if self.gatherers > 0 {
            self.rows.values.insert((space.to_owned(), key.to_vec()), value.to_vec());
        }
        self.gatherers > 0
    }

    /// Takes results; false if nobody gathers.
    pub(crate) fn note(&mut self, results: &[Noted<'_>]) -> bool {
        if self.gatherers > 0 {
            for (pipeline, step, key, finished) in results.iter().map(Noted::row) {
                let of_step = self.rows.results.entry((pipeline.to_owned(), step.to_owned())).or_default();
                let newest = of_step.entry(key).or_insert(finished);
                *newest = finished.max(*newest);
                self.rows.count += 1;
            }
        }
        self.gatherers > 0
    }

    /// What is gathered of these inodes, if it is of all of them.
    pub(crate) fn find(&self, stamps: &[Stamp]) -> Option<Vec<Option<(Stamp, Digest)>>> {
        if self.rows.stamps.is_empty() {
            return None;
        }
        let find = |stamp: &Stamp| self.rows.stamps.get(&(stamp.device, stamp.inode)).copied().map(Some);
        stamps.iter().map(find).collect()
    }

    pub(crate) fn recall(&self, space: &str, key: &[u8]) -> Option<Vec<u8>> {
        if self.rows.values.is_empty() {
            return None;
        }
        self.rows.values.get(&(space.to_owned(), key.to_vec())).cloned()
    }

    /// The gathered results of steps from this name on, and before that one: when they finished, and their keys.
    pub(crate) fn results(&self, pipeline: &str, from: &str, before: &str) -> Vec<(i64, Key)> {
        let bound = |step: &str| (pipeline.to_owned(), step.to_owned());
        let steps = self.rows.results.range(bound(from)..bound(before));
        steps.flat_map(|(_, keys)| keys.iter().map(|(key, finished)| (*finished, *key))).collect()
    }

    /// Whether it is time to write.
    pub(crate) fn is_much(&self) -> bool {
        let count = self.rows.stamps.len() + self.rows.values.len() + self.rows.count;
        count >= MUCH || self.written.is_none_or(|written| written.elapsed() > LONG)
    }

    pub(crate) fn take(&mut self) -> Rows {
        self.written = Some(Instant::now());
        std::mem::take(&mut self.rows)
    }
}
