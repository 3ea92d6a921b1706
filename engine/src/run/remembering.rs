//! What a run of a large pipeline takes from the memo of the one before, and what it leaves to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, FileStamp, Key};
use tokio::task::JoinHandle;

use super::conductor::{Conductor, UNKNOWN_DURATION};
use super::tasks::tasks;
use crate::error::EngineError;
use crate::graph::{self, Graph, StepIndex};
use crate::plan::{Entry, Lists, Memo};
use crate::project::Project;
use crate::record::{CachedStep, Saved, Usages, keep_list};
use crate::schedule::Limits;

/// What a run found out of a step.
#[derive(Debug)]
pub(super) struct Learned {
    /// Its key.
    pub(super) key: Key,
    /// What its attempt took, in milliseconds.
    pub(super) saved_ms: u64,
    /// Whether an attempt of this run made its result.
    pub(super) made: bool,
    /// The files and folders of the project that its key was computed from.
    pub(super) reads: Vec<(Utf8PathBuf, Artifact)>,
}

/// What lies before the steps of a run: empty if nothing is left to be done with any of them.
#[derive(Debug)]
pub(super) struct Outlook {
    /// By step: those that it depends on.
    pub(super) upstream: Vec<Vec<usize>>,
    /// By step: what it and all that waits for it is expected to take.
    pub(super) priority: Vec<u64>,
    /// By step: what it is expected to take, in milliseconds, if it ran before.
    pub(super) expected: Vec<Option<u64>>,
}

impl Outlook {
    /// For a graph of which some steps are settled before the run begins.
    pub(super) fn of(
        project: &Project,
        graph: &Graph,
        (settled, considered): (&[bool], &[bool]),
        limits: &Limits,
    ) -> Self {
        let count = graph.steps.len();
        if considered.iter().zip(settled).all(|(considered, settled)| !considered || *settled) {
            return Self {
                upstream: vec![Vec::new(); count],
                priority: vec![0; count],
                expected: vec![None; count],
            };
        }
        let usages = Usages::of(project.cache(), &graph.pipeline);
        let expected: Vec<Option<u64>> = (0..count)
            .map(|step| if settled[step] { None } else { usages.expected_ms(&graph.steps[step].id) })
            .collect();
        let runs = |step: usize| considered[step] && !settled[step];
        let duration = |step: usize| if runs(step) { expected[step].unwrap_or(UNKNOWN_DURATION) } else { 0 };
        let durations: Vec<u64> = (0..count).map(duration).collect();
        let tasks = tasks(graph, &durations, limits, expected.iter().any(Option::is_some));
        let (upstream, priority) = tasks.into_iter().map(|task| (task.upstream, task.priority)).unzip();
        Self { upstream, priority, expected }
    }
}

/// The kept outline of a graph.
pub(super) enum KeptOutline {
    /// It was kept before.
    Known(Artifact),
    /// It is made beside what else a run prepares.
    Making(JoinHandle<Option<Artifact>>),
}

/// Keeps the outline of a graph, if the memo knows of none.
pub(super) fn outline(project: &Project, graph: &Arc<Graph>, memo: &Memo) -> KeptOutline {
    match memo.outline().filter(|outline| project.cache().seems_available(outline)) {
        Some(outline) => KeptOutline::Known(outline.clone()),
        None => {
            let (cache, graph) = (project.cache().clone(), Arc::clone(graph));
            KeptOutline::Making(tokio::task::spawn_blocking(move || graph::keep(&cache, &graph)))
        }
    }
}

impl KeptOutline {
    /// The outline, once it is kept; none if it cannot be.
    pub(super) async fn get(self) -> Option<Artifact> {
        match self {
            Self::Known(outline) => Some(outline),
            Self::Making(making) => making.await.expect("keeping an outline does not panic"),
        }
    }
}

impl Conductor {
    /// Tells of the steps with which nothing is left to be done.
    pub(super) fn tell_settled(&mut self) {
        let mut sum = Saved::default();
        for place in (0..self.settled.len()).filter(|place| self.settled[*place]) {
            let Some(entry) = self.memo.holds(StepIndex::new(place)) else { continue };
            sum.steps += 1;
            sum.ms = sum.ms.saturating_add(entry.saved_ms);
            let sizes = entry.outputs.iter().filter_map(|(_, artifact)| Some(artifact.as_ref()?.size));
            sum.bytes = sum.bytes.saturating_add(sizes.sum());
        }
        if sum.steps == 0 {
            return;
        }
        match self.settled_lists() {
            Ok(lists) => {
                let named = lists.lists.iter().flatten().cloned().collect();
                let (memo, graph, settled) = (&self.memo, &self.graph, &self.settled);
                let each = || {
                    let settled = (0..settled.len()).filter(|place| settled[*place]);
                    settled
                        .filter_map(|place| cached_step(graph, place, memo.holds(StepIndex::new(place))?))
                        .collect()
                };
                self.teller.tell_cached(named, each, sum);
                if lists.listed != self.memo.lists.listed || lists.lists != self.memo.lists.lists {
                    self.memo.learn_lists(lists);
                }
            }
            Err(error) => {
                // Without the lists the run goes on, and its record says how many there were.
                tracing::warn!(%error, "the list of the steps that were found cannot be kept");
                self.teller.tell_cached(Vec::new(), Vec::new, sum);
            }
        }
    }

