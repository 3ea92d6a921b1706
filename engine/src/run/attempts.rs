//! Starting attempts, and what follows from their ends.

use std::time::{Duration, Instant};

use tidemill_cache::Lease;

use super::conductor::Conductor;
use super::pulses::Watched;
use super::remembering::Learned;
use crate::effects::{Effects, Success};
use crate::error::EngineError;
use crate::event::Event;
use crate::execute::{Attempt, Finished, Urgency, attempt};
use crate::failure::{Failure, FailureReport, StepFailure};
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
        result: Box<Result<Finished, FailureReport>>,
        /// From its start to its end.
        took: Duration,
        /// Held until the end is dealt with, so that no other process starts the same key in between.
        lease: Option<Lease>,
    },
    /// A wait: for another process that makes the same key, or before a retry.
    Waited { step: usize },
}

/// How often a failure of the machine is tried again, at least.
const INFRASTRUCTURE_RETRIES: u32 = 2;
/// How often it is looked whether another process gave a lease back.
const LEASE_POLL: Duration = Duration::from_millis(20);

impl Conductor {
    /// Starts an attempt of a step that has its place.
    pub(super) async fn start(&mut self, step: usize, gpus: Vec<String>) {
        if let Err(error) = self.try_start(step, gpus).await {
            self.fail_with(step, &error);
        }
    }

    async fn try_start(&mut self, step: usize, gpus: Vec<String>) -> Result<(), EngineError> {
        let Some(execution) = self.executions.remove(&step) else { return Ok(()) };
        let shares_key = self.step(step).cache && self.step(step).effect.is_none();
        let key = execution.resolved.key;
        if self.stale.remove(&step) {
            return self.decide_again(step).await;
        }
        let lease = match shares_key {
            true => match self.project.cache().try_lease(&key)? {
                Some(lease) => Some(lease),
                None => return self.wait_for_lease(step, &execution),
            },
            false => None,
        };
        // Another process may have ended between the decision and the lease.
        let newest = self.project.cache().result(&key)?.map_or(0, |result| result.number);
        if lease.is_some() && newest > execution.after && !self.scope.forced[step] {
            drop(lease);
            return self.decide_again(step).await;
        }
        if self.attempt_count == 0 {
            self.clean_up().await?;
        }
        self.spawn(step, execution, gpus, lease);
        Ok(())
    }

    fn spawn(&mut self, step: usize, execution: Execution, gpus: Vec<String>, lease: Option<Lease>) {
        self.attempt_count += 1;
        let id = AttemptId::new(&self.id, self.attempt_count);
        let log = self.project.run_folder(&self.id).join(format!("{}.log", self.attempt_count));
        self.teller.tell(Event::StepStarted {
            step: self.step(step).id.clone(),
            attempt: id.clone(),
            log: log.to_string(),
        });
        self.pulses.began(step, &self.graph, &self.warden, || Watched {
            step: self.graph.steps[step].id.clone(),
            attempt: id.clone(),
            since: Instant::now(),
            gpus: gpus.clone(),
            log: log.clone(),
        });
        let order = Attempt {
            id: id.clone(),
            graph: self.graph.clone(),
            step: StepIndex::new(step),
            execution: execution.clone(),
            run: self.facts.clone(),
            gpus,
            log,
            vacated: self.vacated.0.clone(),
        };
        let (project, warden, cancel) = (self.project.clone(), self.warden.clone(), self.cancel.clone());
        self.attempts.spawn(async move {
            let started = Instant::now();
            let result = Box::new(attempt(&project, &warden, order, &cancel).await);
            let took = started.elapsed();
            End::Attempt { step, id, execution: Box::new(execution), result, took, lease }
        });
    }

    /// Another process makes the same key: waits until it gives the lease back, without holding a place.
    fn wait_for_lease(&mut self, step: usize, execution: &Execution) -> Result<(), EngineError> {
        let message =
            format!("{}: another run is making the same result; waiting for it", self.step(step).id);
        self.teller.tell(Event::Notice { message });
        let (cache, cancel, key) =
            (self.project.cache().clone(), self.cancel.clone(), execution.resolved.key);
        self.attempts.spawn(async move {
            // An error ends the wait too: the decision that follows meets it again and reports it.
            while let Ok(None) = cache.try_lease(&key) {
                tokio::select! {
                    () = tokio::time::sleep(LEASE_POLL) => {}
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
            End::Waited { step } => {
                if !self.is_cancelled() {
                    self.foreseen[step] = None;
                    self.decide(step).await;
                }
            }
            End::Attempt { step, id, execution, result, took, lease } => {
                // What was told of this attempt must not be taken for a later one of the same step.
                while let Ok(step) = self.vacated.1.try_recv() {
                    self.machine.vacate(step);
                }
                self.pulses.ended(step, &id);
                match *result {
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
        self.note_success(step, execution, &finished)?;
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
        self.note_contest(execution.contest.as_ref(), key)?;
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
        let failures = self.failed_attempts.entry(step).or_insert(0);
        *failures += 1;
        let count = *failures;
        let allowed = match &report.failure {
            Failure::Cancelled => 0,
            // Another try would read the same changed input under the same old key, or lack the same program or secret.
            Failure::Step(
                StepFailure::InputChanged { .. }
                | StepFailure::TargetMoved { .. }
                | StepFailure::NotStarted { .. },
            ) => 0,
            Failure::Step(_) => self.step(step).retries,
            Failure::Infrastructure(_) => self.step(step).retries.max(INFRASTRUCTURE_RETRIES),
        };
        if count > allowed || self.is_cancelled() {
            // The recipe is kept too, so that the next run can say what is different from the one that failed.
            if self.project.cache().put_recipe(&execution.resolved.recipe).is_ok() {
                self.remember_key(step, execution);
            }
            return self.fail(step, Some(id), report);
        }
        let wait = Duration::from_secs(1 << (count - 1).min(6));
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
