//! What is asked of an engine again and again until it is so: gathered, one request at a time.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::patience::wait;

/// The most that one request asks for.
const MOST: usize = 200;

/// Things that are to be done, each at its time.
#[derive(Debug)]
pub(super) struct Repeated<T> {
    all: BTreeSet<T>,
    due: BTreeSet<(Instant, T)>,
    under_way: bool,
    failures: u32,
}

impl<T: Ord + Clone> Repeated<T> {
    pub(super) fn new() -> Self {
        Self { all: BTreeSet::new(), due: BTreeSet::new(), under_way: false, failures: 0 }
    }

    /// This is to be done from then on.
    pub(super) fn add(&mut self, what: T, at: Instant) {
        if self.all.insert(what.clone()) {
            self.due.insert((at, what));
        }
    }

    pub(super) fn contains(&self, what: &T) -> bool {
        self.all.contains(what)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When there is something to do.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.due.first().filter(|_| !self.under_way).map(|(at, _)| *at)
    }

    /// What is to be done now. What is not wanted any more is dropped.
    pub(super) fn take(&mut self, now: Instant, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        while !self.under_way && taken.len() < MOST && self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, what)) = self.due.pop_first() else { break };
            if wanted(&what) {
                taken.push(what);
            } else {
                self.all.remove(&what);
            }
        }
        self.under_way |= !taken.is_empty();
        taken
    }

    /// The request failed: all of it is done again.
    pub(super) fn failed(&mut self, taken: Vec<T>, now: Instant) {
        self.under_way = false;
        self.failures += 1;
        let at = now + wait(self.failures);
        self.due.extend(taken.into_iter().map(|what| (at, what)));
    }

    /// The request succeeded; what it asked for is seen to be so later, or is asked for again then.
    pub(super) fn asked(&mut self, taken: Vec<T>, again: Instant) {
        self.under_way = false;
        self.failures = 0;
        self.due.extend(taken.into_iter().map(|what| (again, what)));
    }

    /// The request succeeded, and what it asked for is so.
    pub(super) fn finished(&mut self, taken: &[T]) {
        self.under_way = false;
        self.failures = 0;
        for what in taken {
            self.all.remove(what);
        }
    }
}