    /// The lists of the settled steps: those of the run before where they say the same.
    fn settled_lists(&self) -> Result<Lists, EngineError> {
        let cache = self.project.cache();
        let known = &self.memo.lists;
        let mut lists = Vec::with_capacity(known.lists.len());
        for (chunk, settled) in self.settled.chunks(Lists::SIZE).enumerate() {
            let first = chunk * Lists::SIZE;
            let is_same = known.listed[first..first + settled.len()] == *settled;
            if let Some(list) = known.lists[chunk].as_ref().filter(|_| is_same)
                && cache.seems_available(list)
            {
                lists.push(Some(list.clone()));
                continue;
            }
            let steps = (first..first + settled.len()).filter(|place| self.settled[*place]);
            let steps: Vec<CachedStep> = steps
                .filter_map(|place| cached_step(&self.graph, place, self.memo.holds(StepIndex::new(place))?))
                .collect();
            lists.push(match steps.is_empty() {
                true => None,
                false => Some(keep_list(cache, &steps)?),
            });
        }
        Ok(Lists { lists, listed: self.settled.clone() })
    }

    /// Leaves to the next run what this one knows. That this fails is no reason to call a run failed that is done.
    pub(super) fn put_memo_away(&mut self) {
        let mut memo = std::mem::take(&mut self.memo);
        // What was put away before stays true: the cache names the key of the step whose result changed.
        if self.rests_on_old_bytes {
            return;
        }
        // A run of a part knows less than the one before it of the rest.
        if !memo.is_kept() || !self.scope.considered.iter().all(|considered| *considered) {
            return;
        }
        let mut placed = self.placed(|index| memo.is_in_place(index));
        for (step, learned) in &self.learned {
            let Some(outputs) = &self.outputs[*step] else { continue };
            let Learned { key, saved_ms, reads, .. } = learned;
            let entry = Entry {
                key: *key,
                saved_ms: *saved_ms,
                outputs: outputs.clone(),
                placed: placed.remove(step),
            };
            memo.learn(&self.graph, StepIndex::new(*step), entry, reads);
        }
        for (step, placed) in placed {
            memo.learn_placed(StepIndex::new(step), placed);
        }
        let is_known = |step: usize| self.outputs[step].is_some();
        memo.keep_only(|index| {
            let step = index.get();
            is_known(step) && (self.remembered[step] || self.learned.contains_key(&step))
        });
        let made = |index: StepIndex| self.learned.get(&index.get()).is_some_and(|learned| learned.made);
        if let Err(error) = memo.put_away(&self.project, &self.graph, &self.observations, made) {
            tracing::warn!(%error, "what this run knows cannot be kept for the next");
        }
    }

    /// By step: the published files that lie at rest in their places, where it is not known yet that they do.
    fn placed(&self, is_known: impl Fn(StepIndex) -> bool) -> BTreeMap<usize, Vec<(Utf8PathBuf, FileStamp)>> {
        let mut places = Vec::new();
        for step in 0..self.outputs.len() {
            let index = StepIndex::new(step);
            let wanted = self.graph.skeleton.publishes(index) && self.graph.skeleton.is_plain(index);
            let Some(outputs) = self.outputs[step].as_ref().filter(|_| wanted && !is_known(index)) else {
                continue;
            };
            for (name, output) in &self.graph.steps[step].outputs {
                if let (Some(path), Some(Some(artifact))) = (&output.publish, outputs.get(name)) {
                    places.push((step, path.below(&self.graph.folder), artifact.clone()));
                }
            }
        }
        let paths: Vec<Utf8PathBuf> = places.iter().map(|(_, path, _)| path.clone()).collect();
        let settled = self.project.cache().settled_files(&paths);
        let mut placed: BTreeMap<usize, Option<Vec<(Utf8PathBuf, FileStamp)>>> = BTreeMap::new();
        for ((step, path, artifact), settled) in places.into_iter().zip(settled) {
            let of_step = placed.entry(step).or_insert_with(|| Some(Vec::new()));
            match (settled.filter(|(_, lies_there)| *lies_there == artifact), of_step.as_mut()) {
                (Some((stamp, _)), Some(files)) => files.push((path, stamp)),
                _ => *of_step = None,
            }
        }
        placed.into_iter().filter_map(|(step, files)| Some((step, files?))).collect()
    }
}

fn cached_step(graph: &Graph, place: usize, entry: &Entry) -> Option<CachedStep> {
    let outputs = entry.outputs.iter();
    Some(CachedStep {
        step: graph.steps[place].id.clone(),
        key: entry.key,
        saved_ms: entry.saved_ms,
        outputs: outputs.filter_map(|(name, artifact)| Some((name.to_string(), artifact.clone()?))).collect(),
    })
}
