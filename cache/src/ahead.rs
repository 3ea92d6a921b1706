//! Reading ahead: what is asked for one by one while a run goes on is read at once, as soon as it is asked for often.
//!
//! A run of many steps asks for three values of each, and for its earlier results; one query for all of a pipeline costs as much as
//! some dozens for one. What other processes write meanwhile is not seen: these are memories that may be lost at any time.

use std::collections::{BTreeSet, HashMap};

use crate::index::Index;

/// So many are asked for before all are read.
const OFTEN: u32 = 64;
const STEPS: &str = "SELECT DISTINCT step FROM result WHERE pipeline = ?1";

/// Values by their keys.
type Values = HashMap<Vec<u8>, Vec<u8>>;

/// What was read, or how often it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// By space and beginning of the key, which ends with a zero byte.
    values: HashMap<(String, Vec<u8>), Part<Values>>,
    /// By pipeline: the steps that have results.
    steps: HashMap<String, Part<BTreeSet<String>>>,
}

#[derive(Debug)]
enum Part<T> {
    Asked(u32),
    Read(T),
}

/// What is known without asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// It is known.
    Known(T),
    /// It has to be asked for.
    Unknown,
    /// It was asked for so often that all of it should be read.
    ReadAll,
}

impl<T> Part<T> {
    fn ask<R>(&mut self, known: impl FnOnce(&T) -> R) -> Answer<R> {
        match self {
            Self::Read(read) => Answer::Known(known(read)),
            Self::Asked(times) => {
                *times += 1;
                if *times > OFTEN { Answer::ReadAll } else { Answer::Unknown }
            }
        }
    }
}

/// The part of a key that it shares with the others of its pipeline.
fn beginning(key: &[u8]) -> Option<&[u8]> {
    key.iter().rposition(|byte| *byte == 0).map(|last| &key[..=last])
}

impl Ahead {
    /// A value.
    pub(crate) fn value(&mut self, space: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        let Some(beginning) = beginning(key) else { return Answer::Unknown };
        let part = self.values.entry((space.to_owned(), beginning.to_vec())).or_insert(Part::Asked(0));
        part.ask(|values| values.get(key).cloned())
    }

    /// Takes all values of a part.
    pub(crate) fn take_values(&mut self, space: &str, beginning: &[u8], all: Vec<(Vec<u8>, Vec<u8>)>) {
        let part = (space.to_owned(), beginning.to_vec());
        self.values.insert(part, Part::Read(all.into_iter().collect()));
    }

    /// Takes a value that is remembered now.
    pub(crate) fn remember(&mut self, space: &str, key: &[u8], value: &[u8]) {
        if self.values.is_empty() {
            return;
        }
        let Some(beginning) = beginning(key) else { return };
        if let Some(Part::Read(values)) = self.values.get_mut(&(space.to_owned(), beginning.to_vec())) {
            values.insert(key.to_vec(), value.to_vec());
        }
    }

    /// Whether there are results of steps from this name on, and before that one.
    pub(crate) fn has_results(&mut self, pipeline: &str, from: &str, before: &str) -> Answer<bool> {
        let part = self.steps.entry(pipeline.to_owned()).or_insert(Part::Asked(0));
        part.ask(|steps| steps.range(from.to_owned()..before.to_owned()).next().is_some())
    }

    /// Takes all steps of a pipeline that have results.
    pub(crate) fn take_steps(&mut self, pipeline: &str, steps: BTreeSet<String>) {
        self.steps.insert(pipeline.to_owned(), Part::Read(steps));
    }

    /// Takes a step that has a result now.
    pub(crate) fn note(&mut self, pipeline: &str, step: &str) {
        if let Some(Part::Read(steps)) = self.steps.get_mut(pipeline) {
            steps.insert(step.to_owned());
        }
    }
}

