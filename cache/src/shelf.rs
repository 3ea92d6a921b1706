//! A shelf: files and folders that this process used up and keeps for the next use, each under a name of its own in one folder. They
//! go with the process.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::Utf8PathBuf;

use crate::discard::remove;

/// Things that lie ready, each with what is known of it.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    folder: Utf8PathBuf,
    /// How their names begin.
    word: &'static str,
    /// How many are kept at most.
    most: usize,
    /// Tells its names from those of a process with the same id in another container, or on another host.
    token: u64,
    items: Mutex<Items<T>>,
}

#[derive(Debug)]
struct Items<T> {
    ready: Vec<(Utf8PathBuf, T)>,
    named: u64,
}

impl<T> Shelf<T> {
    /// An empty shelf.
    pub(crate) fn new(folder: Utf8PathBuf, word: &'static str, most: usize) -> Self {
        let token = RandomState::new().hash_one(std::process::id());
        Self { folder, word, most, token, items: Mutex::new(Items { ready: Vec::new(), named: 0 }) }
    }

    /// Takes the last one that fits.
    pub(crate) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<(Utf8PathBuf, T)> {
        let ready = &mut self.items().ready;
        let place = ready.iter().rposition(|(_, item)| fits(item))?;
        Some(ready.swap_remove(place))
    }

    /// A name for one more; none if there are enough.
    pub(crate) fn room(&self) -> Option<Utf8PathBuf> {
        // The lock is taken twice, not held: making the name takes it too.
        let has_room = self.items().ready.len() < self.most;
        has_room.then(|| self.name())
    }

    /// A name in the folder that nobody else uses.
    pub(crate) fn name(&self) -> Utf8PathBuf {
        let mut items = self.items();
        items.named += 1;
        self.folder.join(format!("{}-{:016x}-{}", self.word, self.token, items.named))
    }

    /// Keeps one that lies at this path.
    pub(crate) fn put(&self, path: Utf8PathBuf, item: T) {
        self.items().ready.push((path, item));
    }

    /// How many lie ready.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items().ready.len()
    }

    fn items(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Shelf<T> {
    fn drop(&mut self) {
        // What cannot be removed is a leftover for gc.
        self.items().ready.iter().for_each(|(path, _)| drop(remove(path)));
    }
}
