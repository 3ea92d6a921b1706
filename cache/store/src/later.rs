//! Sending results beside what else goes on: a thread of its own takes what is made and sends it, some at a time.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidemill_cache::{ActionResult, Cache};

use crate::error::StoreError;
use crate::push::{Pushed, Pushing};
use crate::store::Store;

/// Results wait for others so long, so that small contents share a pack.
const GATHER: Duration = Duration::from_secs(5);
/// With so many, none waits any longer.
const MANY: usize = 500;

/// Sends results beside what else goes on.
#[derive(Debug)]
pub struct Later {
    results: mpsc::Sender<ActionResult>,
    pushing: Pushing,
    worker: JoinHandle<Result<Pushed, StoreError>>,
}

impl Store {
    /// Begins to send results beside what else goes on.
    #[must_use]
    pub fn send_later(&self, cache: &Cache) -> Later {
        let (results, receiver) = mpsc::channel();
        let pushing = Pushing::default();
        let (store, cache, stop) = (self.clone(), cache.clone(), pushing.clone());
        let worker = std::thread::spawn(move || work(&store, &cache, &receiver, &stop));
        Later { results, pushing, worker }
    }
}

impl Later {
    /// Sends a result soon.
    pub fn send(&self, result: ActionResult) {
        // If the store was lost, nobody takes it: it stays here.
        drop(self.results.send(result));
    }

    /// What stops it.
    #[must_use]
    pub fn pushing(&self) -> Pushing {
        self.pushing.clone()
    }

    /// Waits until all is sent: what was, or why not all could be.
    ///
    /// # Errors
    /// As [`Store::push`].
    pub fn finish(self) -> Result<Pushed, StoreError> {
        let Self { results, worker, .. } = self;
        drop(results);
        worker.join().expect("sending does not panic")
    }
}

fn work(
    store: &Store,
    cache: &Cache,
    results: &mpsc::Receiver<ActionResult>,
    pushing: &Pushing,
) -> Result<Pushed, StoreError> {
    let mut all = Pushed::default();
    while let Ok(first) = results.recv() {
        let mut some = vec![first];
        let until = Instant::now() + GATHER;
        while some.len() < MANY
            && let Ok(next) = results.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            some.push(next);
        }
        let pushed = store.push(cache, some, pushing)?;
        all.results += pushed.results;
        all.there += pushed.there;
        all.left.extend(pushed.left);
    }
    Ok(all)
}
