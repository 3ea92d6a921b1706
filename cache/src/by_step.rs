//! The action results of a step, whoever made them: found through the index, which is made anew from the results if it is gone.

use crate::ahead::Answer;
use crate::index::Noted;
use crate::{ActionResult, Cache, CacheError, Key};

/// Where the index remembers that it knows of all results.
const SPACE: &str = "results";
const COMPLETE: &[u8] = b"complete";
/// So many entries are looked at for each result that is wanted: some may be of results that are gone.
const TRIES: usize = 4;

/// Which steps of a pipeline are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps<'a> {
    /// The one with this id.
    Id(&'a str),
    /// All combinations of the matrix of the step with this name.
    Combinations(&'a str),
}

impl Steps<'_> {
    /// The first id that is meant, and the first one after it that is not.
    fn range(self) -> (String, String) {
        match self {
            Self::Id(id) => (id.to_owned(), format!("{id}\0")),
            // `\` comes right after `[`.
            Self::Combinations(name) => (format!("{name}["), format!("{name}\\")),
        }
    }
}

impl Cache {
    /// The newest results of these steps of a pipeline, one per key, the newest first; at most `limit` of them. Each is read
    /// when it is asked for.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn results_of(
        &self,
        pipeline: &str,
        steps: Steps<'_>,
        limit: usize,
    ) -> Result<impl Iterator<Item = Result<ActionResult, CacheError>> + use<'_>, CacheError> {
        let (from, before) = steps.range();
        let entries = limit.saturating_mul(TRIES);
        let index = &self.inner.index;
        let is_complete = || -> Result<bool, CacheError> {
            Ok(self.recall(SPACE, COMPLETE).is_some() || self.index_results()?)
        };
        let known = match index.has_results(pipeline, &from, &before) {
            Answer::Known(false) => Some(Vec::new()),
            answer if is_complete()? => {
                if answer == Answer::ReadAll {
                    index.read_steps(pipeline);
                }
                index.results(pipeline, &from, &before, entries)
            }
            _ => None,
        };
        let keys = match known {
            Some(keys) => keys,
            None => self.scan_results(pipeline, &(from..before))?,
        };
        let result = |key: Key| match self.result(&key) {
            Ok(None) => {
                self.inner.index.forget_results(&[key]);
                None
            }
            found => found.transpose(),
        };
        Ok(keys.into_iter().filter_map(result).take(limit))
    }

    /// The pipelines and steps that had results of a key, as far as the index remembers.
    #[must_use]
    pub fn steps_of(&self, key: &Key) -> Vec<(String, String)> {
        self.inner.index.steps_of(key)
    }

    /// Tells the index of all results that there are; whether it took them.
    fn index_results(&self) -> Result<bool, CacheError> {
        let results = self.all_results()?;
        let noted: Vec<Noted<'_>> = results.iter().map(Noted::of).collect();
        let done = self.inner.index.note_results(&noted);
        if done {
            self.remember(SPACE, COMPLETE, b"");
        }
        Ok(done)
    }

    /// Without an index: every result is read.
    fn scan_results(&self, pipeline: &str, steps: &std::ops::Range<String>) -> Result<Vec<Key>, CacheError> {
        let mut results = self.all_results()?;
        results.retain(|result| result.pipeline == pipeline && steps.contains(&result.step));
        results.sort_by_key(|result| (std::cmp::Reverse(result.finished), result.key));
        Ok(results.into_iter().map(|result| result.key).collect())
    }

    /// The newest result of every key.
    fn all_results(&self) -> Result<Vec<ActionResult>, CacheError> {
        let keys: Vec<Key> = self.keys_with_results()?;
        keys.iter().filter_map(|key| self.result(key).transpose()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::NewResult;
    use crate::quarantine::tests::broken_machine;
    use crate::records::tests::new_result;
    use crate::scene::Scene;

    fn publish(cache: &Cache, step: &str, number: u8) -> Key {
        let key = Key::of_recipe(&[number]);
        let artifact = cache.put(&[number]).unwrap();
        let finished = jiff::Timestamp::from_second(i64::from(number)).unwrap();
        cache
            .publish(&[number], NewResult { step: step.to_owned(), finished, ..new_result(0, artifact) })
            .unwrap();
        key
    }

    fn keys(cache: &Cache, steps: Steps<'_>, limit: usize) -> Vec<Key> {
        let results = cache.results_of("story", steps, limit).unwrap();
        results.map(|result| result.unwrap().key).collect()
    }

    #[test]
    fn the_results_of_a_step_are_found_newest_first() {
        let scene = Scene::new();
        let first = publish(&scene.cache, "train", 1);
        publish(&scene.cache, "trainer", 2);
        let fold = publish(&scene.cache, "train[fold=1]", 3);
        let last = publish(&scene.another_process(), "train", 4);
        assert_eq!(keys(&scene.cache, Steps::Id("train"), 9), [last, first]);
        assert_eq!(keys(&scene.cache, Steps::Id("train"), 1), [last]);
        assert_eq!(keys(&scene.cache, Steps::Combinations("train"), 9), [fold]);
        assert!(scene.cache.results_of("other", Steps::Id("train"), 9).unwrap().next().is_none());
    }

    #[test]
    fn the_steps_of_a_key_are_remembered() {
        let scene = Scene::new();
        let key = publish(&scene.cache, "train", 1);
        let steps = || scene.another_process().steps_of(&key);
        assert_eq!(steps(), [("story".to_owned(), "train".to_owned())]);
        fs::remove_dir_all(scene.cache.inner.layout.results()).unwrap();
        assert_eq!(steps().len(), 1, "also if the result is gone");
    }

    #[test]
    fn a_result_that_is_gone_or_withdrawn_is_none() {
        let scene = Scene::new();
        let (first, last) = (publish(&scene.cache, "train", 1), publish(&scene.cache, "train", 2));
        scene.cache.quarantine(&last, 1, &broken_machine()).unwrap();
        assert_eq!(keys(&scene.cache, Steps::Id("train"), 9), [first]);
        fs::remove_dir_all(scene.cache.inner.layout.results()).unwrap();
        assert!(keys(&scene.cache, Steps::Id("train"), 9).is_empty());
    }

    #[test]
    fn without_the_index_it_is_the_same() {
        let scene = Scene::new();
        let made = [publish(&scene.cache, "train", 2), publish(&scene.cache, "train", 1)];
        let remove = || {
            for name in ["index.db", "index.db-wal", "index.db-shm"] {
                drop(fs::remove_file(scene.cache.state().join(name)));
            }
        };
        remove();
        assert_eq!(keys(&scene.another_process(), Steps::Id("train"), 9), made, "it was made anew");
        remove();
        fs::create_dir(scene.cache.state().join("index.db")).unwrap();
        assert_eq!(keys(&scene.another_process(), Steps::Id("train"), 9), made, "all results were read");
        assert_eq!(keys(&scene.another_process(), Steps::Id("train"), 1), made[..1]);
    }
}
