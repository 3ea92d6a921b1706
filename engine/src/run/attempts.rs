//! Starting attempts, and what follows from their ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use tidemill_cache::{Key, Lease};
use tokio::sync::oneshot;

use super::conductor::{Conductor, need};
use super::pulses::Watched;
use super::remembering::Learned;
use crate::effects::{Effects, Success};
use crate::error::EngineError;
use crate::event::Event;
use crate::execute::{Attempt, Ended, Fences, Finished, Turn, Urgency, Vacated, attempt};
use crate::failure::FailureReport;
use crate::graph::StepIndex;
use crate::name::AttemptId;
use crate::plan::{Execution, Outputs, outputs_of, remember_execution, target};
use crate::record::{Past, remember_usage};

/// How something that ran beside the loop ended.
pub(super) enum End {
    /// An attempt.
    Attempt {
        step: usize,
        id: AttemptId,
        execution: Box<Execution>,
        ended: Box<Ended>,
        /// Held until the end is dealt with, so that no other process starts the same key in between.
        lease: Option<Lease>,
    },
    /// An attempt that was prepared and not to run.
    Withdrawn,
    /// A wait: for another process that makes the same key, or before a retry.
    Waited { step: usize },
}

/// An attempt that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    id: AttemptId,
    log: Utf8PathBuf,
    /// Gives it its place: the ids of its GPUs.
    place: oneshot::Sender<Vec<String>>,
    /// Whether its process may begin by itself in the place of another one.
    may_follow: Arc<AtomicBool>,
}

impl Conductor {
    /// Starts an attempt of a step that has its place, or lets the one begin that was prepared.
    pub(super) async fn start(&mut self, step: usize, gpus: Vec<String>) {
        if let Err(error) = self.try_start(step, gpus).await {
            self.fail_with(step, &error);
        }
    }

    async fn try_start(&mut self, step: usize, gpus: Vec<String>) -> Result<(), EngineError> {
        let prepared = self.prepared.remove(&step);
        if self.stale.remove(&step) {
            // What was prepared goes, for nobody gives it a place.
            self.executions.remove(&step);
            drop(prepared);
            return self.decide_again(step).await;
        }
        if let Some(Waiting { id, log, place, .. }) = prepared {
            self.tell_started(step, &id, log, &gpus);
            // It waits for nothing else.
            let _ = place.send(gpus);
            return Ok(());
        }
        let Some(execution) = self.executions.get(&step) else { return Ok(()) };
        let (key, after) = (execution.resolved.key, execution.after);
        let lease = match self.shares_key(step) {
            true => match self.project.cache().try_lease(&key)? {
                Some(lease) => Some(lease),
                None => {
                    self.executions.remove(&step);
                    return self.wait_for_lease(step, key);
                }
            },
            false => None,
        };
        if lease.is_some() && !self.scope.forced[step] && self.has_newer_result(&key, after)? {
            drop(lease);
            self.executions.remove(&step);
            return self.decide_again(step).await;
        }
        if self.attempt_count == 0 {
            self.clean_up().await?;
        }
        let spawned = match self.placement(step).cloned() {
            Some(placement) => {
                let post = self.post(&placement, &key, self.shares_key(step)).await?;
                self.next_attempt(step, None).map(|attempt| self.launch(attempt, post, lease))
            }
            None => self.spawn(step, Turn::Now(gpus.clone()), lease),
        };
        if let Some((id, log)) = spawned {
            self.tell_started(step, &id, log, &gpus);
        }
        Ok(())
    }

    /// Begins an attempt of a ready step for which there is no place yet: its folder is made, then it waits. If anything is
    /// in the way, nothing is done: it is met again when there is a place.
    pub(super) fn prepare(&mut self, step: usize) {
        let Some(execution) = self.executions.get(&step) else { return };
        let (key, after) = (execution.resolved.key, execution.after);
        if self.attempt_count == 0 || self.stale.contains(&step) {
            return;
        }
        let lease = match self.shares_key(step) {
            true => match self.project.cache().try_lease(&key) {
                Ok(Some(lease)) => Some(lease),
                Ok(None) | Err(_) => return,
            },
            false => None,
        };
        let is_as_decided =
            self.scope.forced[step] || self.has_newer_result(&key, after).is_ok_and(|newer| !newer);
        if lease.is_some() && !is_as_decided {
            return;
        }
        let (sender, place) = oneshot::channel();
        // One that was recalled goes before those that are prepared after it.
        let others = self.prepared.values().all(|waiting| waiting.may_follow.load(Ordering::Relaxed));
        let may_follow = Arc::new(AtomicBool::new(others && self.machine.may_follow_unasked()));
        let rank = self.machine.rank(step);
        let turn = Turn::Later { place, rank, may_follow: Arc::clone(&may_follow) };
        if let Some((id, log)) = self.spawn(step, turn, lease) {
            self.prepared.insert(step, Waiting { id, log, place: sender, may_follow });
        }
    }