impl Index {
    /// A value, or that there is none, if that is known without a query of its own.
    pub(crate) fn read_ahead(&self, space: &str, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let beginning = beginning(key)?;
        let answer = self.ahead().value(space, key);
        let answer = match answer {
            Answer::ReadAll => {
                let all = self.recall_all(space, beginning);
                let mut ahead = self.ahead();
                ahead.take_values(space, beginning, all);
                ahead.value(space, key)
            }
            answer => answer,
        };
        match answer {
            Answer::Known(value) => Some(value),
            Answer::Unknown | Answer::ReadAll => None,
        }
    }

    /// Whether steps from this name on, and before that one, have results, as far as that is known without a query.
    pub(crate) fn has_results(&self, pipeline: &str, from: &str, before: &str) -> Answer<bool> {
        let gathers = self.gathered().gatherers > 0;
        if gathers { self.ahead().has_results(pipeline, from, before) } else { Answer::Unknown }
    }

    /// Reads which steps of a pipeline have results. The index has to know of all results.
    pub(crate) fn read_steps(&self, pipeline: &str) {
        self.write();
        let steps = self.database.with(|connection| {
            let mut statement = connection.prepare_cached(STEPS)?;
            statement.query_map([pipeline], |row| row.get(0))?.collect()
        });
        if let Some(steps) = steps {
            self.ahead().take_steps(pipeline, steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::new_result;
    use crate::scene::Scene;
    use crate::{NewResult, Steps};

    #[test]
    fn what_is_asked_for_often_is_read_at_once_and_stays_true() {
        let scene = Scene::new();
        let name = |number: u32| format!("p\0{number}").into_bytes();
        for number in 0..3 * OFTEN {
            scene.cache.remember("space", &name(number), &number.to_le_bytes());
        }
        let gathering = scene.cache.gather();
        for number in 0..4 * OFTEN {
            let expected = (number < 3 * OFTEN).then(|| number.to_le_bytes().to_vec());
            assert_eq!(scene.cache.recall("space", &name(number)), expected);
        }
        let is_read = || {
            let mut ahead = scene.cache.inner.index.ahead();
            matches!(ahead.value("space", &name(0)), Answer::Known(Some(_)))
        };
        assert!(is_read());
        scene.cache.remember("space", &name(0), b"other");
        scene.cache.remember("space", &name(9999), b"new");
        scene.cache.inner.index.write();
        assert_eq!(scene.cache.recall("space", &name(0)).as_deref(), Some(b"other".as_slice()));
        assert_eq!(scene.cache.recall("space", &name(9999)).as_deref(), Some(b"new".as_slice()));
        drop(gathering);
        scene.another_process().remember("space", &name(0), b"theirs");
        assert_eq!(scene.cache.recall("space", &name(0)).as_deref(), Some(b"theirs".as_slice()));
    }

    #[test]
    fn results_are_found_as_if_nothing_was_read_ahead() {
        let scene = Scene::new();
        let publish = |step: &str| {
            let artifact = scene.cache.put(step.as_bytes()).unwrap();
            let new = NewResult { step: step.to_owned(), ..new_result(0, artifact) };
            scene.cache.publish(step.as_bytes(), new).unwrap();
        };
        let count = |step: &str, steps: fn(&str) -> Steps<'_>| {
            scene.cache.results_of("story", steps(step), 9).unwrap().count()
        };
        publish("train[fold=1]");
        let gathering = scene.cache.gather();
        for number in 0..2 * OFTEN {
            assert_eq!(count(&format!("other{number}"), |step| Steps::Id(step)), 0);
        }
        assert_eq!(scene.cache.inner.index.ahead().has_results("story", "a", "b"), Answer::Known(false));
        assert_eq!(count("train[fold=1]", |step| Steps::Id(step)), 1);
        assert_eq!(count("train", |step| Steps::Combinations(step)), 1);
        publish("train[fold=2]");
        scene.cache.inner.index.write();
        assert_eq!(count("train", |step| Steps::Combinations(step)), 2);
        drop(gathering);
        assert_eq!(count("train", |step| Steps::Combinations(step)), 2);
    }
}
