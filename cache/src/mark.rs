//! The log of changed keys: which keys have got a result, or lost one, so that who remembers results can ask what to forget.
//!
//! A key is written to it before its record changes, both under one lock of the kernel's on the log, which dies with its holder. So
//! who takes a mark and looks a key up afterwards has seen all that happened before the mark. Collecting garbage begins a new
//! log, and so does another boot, for the log is not synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::{Cache, CacheError, Digest, Key};

/// The length of a key in the log.
const WIDTH: u64 = 32;

/// The state that the records of the cache had at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsMark {
    boot: [u8; 32],
    device: u64,
    inode: u64,
    length: u64,
    /// Inode and birth of the folder of results: whoever removes it by hand is noticed.
    results: (u64, u128),
}

/// Held while the records of a key change.
#[derive(Debug)]
pub(crate) struct Changing {
    /// None where there are no locks: then there are no marks either.
    _log: Option<File>,
}

impl Cache {
    /// The state of the records now; none where it cannot be told later what changed.
    #[must_use]
    pub fn records_mark(&self) -> Option<RecordsMark> {
        let boot = boot().filter(|_| self.inner.is_local)?;
        let log = open(&self.inner.layout.changes()).ok()?;
        log.lock_shared().ok()?;
        let facts = log.metadata().ok()?;
        let results = self.results_folder()?;
        Some(RecordsMark { boot, device: facts.dev(), inode: facts.ino(), length: facts.len(), results })
    }

    /// The keys that have got a result or lost one since, in no order; none if that cannot be told. Results that somebody took
    /// out of the state folder by hand are not among them.
    #[must_use]
    pub fn keys_changed_since(&self, mark: &RecordsMark) -> Option<Vec<Key>> {
        let boot = boot().filter(|_| self.inner.is_local)?;
        let mut log = File::open(self.inner.layout.changes()).ok()?;
        log.lock_shared().ok()?;
        let facts = log.metadata().ok()?;
        let is_same = (boot, facts.dev(), facts.ino()) == (mark.boot, mark.device, mark.inode)
            && self.results_folder() == Some(mark.results);
        if !is_same || facts.len() < mark.length || !facts.len().is_multiple_of(WIDTH) {
            return None;
        }
        log.seek(SeekFrom::Start(mark.length)).ok()?;
        let mut bytes = Vec::new();
        log.take(facts.len() - mark.length).read_to_end(&mut bytes).ok()?;
        let (keys, rest) = bytes.as_chunks::<{ WIDTH as usize }>();
        rest.is_empty().then(|| keys.iter().map(|key| Key::from_bytes(*key)).collect())
    }

    /// What tells the folder of results from one that was made later in its place; it is made if it is not there.
    fn results_folder(&self) -> Option<(u64, u128)> {
        let folder = self.inner.layout.results();
        let facts = std::fs::create_dir_all(&folder).and_then(|()| std::fs::metadata(&folder)).ok()?;
        let birth = facts.created().ok().and_then(|birth| birth.duration_since(std::time::UNIX_EPOCH).ok());
        Some((facts.ino(), birth.map_or(0, |birth| birth.as_nanos())))
    }

    /// Says that the records of a key are about to change; the value is held until they have.
    pub(crate) fn change(&self, key: &Key) -> Result<Changing, CacheError> {
        let path = self.inner.layout.changes();
        if !self.inner.is_local {
            return Ok(Changing { _log: None });
        }
        let write = || -> io::Result<File> {
            loop {
                let mut log = open(&path)?;
                log.lock()?;
                // Somebody may have begun a new one while this one was waited for.
                if std::fs::metadata(&path)
                    .is_ok_and(|named| named.ino() == log.metadata().map_or(0, |log| log.ino()))
                {
                    log.write_all(key.as_bytes())?;
                    return Ok(log);
                }
            }
        };
        write().map(|log| Changing { _log: Some(log) }).map_err(CacheError::io("write", &path))
    }

    /// Begins a new log, so that nobody believes what he remembers.
    pub(crate) fn forget_changes(&self) -> Result<(), CacheError> {
        let path = self.inner.layout.changes();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

fn open(path: &Utf8Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// What tells this boot of the machine from every other; none where that cannot be known.
pub(crate) fn boot() -> Option<[u8; 32]> {
    let id = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    Some(*Digest::of(&id).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::tests::broken_machine;
    use crate::records::tests::new_result;
    use crate::scene::Scene;

    fn key(number: u8) -> Key {
        Key::of_recipe(&[number])
    }

    fn publish(cache: &Cache, number: u8) {
        let artifact = cache.put(&[number]).unwrap();
        cache.publish(&[number], new_result(0, artifact)).unwrap();
    }

    #[test]
    fn a_mark_tells_what_changed_whoever_changed_it() {
        let scene = Scene::new();
        publish(&scene.cache, 1);
        let mark = scene.cache.records_mark().unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), Some(Vec::new()));
        publish(&scene.another_process(), 2);
        scene.another_process().quarantine(&key(1), 1, &broken_machine()).unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), Some(vec![key(2), key(1)]));
        let later = scene.cache.records_mark().unwrap();
        assert_eq!(scene.another_process().keys_changed_since(&later), Some(Vec::new()));
    }

    #[test]
    fn after_a_collection_nothing_is_believed() {
        let scene = Scene::new();
        publish(&scene.cache, 1);
        let mark = scene.cache.records_mark().unwrap();
        let plan = scene.cache.gc_plan(&crate::Roots::default()).unwrap();
        scene.cache.gc(&plan).unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), None);
        publish(&scene.cache, 2);
        assert_eq!(scene.cache.keys_changed_since(&mark), None);
        let mark = scene.cache.records_mark().unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), Some(Vec::new()));
    }

    #[test]
    fn a_log_that_is_cut_or_gone_tells_nothing() {
        let scene = Scene::new();
        publish(&scene.cache, 1);
        let mark = scene.cache.records_mark().unwrap();
        let log = scene.cache.inner.layout.changes();
        let whole = std::fs::read(&log).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&log, &whole[..cut]).unwrap();
            assert_eq!(scene.cache.keys_changed_since(&mark), None, "cut at {cut}");
        }
        std::fs::remove_file(&log).unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), None);
    }

    #[test]
    fn results_that_were_removed_as_a_whole_are_noticed() {
        let scene = Scene::new();
        publish(&scene.cache, 1);
        let mark = scene.cache.records_mark().unwrap();
        std::fs::remove_dir_all(scene.cache.inner.layout.results()).unwrap();
        assert_eq!(scene.cache.keys_changed_since(&mark), None);
    }

    #[test]
    fn a_mark_of_another_boot_tells_nothing() {
        let scene = Scene::new();
        publish(&scene.cache, 1);
        let mark = RecordsMark { boot: [0; 32], ..scene.cache.records_mark().unwrap() };
        assert_eq!(scene.cache.keys_changed_since(&mark), None);
    }
}
