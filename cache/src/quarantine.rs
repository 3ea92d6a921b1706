//! Withdrawn results: a mark beside a result says that it does not count, who said so and why. A result is never changed; who
//! takes the mark away gives the result back.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::Noted;
use crate::records::{QUARANTINED, name, read_if_there};
use crate::{ActionResult, Cache, CacheError, Key, record};

/// Why a result does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// In a sentence; may be empty.
    pub reason: String,
    /// Who withdrew it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Cache {
    /// Withdraws a result, so that it does not count. False: it was withdrawn before.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn quarantine(&self, key: &Key, number: u64, withdrawal: &Withdrawal) -> Result<bool, CacheError> {
        let path = self.mark(key, number);
        let bytes = serde_json::to_vec_pretty(withdrawal)?;
        let _changing = self.change(key)?;
        record::create(&path, &bytes).map_err(CacheError::io("write", &path))
    }

    /// Gives a withdrawn result back. False: it was not withdrawn.
    ///
    /// # Errors
    /// If the mark cannot be removed.
    pub fn give_back(&self, key: &Key, number: u64) -> Result<bool, CacheError> {
        let path = self.mark(key, number);
        let _changing = self.change(key)?;
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(CacheError::io("remove", &path)(error)),
        }
        let folder = self.inner.layout.results_of(key);
        record::sync_folder(&folder).map_err(CacheError::io("sync", &folder))?;
        if let Some(result) = self.numbered(key, number)? {
            self.inner.index.note_results(&[Noted::of(&result)]);
        }
        Ok(true)
    }

    /// Why the newest withdrawn result of a key does not count, if one was withdrawn.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn withdrawal(&self, key: &Key) -> Result<Option<Withdrawal>, CacheError> {
        match self.numbers(key)?.quarantined.into_iter().max() {
            Some(number) => self.read_mark(key, number),
            None => Ok(None),
        }
    }

    /// All readable results of a key, newest first, each with why it does not count if it was withdrawn.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn every_result(&self, key: &Key) -> Result<Vec<(ActionResult, Option<Withdrawal>)>, CacheError> {
        let numbers = self.numbers(key)?;
        // What a collection of garbage has condemned may still be given back.
        let condemned = numbers.condemned.iter().map(|(number, _)| *number);
        let of_all: BTreeSet<u64> = numbers.results.iter().copied().chain(condemned).collect();
        let mut all = Vec::with_capacity(of_all.len());
        for number in of_all.into_iter().rev() {
            let result = match numbers.generation(number) {
                Some(generation) => self.condemned(key, number, generation)?,
                None => self.numbered(key, number)?,
            };
            let Some(result) = result else { continue };
            let withdrawal = match numbers.quarantined.contains(&number) {
                true => self.read_mark(key, number)?,
                false => None,
            };
            all.push((result, withdrawal));
        }
        Ok(all)
    }

    fn mark(&self, key: &Key, number: u64) -> Utf8PathBuf {
        self.inner.layout.results_of(key).join(format!("{}{QUARANTINED}", name(number)))
    }

    /// What a mark says. It counts whatever it says.
    fn read_mark(&self, key: &Key, number: u64) -> Result<Option<Withdrawal>, CacheError> {
        let bytes = read_if_there(&self.mark(key, number))?;
        Ok(bytes.map(|bytes| {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Withdrawal {
                reason: String::from_utf8_lossy(&bytes).into_owned(),
                by: String::new(),
                at: Timestamp::UNIX_EPOCH,
            })
        }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::records::tests::new_result;
    use crate::scene::Scene;
    use crate::{Roots, Steps};

    pub(crate) fn broken_machine() -> Withdrawal {
        Withdrawal {
            reason: "made on a broken machine".to_owned(),
            by: "ada".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    const RECIPE: &[u8] = b"recipe";

    #[test]
    fn a_withdrawn_result_does_not_count_until_it_is_given_back() {
        let scene = Scene::new();
        let cache = &scene.cache;
        let key = Key::of_recipe(RECIPE);
        let first = cache.publish(RECIPE, new_result(0, cache.put(b"one").unwrap())).unwrap();
        let found = || cache.results_of("story", Steps::Id("train"), 9).unwrap().count();
        assert_eq!(found(), 1);
        assert!(cache.quarantine(&key, 1, &broken_machine()).unwrap());
        assert!(!cache.quarantine(&key, 1, &broken_machine()).unwrap(), "once is enough");
        assert_eq!((cache.result(&key).unwrap(), found()), (None, 0));
        assert_eq!(cache.withdrawal(&key).unwrap(), Some(broken_machine()));
        assert_eq!(cache.every_result(&key).unwrap(), [(first.clone(), Some(broken_machine()))]);

        assert!(cache.give_back(&key, 1).unwrap());
        assert!(!cache.give_back(&key, 1).unwrap());
        assert_eq!((cache.result(&key).unwrap(), found()), (Some(first), 1));
        assert_eq!(cache.withdrawal(&key).unwrap(), None);
    }

    #[test]
    fn who_remembers_results_hears_of_both() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        scene.cache.publish(RECIPE, new_result(0, scene.cache.put(b"one").unwrap())).unwrap();
        for change in 0..2 {
            let mark = scene.cache.records_mark().unwrap();
            match change {
                0 => scene.another_process().quarantine(&key, 1, &broken_machine()).unwrap(),
                _ => scene.another_process().give_back(&key, 1).unwrap(),
            };
            assert_eq!(scene.cache.keys_changed_since(&mark), Some(vec![key]));
        }
    }

    #[test]
    fn a_mark_of_an_earlier_version_counts() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        scene.cache.publish(RECIPE, new_result(0, scene.cache.put(b"one").unwrap())).unwrap();
        record::create(&scene.cache.mark(&key, 1), b"a reason alone").unwrap();
        assert_eq!(scene.cache.result(&key).unwrap(), None);
        assert_eq!(scene.cache.withdrawal(&key).unwrap().unwrap().reason, "a reason alone");
    }

    #[test]
    fn gc_takes_the_content_of_what_was_withdrawn() {
        let scene = Scene::new();
        let cache = &scene.cache;
        let key = Key::of_recipe(RECIPE);
        let bad = cache.put(b"bad").unwrap();
        cache.publish(RECIPE, new_result(0, bad.clone())).unwrap();
        cache.quarantine(&key, 1, &broken_machine()).unwrap();
        cache.gc(&cache.gc_plan(&Roots { keys: vec![key], ..Roots::default() }).unwrap()).unwrap();
        assert!(!cache.available(&bad).unwrap());
        assert_eq!(cache.every_result(&key).unwrap().len(), 1, "the record of a kept key stays");
        cache.gc(&cache.gc_plan(&Roots::default()).unwrap()).unwrap();
        assert!(cache.every_result(&key).unwrap().is_empty());
        assert_eq!(cache.withdrawal(&key).unwrap(), None);
    }
}