    /// A step that is more urgent, or needs something else, became ready: what is prepared waits until it is told to begin.
    pub(super) fn recall(&mut self) {
        let may = |waiting: &Waiting| waiting.may_follow.swap(false, Ordering::Relaxed);
        if self.prepared.values().map(may).fold(false, |any, may| any | may)
            && let Some(warden) = self.warden.present()
        {
            warden.recall();
        }
    }

    /// A process has ended well: its place is free, or that of the attempt which began in it.
    pub(super) fn vacate(&mut self, Vacated { step, follower }: Vacated) {
        let follows = |(_, waiting): &(&usize, &Waiting)| Some(waiting.id.as_str()) == follower.as_deref();
        let next = self.prepared.iter().find(follows).map(|(next, _)| *next);
        let handed = next.filter(|next| !self.stale.contains(next) && self.machine.hand_over(step, *next));
        match handed.and_then(|next| Some((next, self.prepared.remove(&next)?))) {
            Some((next, Waiting { id, log, place, .. })) => {
                self.tell_started(next, &id, log, &[]);
                // It waits for nothing else.
                let _ = place.send(Vec::new());
            }
            None => self.machine.vacate(step),
        }
    }

    pub(super) fn shares_key(&self, step: usize) -> bool {
        self.step(step).cache && self.step(step).effect.is_none()
    }

    /// Whether another process has recorded a result since it was decided: it may have ended between that and the lease.
    fn has_newer_result(&self, key: &Key, after: u64) -> Result<bool, EngineError> {
        Ok(self.project.cache().result(key)?.is_some_and(|result| result.number > after))
    }

    fn tell_started(&mut self, step: usize, id: &AttemptId, log: Utf8PathBuf, gpus: &[String]) {
        self.teller.tell(Event::StepStarted {
            step: self.step(step).id.clone(),
            attempt: id.clone(),
            log: log.to_string(),
        });
        self.pulses.began(step, &self.graph, &self.warden, || Watched {
            step: self.graph.steps[step].id.clone(),
            attempt: id.clone(),
            since: Instant::now(),
            gpus: gpus.to_vec(),
            log,
        });
    }

    /// What is to be made of a step next. `kind`: see [`Attempt::kind`].
    fn next_attempt(&mut self, step: usize, kind: Option<u64>) -> Option<Attempt> {
        let execution = self.executions.remove(&step)?;
        self.prepare_releasing(step);
        self.attempt_count += 1;
        let tally = self.failed_attempts.get(&step).copied().unwrap_or_default();
        Some(Attempt {
            timeout: tally.time(&self.step(step).retries, self.step(step).timeout),
            kind,
            rank: None,
            id: AttemptId::new(&self.id, self.attempt_count),
            graph: self.graph.clone(),
            step: StepIndex::new(step),
            execution,
            run: self.facts.clone(),
            quarantines: self.quarantines,
            log: self.project.run_folder(&self.id).join(format!("{}.log", self.attempt_count)),
            fences: self.fences(),
            vacated: self.vacated.0.clone(),
        })
    }

    fn spawn(&mut self, step: usize, turn: Turn, lease: Option<Lease>) -> Option<(AttemptId, Utf8PathBuf)> {
        let need = need(&self.step(step).resources);
        let order = self.next_attempt(step, (need.gpus == 0).then(|| need.kind()))?;
        let (id, log, execution) = (order.id.clone(), order.log.clone(), order.execution.clone());
        let (project, warden, cancel) = (self.project.clone(), self.warden.clone(), self.cancel.clone());
        let (attempt_id, execution) = (id.clone(), Box::new(execution));
        self.attempts.spawn(async move {
            match attempt(&project, &warden, order, turn, &cancel).await {
                Some(ended) => {
                    End::Attempt { step, id: attempt_id, execution, ended: Box::new(ended), lease }
                }
                None => End::Withdrawn,
            }
        });
        Some((id, log))
    }

