//! What steps used in the past: a short memory in the cache's index, for forecasts and for the order in which steps start.
//!
//! It is a memory and no record: with a deleted index it is empty, and fills again with every run.

use std::collections::BTreeMap;

use tidemill_cache::{ActionResult, Cache};

use crate::name::{PipelineName, StepId};

/// Where it is kept in the index.
const SPACE: &str = "usage";
/// How many executions of a step are remembered.
const KEPT: usize = 20;
/// How many executions of its other combinations stand for a step that never ran itself.
const SIBLINGS: usize = 100;
/// The bytes of one execution.
const WIDTH: usize = 5 * 8;

/// What one successful execution of a step used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// From when it had its place to its end, taking of outputs included, in milliseconds; placing of inputs too, unless that was
    /// done before.
    pub wall_ms: u64,
    /// Processor time, in milliseconds.
    pub cpu_ms: u64,
    /// The largest resident memory, in bytes.
    pub peak_memory: u64,
    /// Bytes of its outputs.
    pub stored_bytes: u64,
    /// How many GPUs it had.
    pub gpus: u64,
}

impl Past {
    /// What an action result says of it, with so many GPUs.
    #[must_use]
    pub fn of(result: &ActionResult, gpus: u32) -> Self {
        Self {
            wall_ms: result.usage.wall_ms,
            cpu_ms: result.usage.user_ms + result.usage.system_ms,
            peak_memory: result.usage.peak_memory,
            stored_bytes: result.outputs.values().flatten().map(|artifact| artifact.size).sum(),
            gpus: gpus.into(),
        }
    }
}

/// The past of the steps of one pipeline.
#[derive(Debug, Clone, Default)]
pub struct Usages {
    /// By step id, the oldest first.
    steps: BTreeMap<String, Vec<Past>>,
    /// By step name: the last executions of combinations of its matrix.
    names: BTreeMap<String, Vec<Past>>,
}

/// What the past of a step is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It ran itself.
    Own,
    /// Other combinations of its matrix ran.
    Siblings,
}

impl Usages {
    /// What is remembered of the steps of a pipeline.
    #[must_use]
    pub fn of(cache: &Cache, pipeline: &PipelineName) -> Self {
        let mut usages = Self::default();
        let beginning = format!("{pipeline}\0").len();
        for (key, value) in cache.recall_all(SPACE, pipeline.as_str()) {
            if let Some(step) = key.get(beginning..).and_then(|step| std::str::from_utf8(step).ok()) {
                usages.note(step, &decode(&value));
            }
        }
        usages
    }

    fn note(&mut self, step: &str, past: &[Past]) {
        let name = step.split('[').next().unwrap_or(step);
        let siblings = self.names.entry(name.to_owned()).or_default();
        if siblings.len() < SIBLINGS {
            siblings.extend(past.last());
        }
        self.steps.insert(step.to_owned(), past.to_vec());
    }

    /// Whether no step has a past.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes an execution of a step into account.
    pub fn learn(&mut self, step: &StepId, past: Past) {
        self.note(step.as_str(), &[past]);
    }

    /// The past of a step, the oldest first: its own, else that of other combinations of its matrix; none if neither ran.
    #[must_use]
    pub fn past(&self, step: &StepId) -> Option<(&[Past], Source)> {
        if self.is_empty() {
            return None;
        }
        let some = |past: &&Vec<Past>| !past.is_empty();
        let own = self.steps.get(step.as_str()).filter(some).map(|past| (past.as_slice(), Source::Own));
        own.or_else(|| {
            let siblings = self.names.get(step.step()).filter(some)?;
            Some((siblings.as_slice(), Source::Siblings))
        })
    }

    /// How long a step is expected to take, in milliseconds: the median of what it took; none if it has no past.
    #[must_use]
    pub fn expected_ms(&self, step: &StepId) -> Option<u64> {
        self.past(step).and_then(|(past, _)| median(past.iter().map(|past| past.wall_ms).collect()))
    }
}

/// The value in the middle; of two, the lower one. None of nothing.
fn median(mut values: Vec<u64>) -> Option<u64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(middle).1)
}

/// Remembers an execution of a step.
pub fn remember_usage(cache: &Cache, pipeline: &PipelineName, step: &StepId, past: Past) {
    let key = format!("{pipeline}\0{step}").into_bytes();
    let mut all = cache.recall(SPACE, &key).map(|bytes| decode(&bytes)).unwrap_or_default();
    all.push(past);
    let surplus = all.len().saturating_sub(KEPT);
    let bytes: Vec<u8> = all[surplus..].iter().flat_map(encode).collect();
    cache.remember(SPACE, &key, &bytes);
}

fn encode(past: &Past) -> Vec<u8> {
    let Past { wall_ms, cpu_ms, peak_memory, stored_bytes, gpus } = *past;
    [wall_ms, cpu_ms, peak_memory, stored_bytes, gpus].into_iter().flat_map(u64::to_le_bytes).collect()
}

/// What can be read; an entry of another width is none of ours.
fn decode(bytes: &[u8]) -> Vec<Past> {
    let (entries, rest) = bytes.as_chunks::<WIDTH>();
    if !rest.is_empty() {
        return Vec::new();
    }
    let past = |entry: &[u8; WIDTH]| {
        let (numbers, _) = entry.as_chunks::<8>();
        let [wall_ms, cpu_ms, peak_memory, stored_bytes, gpus] =
            std::array::from_fn(|place| u64::from_le_bytes(numbers[place]));
        Past { wall_ms, cpu_ms, peak_memory, stored_bytes, gpus }
    };
    entries.iter().map(past).collect()
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::name::StepName;

    fn past(wall_ms: u64) -> Past {
        Past { wall_ms, cpu_ms: 2 * wall_ms, peak_memory: 1 << 30, stored_bytes: 7, gpus: 1 }
    }

    fn id(name: &str, fold: Option<u32>) -> StepId {
        let axes: Vec<_> = fold.iter().map(|fold| ("fold".to_owned(), fold.to_string())).collect();
        StepId::new(&StepName::new(name).unwrap(), &axes)
    }

    #[test]
    fn the_last_executions_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&Utf8Path::from_path(folder.path()).unwrap().join(".tidemill")).unwrap();
        let pipeline = PipelineName::new("p").unwrap();
        for wall_ms in 0..30 {
            remember_usage(&cache, &pipeline, &id("train", Some(1)), past(wall_ms));
        }
        remember_usage(&cache, &PipelineName::new("q").unwrap(), &id("train", Some(1)), past(9000));
        let usages = Usages::of(&cache, &pipeline);
        let (own, source) = usages.past(&id("train", Some(1))).unwrap();
        assert_eq!((own.len(), own[0], own[19], source), (KEPT, past(10), past(29), Source::Own));
        assert_eq!(usages.expected_ms(&id("train", Some(1))), Some(19));
        // Another combination is expected to be alike, another step is not.
        assert_eq!(usages.past(&id("train", Some(2))).unwrap().1, Source::Siblings);
        assert_eq!(usages.expected_ms(&id("train", Some(2))), Some(29));
        assert_eq!(usages.expected_ms(&id("tra", None)), None);
        assert_eq!(
            Usages::of(&cache, &PipelineName::new("none").unwrap()).expected_ms(&id("train", None)),
            None
        );
    }

    #[test]
    fn what_is_none_of_ours_is_passed_over() {
        assert_eq!(decode(&encode(&past(5))), [past(5)]);
        assert!(decode(&[1; WIDTH + 1]).is_empty());
        assert!(decode(&[]).is_empty());
    }
}
