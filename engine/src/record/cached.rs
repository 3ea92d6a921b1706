//! The lists of steps that a run found in the cache: for large pipelines kept as objects of the cache, which a run names instead
//! of telling each step once more.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Cache, CacheError, Key};

use crate::event::{Event, Stamped};
use crate::name::StepId;

/// The largest list that is read, in bytes.
const LIMIT: u64 = 1 << 28;

/// A step whose result was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedStep {
    /// The step.
    pub step: StepId,
    /// Its key.
    pub key: Key,
    /// What it had taken when it ran, in milliseconds.
    pub saved_ms: u64,
    /// Its outputs.
    pub outputs: BTreeMap<String, Artifact>,
}

impl CachedStep {
    /// The event that tells it.
    #[must_use]
    pub fn event(self) -> Event {
        let Self { step, key, saved_ms, outputs } = self;
        Event::StepCached { step, key, saved_ms, outputs }
    }
}

/// Keeps a list, one step per line.
///
/// # Errors
/// If it cannot be written.
pub fn keep_list(cache: &Cache, steps: &[CachedStep]) -> Result<Artifact, CacheError> {
    let mut bytes = Vec::with_capacity(256 * steps.len());
    for step in steps {
        serde_json::to_writer(&mut bytes, step).expect("a step has text keys and no foreign types");
        bytes.write_all(b"\n").expect("memory can be written");
    }
    cache.put(&bytes)
}

/// Puts the steps in the place of the lists that stand for them. A list that is gone or makes no sense tells nothing.
pub(super) fn unfold(cache: &Cache, events: Vec<Stamped>) -> Vec<Stamped> {
    let mut all = Vec::with_capacity(events.len());
    for Stamped { at, event } in events {
        match event {
            Event::StepsCached { lists, .. } => {
                for list in lists {
                    let bytes = cache.read(&list, LIMIT).unwrap_or_default();
                    let steps = bytes.split(|byte| *byte == b'\n');
                    let steps = steps.filter_map(|line| serde_json::from_slice::<CachedStep>(line).ok());
                    all.extend(steps.map(|step| Stamped { at, event: step.event() }));
                }
            }
            event => all.push(Stamped { at, event }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::name::StepName;

    #[test]
    fn a_list_is_unfolded_and_one_that_is_gone_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&Utf8Path::from_path(folder.path()).unwrap().join(".tidemill")).unwrap();
        let step = |name: &str| CachedStep {
            step: StepId::new(&StepName::new(name).unwrap(), &[]),
            key: Key::of_recipe(name.as_bytes()),
            saved_ms: 7,
            outputs: BTreeMap::from([("o".to_owned(), cache.put(name.as_bytes()).unwrap())]),
        };
        let list = keep_list(&cache, &[step("a"), step("b")]).unwrap();
        let gone = Artifact { digest: tidemill_cache::Digest::of(b"gone"), ..list.clone() };
        let event = Event::StepsCached { steps: 3, saved_ms: 21, bytes: 3, lists: vec![gone, list] };
        let events = unfold(&cache, vec![Stamped { at: jiff::Timestamp::UNIX_EPOCH, event }]);
        let ids: Vec<&str> = events
            .iter()
            .map(|stamped| match &stamped.event {
                Event::StepCached { step, .. } => step.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, ["a", "b"]);
    }
}