    /// What steps may reach. The first time it tells what this machine cannot keep them from.
    fn fences(&mut self) -> Arc<Fences> {
        if let Some(fences) = &self.fences {
            return Arc::clone(fences);
        }
        let fences = Arc::new(Fences::of(&self.project, &self.graph));
        for message in fences.lacks(&self.graph) {
            self.teller.tell(Event::Notice { message });
        }
        Arc::clone(self.fences.insert(fences))
    }

    /// Another process makes the same key: waits until it gives the lease back, without holding a place.
    fn wait_for_lease(&mut self, step: usize, key: Key) -> Result<(), EngineError> {
        let message =
            format!("{}: another run is making the same result; waiting for it", self.step(step).id);
        self.teller.tell(Event::Notice { message });
        let (cache, cancel) = (self.project.cache().clone(), self.cancel.clone());
        self.attempts.spawn(async move {
            // An error ends the wait too: the decision that follows meets it again and reports it.
            while let Ok(None) = cache.try_lease(&key) {
                tokio::select! {
                    () = tokio::time::sleep(cache.patience()) => {}
                    () = cancel.at_least(Urgency::Terminate) => break,
                }
            }
            End::Waited { step }
        });
        self.pause(step)
    }

    fn pause(&mut self, step: usize) -> Result<(), EngineError> {
        if let Err(error) = self.machine.pause(step) {
            self.contradiction(&error);
        }
        Ok(())
    }

    async fn decide_again(&mut self, step: usize) -> Result<(), EngineError> {
        self.pause(step)?;
        self.foreseen[step] = None;
        Box::pin(self.decide(step)).await;
        Ok(())
    }

    /// Before the first attempt: starts the warden, which ends what a dead run left running, then removes the step folders
    /// that dead runs left behind.
    async fn clean_up(&mut self) -> Result<(), EngineError> {
        self.warden.get().await?;
        let project = self.project.clone();
        let cleaned = tokio::task::spawn_blocking(move || super::leftovers::remove(&project)).await;
        cleaned.expect("removing leftovers does not panic");
        Ok(())
    }

    /// Deals with the end of an attempt or a wait.
    pub(super) async fn ended(&mut self, end: End) {
        match end {
            End::Withdrawn => {}
            End::Waited { step } => {
                if !self.is_cancelled() {
                    self.foreseen[step] = None;
                    self.decide(step).await;
                }
            }
            End::Attempt { step, id, execution, ended, lease } => {
                // What was told of this attempt must not be taken for a later one of the same step.
                while let Ok(vacated) = self.vacated.1.try_recv() {
                    self.vacate(vacated);
                }
                self.tell_all_elsewhere();
                self.pulses.ended(step, &id);
                let Ended { result, undeclared, used, took } = *ended;
                if !used.is_empty() {
                    let step = self.step(step).id.clone();
                    self.teller.tell(Event::StepMeasured { step, attempt: id.clone(), points: used });
                }
                if let Some(reads) = undeclared {
                    let step = self.step(step).id.clone();
                    self.teller.tell(Event::StepRead { step, attempt: id.clone(), reads });
                }
                match result {
                    Ok(finished) => {
                        if let Err(error) = self.succeeded(step, &id, &execution, (finished, took)).await {
                            self.fail_with(step, &error);
                        }
                    }
                    Err(report) => self.failed(step, id, &execution, report),
                }
                drop(lease);
            }
        }
    }

    async fn succeeded(
        &mut self,
        step: usize,
        id: &AttemptId,
        execution: &Execution,
        (finished, took): (Finished, Duration),
    ) -> Result<(), EngineError> {
        let outputs = outputs_of(self.step(step), &finished.result);
        if self.are_gone(&outputs)? {
            let reason = "its outputs were let go when they were made by another step".to_owned();
            self.restore.insert(step, reason);
            return self.decide_again(step).await;
        }
        self.note_success(step, execution, &finished)?;
        self.send(step, &finished.result);
        self.remembered[step] = false;
        let saved_ms = finished.result.usage.wall_ms;
        let (key, reads) = (execution.resolved.key, execution.resolved.reads());
        self.learned.insert(step, Learned { key, saved_ms, made: true, reads });
        let before = execution.expected.clone().or_else(|| self.outputs[step].clone());
        let restored = self.restore.remove(&step).is_some() || execution.expected.is_some();
        let usage = finished.result.usage;
        self.teller.tell(Event::StepSucceeded {
            step: self.step(step).id.clone(),
            attempt: id.clone(),
            key: execution.resolved.key,
            usage,
            outputs: finished
                .result
                .outputs
                .iter()
                .filter_map(|(name, artifact)| Some((name.clone(), artifact.clone()?)))
                .collect(),
            unchanged: self.is_unchanged(step, &outputs),
        });
        self.remember_key(step, execution);
        self.remember_usage(step, &finished, took);
        self.pulses.learn(step, milliseconds(took));
        if self.stale.remove(&step) {
            return self.decide_again(step).await;
        }
        let differs = before.is_some_and(|before| before != outputs);
        self.remember_outputs(step, &outputs);
        if restored && differs {
            self.other_bytes(step);
        }
        self.outputs_known(step, outputs)
    }

