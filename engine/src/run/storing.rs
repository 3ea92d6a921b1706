//! What a run has to do with the store of the team: it looks keys up and fetches contents beside the loop, before a step runs or is
//! found, and sends what was made.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemill_cache::{ActionResult, Key};
use tidemill_store::{Later, Pushed, StoreError, Transfer};

use super::attempts::End;
use super::conductor::Conductor;
use crate::error::EngineError;
use crate::event::Event;
use crate::execute::Urgency;
use crate::graph::Graph;
use crate::plan::{Content, Decision, Execution, Foreseen, Outputs, absent};
use crate::project::Project;

/// A wait for the store that takes longer is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a run has to do with the store.
#[derive(Debug, Default)]
pub(super) struct Storing {
    /// The steps for which contents were fetched already.
    fetched: BTreeSet<usize>,
    /// Sends what was made, once something was.
    later: Option<Later>,
    /// The keys of the results that were found.
    used: Vec<Key>,
}

impl Storing {
    /// Of what is foreseen, what is settled already was found.
    pub(super) fn new(foreseen: &[Foreseen], settled: &[bool]) -> Self {
        let used = foreseen.iter().zip(settled).filter_map(|(foreseen, settled)| match foreseen {
            Foreseen::Decided(Decision::Satisfied(satisfied)) if *settled => Some(satisfied.key),
            _ => None,
        });
        Self { used: used.collect(), ..Self::default() }
    }

    /// Notes that a result was found.
    pub(super) fn note_use(&mut self, key: Key) {
        self.used.push(key);
    }
}

