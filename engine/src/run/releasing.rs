//! Letting go, while a run goes on, of outputs that were only a way from one step to others: `keep = "final"`.
//!
//! An output is let go when every step that reads it is done in this run. It stays if it was not made in this run, if something
//! else that this run knows of has the same content, if it is [more than a way](crate::graph::Output::is_passed_on), if an effect
//! reads it, or if a step that reads it failed or was not to run: then the next run needs it. Its result stays in any case, so
//! that its step does not run again unless somebody needs the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidemill_cache::{Artifact, CacheError, Key, Release, Running};

use super::conductor::Conductor;
use crate::error::EngineError;
use crate::event::Event;
use crate::graph::{Graph, StepIndex};
use crate::keep::Keep;
use crate::name::OutputName;
use crate::pin::pinned_contents;
use crate::plan::Outputs;
use crate::project::Project;
use crate::record::{History, RunRecord};
use crate::schedule::Settled;

/// What a run lets go, from its first attempt of a step with something to let go.
#[derive(Debug)]
pub(super) struct Releasing {
    release: Release,
    since: SystemTime,
    /// By step: those that read from it.
    readers: Vec<Vec<StepIndex>>,
    /// By step: its outputs, as long as they are wanted.
    wanted: BTreeMap<usize, Outputs>,
    /// By step whose outputs are known and not let go.
    waiting: BTreeMap<usize, Passed>,
}

/// The outputs of a step that can be let go.
#[derive(Debug)]
struct Passed {
    outputs: BTreeSet<OutputName>,
    /// The steps that read them and are not done.
    open: BTreeSet<usize>,
    /// Whether a step that reads them was done.
    is_used: bool,
}

/// The time that a file system's clock may be behind.
const MARGIN: Duration = Duration::from_secs(2);

impl Releasing {
    fn new(project: &Project, graph: &Graph, running: &Running) -> Result<Self, CacheError> {
        Ok(Self {
            release: project.cache().release(running)?,
            since: SystemTime::now().checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH),
            readers: graph.downstream(),
            wanted: BTreeMap::new(),
            waiting: BTreeMap::new(),
        })
    }

    /// The outputs of a step are known.
    fn want(
        &mut self,
        graph: &Graph,
        step: usize,
        outputs: &Outputs,
        is_done: impl Fn(usize) -> Option<Settled>,
    ) -> Result<(), CacheError> {
        for artifact in artifacts(outputs) {
            self.release.want(artifact)?;
        }
        if let Some(before) = self.wanted.insert(step, outputs.clone()) {
            // They were decided about anew.
            for artifact in artifacts(&before) {
                self.release.want_no_more(artifact)?;
            }
        }
        self.waiting.remove(&step);
        if graph.steps[step].keep == Keep::Final {
            let passed = passed(graph, StepIndex::new(step), &self.readers[step], is_done);
            self.waiting.extend(passed.map(|passed| (step, passed)));
        }
        Ok(())
    }

    /// Lets go of what a step passed on, if all is done: the outputs whose bytes went.
    fn let_go(
        &mut self,
        project: &Project,
        step: usize,
        key: Option<Key>,
    ) -> Result<BTreeSet<String>, EngineError> {
        let is_done = |passed: &Passed| passed.open.is_empty() && passed.is_used;
        let mut gone = BTreeSet::new();
        if !self.waiting.get(&step).is_some_and(is_done) {
            return Ok(gone);
        }
        let (Some(passed), Some(outputs)) = (self.waiting.remove(&step), self.wanted.remove(&step)) else {
            return Ok(gone);
        };
        let (pinned_keys, pinned) = pinned_contents(project.state())?;
        if key.is_some_and(|key| pinned_keys.contains(&key)) {
            self.wanted.insert(step, outputs);
            return Ok(gone);
        }
        let mut rest = Vec::new();
        for (name, artifact) in outputs.iter() {
            match artifact {
                Some(artifact) if passed.outputs.contains(name) && !pinned.contains(&artifact.digest) => {
                    if self.release.let_go(artifact)? {
                        gone.insert(name.to_string());
                    }
                }
                _ => rest.push((name.clone(), artifact.clone())),
            }
        }
        self.wanted.insert(step, rest.into_iter().collect());
        Ok(gone)
    }
}

fn artifacts(outputs: &Outputs) -> impl Iterator<Item = &Artifact> {
    outputs.iter().filter_map(|(_, artifact)| artifact.as_ref())
}