    fn remember_usage(&self, step: usize, finished: &Finished, took: Duration) {
        let step = self.step(step);
        let past = Past { wall_ms: milliseconds(took), ..Past::of(&finished.result, step.resources.gpus) };
        remember_usage(self.project.cache(), &self.graph.pipeline, &step.id, past);
    }

    /// What a step that ran again gave is not what it gave before: decisions that rest on the old bytes are void.
    fn other_bytes(&mut self, step: usize) {
        self.rests_on_old_bytes = true;
        for (next, upstream) in (0..self.graph.steps.len()).map(|next| (next, self.machine.upstream(next))) {
            if upstream.contains(&step) {
                self.foreseen[next] = None;
            }
        }
        match self.machine.invalidate_after(step) {
            Ok(stale) => self.stale.extend(stale),
            Err(error) => self.contradiction(&error),
        }
    }

    fn note_success(
        &self,
        step: usize,
        execution: &Execution,
        finished: &Finished,
    ) -> Result<(), EngineError> {
        let key = execution.resolved.key;
        self.note_contest(execution.contest.as_deref(), key)?;
        if let Some(effect) = &self.step(step).effect {
            // What the world was changed by must outlast a power failure.
            self.project.cache().sync_result(&finished.result)?;
            let success = Success {
                key,
                run: self.id.clone(),
                by: self.project.user().to_owned(),
                at: jiff::Timestamp::now(),
                outcome: finished.outcome.clone(),
            };
            let target = target(&self.project, self.step(step), effect);
            Effects::below(self.project.state()).add(
                &target,
                &self.graph.pipeline,
                &self.step(step).id,
                &success,
            )?;
        }
        Ok(())
    }

    fn failed(&mut self, step: usize, id: AttemptId, execution: &Execution, report: FailureReport) {
        let tally = self.failed_attempts.entry(step).or_default();
        let wait = tally.count(&report.failure, &self.graph.steps[step].retries);
        let Some(wait) = wait.filter(|_| !self.is_cancelled()) else {
            // The recipe is kept too, so that the next run can say what is different from the one that failed.
            if self.project.cache().put_recipe(&execution.resolved.recipe).is_ok() {
                self.remember_key(step, execution);
            }
            return self.fail(step, Some(id), report);
        };
        self.teller.tell(Event::StepRetried {
            step: self.step(step).id.clone(),
            attempt: id,
            report,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        });
        if let Err(error) = self.machine.pause(step) {
            return self.contradiction(&error);
        }
        let cancel = self.cancel.clone();
        self.attempts.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.at_least(Urgency::Terminate) => {}
            }
            End::Waited { step }
        });
    }

    fn remember_key(&self, step: usize, execution: &Execution) {
        let key = execution.resolved.key;
        remember_execution(&self.project, &self.graph, self.step(step), key, &self.id);
    }

    /// Whether a step gave the same bytes as the last time.
    fn is_unchanged(&self, step: usize, outputs: &Outputs) -> bool {
        let bytes = self.project.cache().recall(LAST_OUTPUTS, self.outputs_name(step).as_bytes());
        bytes.is_some_and(|bytes| bytes == outputs_digest(outputs))
    }

    fn remember_outputs(&self, step: usize, outputs: &Outputs) {
        let name = self.outputs_name(step);
        self.project.cache().remember(LAST_OUTPUTS, name.as_bytes(), &outputs_digest(outputs));
    }

    fn outputs_name(&self, step: usize) -> String {
        format!("{}\0{}\0{}", self.project.root(), self.graph.pipeline, self.step(step).id)
    }
}

/// Where the digest of a step's last outputs is remembered.
const LAST_OUTPUTS: &str = "last-outputs";

fn outputs_digest(outputs: &Outputs) -> Vec<u8> {
    let mut text = String::new();
    for (name, artifact) in outputs.iter() {
        let digest = artifact.as_ref().map(|artifact| artifact.digest.to_string()).unwrap_or_default();
        text.push_str(&format!("{name}={digest}\n"));
    }
    tidemill_cache::Digest::of(text.as_bytes()).as_bytes().to_vec()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