/// Brings what a run needs at once: what satisfied steps publish, and their metrics.
pub(super) async fn bring(
    project: &Project,
    graph: &Graph,
    foreseen: &[Foreseen],
    settled: &[bool],
) -> Result<(), EngineError> {
    if project.cache().remote().is_none() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for (step, foreseen) in foreseen.iter().enumerate().filter(|(step, _)| !settled[*step]) {
        if let Foreseen::Decided(Decision::Satisfied(satisfied)) = foreseen {
            wanted.extend(absent(project, graph, &graph.steps[step], &satisfied.outputs)?);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let cache = project.cache().clone();
    let brought = tokio::task::spawn_blocking(move || cache.bring_here(&wanted)).await;
    Ok(brought.expect("fetching does not panic")?)
}

impl Conductor {
    /// Whether the store is asked for a step before it is queued: whether it knows the key, and for contents that the step reads.
    /// The step is decided about once more when the answer is there.
    pub(super) fn asks_store(&mut self, step: usize, execution: &Execution) -> Result<bool, EngineError> {
        let cache = self.project.cache().clone();
        let Some(remote) = cache.remote().cloned() else { return Ok(false) };
        let key = execution.resolved.key;
        let insists =
            self.scope.forced[step] || self.restore.contains_key(&step) || execution.expected.is_some();
        let looks_up = self.shares_key(step) && !insists && execution.after == 0 && remote.may_know(&key);
        let mut wanted = Vec::new();
        // What runs elsewhere is fetched there.
        if self.placement(step).is_none() && !self.storing.fetched.contains(&step) {
            for material in &execution.resolved.materials {
                let Content::Artifact { artifact, .. } = &material.content else { continue };
                if !cache.is_here(artifact)? && cache.available(artifact)? {
                    wanted.push(artifact.clone());
                }
            }
        }
        if !looks_up && wanted.is_empty() {
            return Ok(false);
        }
        if !looks_up {
            self.storing.fetched.insert(step);
        }
        self.attempts.spawn(async move {
            let asked = tokio::task::spawn_blocking(move || {
                if looks_up {
                    // Most often it decides everything: contents are wanted if it gives nothing.
                    remote.look_up(&cache, &[key]);
                    return Ok(());
                }
                cache.bring_here(&wanted)
            });
            if let Err(error) = asked.await.expect("asking the store does not panic") {
                tracing::warn!(%error, "what a step reads could not be fetched");
            }
            End::Waited { step }
        });
        Ok(true)
    }

    /// Whether contents of a satisfied step are fetched before it is settled.
    pub(super) fn fetches_first(&mut self, step: usize, outputs: &Outputs) -> Result<bool, EngineError> {
        if self.project.cache().remote().is_none() || !self.storing.fetched.insert(step) {
            return Ok(false);
        }
        let wanted = absent(&self.project, &self.graph, self.step(step), outputs)?;
        if wanted.is_empty() {
            return Ok(false);
        }
        let cache = self.project.cache().clone();
        self.attempts.spawn(async move {
            let fetched = tokio::task::spawn_blocking(move || cache.bring_here(&wanted)).await;
            if let Err(error) = fetched.expect("fetching does not panic") {
                tracing::warn!(%error, "what a step gave could not be fetched");
            }
            End::Waited { step }
        });
        Ok(true)
    }

    /// Sends a result to the store, if it takes what runs make.
    pub(super) fn send(&mut self, step: usize, result: &ActionResult) {
        let Some(store) = self.project.store().filter(|store| store.takes_results()) else { return };
        if result.number == 0 || !self.shares_key(step) {
            return;
        }
        let cache = self.project.cache();
        self.storing.later.get_or_insert_with(|| store.store.send_later(cache)).send(result.clone());
    }

    /// Waits until what was made is sent and what was found is noted, unless the user does not want to wait.
    pub(super) async fn finish_sending(&mut self) {
        if let Some(later) = self.storing.later.take() {
            let (pushing, cancel) = (later.pushing(), self.cancel.clone());
            let mut sent = std::pin::pin!(tokio::task::spawn_blocking(|| later.finish()));
            let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
            let mut is_told = false;
            let sent = loop {
                tokio::select! {
                    sent = &mut sent => break sent,
                    () = &mut patience, if !is_told && !pushing.is_stopped() => {
                        is_told = true;
                        let message = "sending what was made to the store; Ctrl-C leaves the rest to `tidemill push`";
                        self.teller.tell(Event::Notice { message: message.to_owned() });
                        self.teller.flush();
                    }
                    () = cancel.at_least(Urgency::Terminate), if !pushing.is_stopped() => pushing.stop(),
                }
            };
            if let Some(message) = unsent(&sent.expect("sending does not panic")) {
                self.teller.tell(Event::Notice { message });
            }
        }
        self.note_use().await;
        self.tell_store();
    }

    /// Notes in the store what the run has found, unless the user does not want to wait.
    async fn note_use(&mut self) {
        let Some(store) = self.project.store().filter(|_| !self.is_cancelled()) else { return };
        let (store, used) = (store.store.clone(), std::mem::take(&mut self.storing.used));
        let noted = tokio::task::spawn_blocking(move || store.note_use(&used)).await;
        noted.expect("noting does not panic");
    }

    /// Tells what there is to tell of the store.
    pub(super) fn tell_store(&mut self) {
        let Some(store) = self.project.store() else { return };
        for message in store.store.take_notices() {
            self.teller.tell(Event::Notice { message });
        }
    }

    /// What went over the wire, if anything did.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        let transfer = self.project.store()?.store.progress().transfer();
        let is_something = transfer.sent + transfer.received + transfer.results_found > 0;
        is_something.then_some(transfer)
    }
}

/// What did not go to the store.
fn unsent(sent: &Result<Pushed, StoreError>) -> Option<String> {
    match sent {
        Ok(Pushed { left, .. }) if left.is_empty() => None,
        Ok(Pushed { left, .. }) => {
            let (step, reason) = left.first()?;
            let others = match left.len() {
                1 => String::new(),
                number => format!(", and {} more", number - 1),
            };
            Some(format!("not sent to the store: {step} ({reason}){others}; `tidemill push` sends them"))
        }
        Err(error) => {
            Some(format!("what was made is not in the store: {error}; `tidemill push` sends it later"))
        }
    }
}