/// What can be let go of a step, and for whom it has to stay; none if nothing can.
fn passed(
    graph: &Graph,
    index: StepIndex,
    readers: &[StepIndex],
    is_done: impl Fn(usize) -> Option<Settled>,
) -> Option<Passed> {
    let mut passed =
        Passed { outputs: passed_on(graph, index, readers), open: BTreeSet::new(), is_used: false };
    for reader in readers {
        let reads = |(producer, output): (StepIndex, &OutputName)| {
            producer == index && passed.outputs.contains(output)
        };
        if !producers(graph, *reader).any(reads) {
            continue;
        }
        match is_done(reader.get()) {
            Some(Settled::Done | Settled::Closed) => passed.is_used = true,
            Some(Settled::LeftOut) => {}
            Some(Settled::Failed | Settled::Blocked { .. }) | None => passed.open.extend([reader.get()]),
        }
    }
    (!passed.outputs.is_empty()).then_some(passed)
}

/// The outputs of a step that are a mere way to other steps: such of their kind as are read, and by no effect.
fn passed_on(graph: &Graph, index: StepIndex, readers: &[StepIndex]) -> BTreeSet<OutputName> {
    let declared = graph.step(index).outputs.iter();
    let mut outputs: BTreeSet<OutputName> =
        declared.filter(|(_, output)| output.is_passed_on()).map(|(name, _)| name.clone()).collect();
    let mut read = BTreeSet::new();
    for reader in readers {
        let of_this = producers(graph, *reader).filter(|(producer, _)| *producer == index);
        let names: Vec<OutputName> = of_this.map(|(_, output)| output.clone()).collect();
        match graph.step(*reader).effect {
            Some(_) => outputs.retain(|output| !names.contains(output)),
            None => read.extend(names),
        }
    }
    outputs.retain(|output| read.contains(output));
    outputs
}

fn producers(graph: &Graph, reader: StepIndex) -> impl Iterator<Item = (StepIndex, &OutputName)> {
    graph.step(reader).inputs.values().flat_map(|input| input.source.producers())
}

impl Conductor {
    /// Before an attempt of a step: notes what is made from now on, if the step has something to let go.
    pub(super) fn prepare_releasing(&mut self, step: usize) {
        if self.releasing.is_some() || self.step(step).keep != Keep::Final {
            return;
        }
        match Releasing::new(&self.project, &self.graph, &self.running) {
            Ok(releasing) => self.releasing = Some(releasing),
            // Then all is kept.
            Err(error) => tracing::warn!(%error, "outputs that need not be kept are kept all the same"),
        }
    }

    /// Whether something of these outputs was let go just before they were made once more.
    pub(super) fn are_gone(&mut self, outputs: &Outputs) -> Result<bool, CacheError> {
        let Some(releasing) = &mut self.releasing else { return Ok(false) };
        for artifact in artifacts(outputs) {
            if releasing.release.is_gone(artifact)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The outputs of a step are known: they are wanted.
    pub(super) fn want(&mut self, step: usize, outputs: &Outputs) -> Result<(), CacheError> {
        let Some(releasing) = &mut self.releasing else { return Ok(()) };
        let (graph, machine) = (Arc::clone(&self.graph), &self.machine);
        releasing.want(&graph, step, outputs, |reader| machine.settled(reader))
    }

    /// A step is settled: lets go of what nobody has to read any more. That this fails is no reason to call a run failed.
    pub(super) fn let_go_after(&mut self, step: usize, settled: Settled) {
        if self.releasing.is_none() || matches!(settled, Settled::Failed | Settled::Blocked { .. }) {
            return;
        }
        let graph = Arc::clone(&self.graph);
        let index = StepIndex::new(step);
        for place in graph.upstream(index).map(StepIndex::get).chain([step]) {
            let Some(releasing) = &mut self.releasing else { return };
            if let Some(passed) = releasing.waiting.get_mut(&place) {
                passed.is_used |= passed.open.remove(&step) && settled != Settled::LeftOut;
            }
            match releasing.let_go(&self.project, place, self.learned.get(&place).map(|learned| learned.key))
            {
                Ok(outputs) if outputs.is_empty() => {}
                Ok(outputs) => {
                    let step = graph.steps[place].id.clone();
                    self.teller.tell(Event::OutputsDropped { step, outputs });
                }
                Err(error) => tracing::warn!(%error, "an output that need not be kept is kept all the same"),
            }
        }
        self.remove_dropped();
    }

    /// Removes what was let go, if nobody else can need it.
    pub(super) fn remove_dropped(&mut self) {
        let Some(releasing) = &mut self.releasing else { return };
        let (history, own, since) = (History::below(self.project.state()), &self.id, releasing.since);
        let elsewhere = || {
            let found = history.changed_since(since).and_then(|runs| {
                let others = runs.into_iter().filter(|run| run != own);
                let mut artifacts = Vec::new();
                for run in others {
                    artifacts.extend(RunRecord::fold(history.events(&run)?, false).map(RunRecord::kept));
                }
                Ok(artifacts.into_iter().flatten().collect())
            });
            found.inspect_err(|error| tracing::debug!(%error, "other runs cannot be read")).ok()
        };
        if let Err(error) = releasing.release.remove(elsewhere) {
            tracing::warn!(%error, "what need not be kept cannot be removed");
        }
    }
}
