//! Deciding about one step of a run, when all before it is settled.

use std::collections::BTreeMap;

use super::conductor::{Conductor, need};
use super::remembering::Learned;
use super::sharing::Role;
use crate::error::EngineError;
use crate::event::{Event, SkipReason};
use crate::execute::publish;
use crate::failure::{Failure, FailureReport, StepFailure};
use crate::graph::StepIndex;
use crate::plan::{
    Content, Contest, Decider, Decision, Execution, Foreseen, Insist, Manner, Outputs, Satisfied, Upstream,
    ask, is_let_go, metrics, needs_itself, record_contest,
};
use crate::schedule::Settled;

impl Conductor {
    /// Decides about a step and does what follows: settles it, or queues it.
    pub(super) async fn decide(&mut self, step: usize) {
        if let Err(error) = self.try_decide(step).await {
            self.fail_with(step, &error);
        }
    }

    async fn try_decide(&mut self, step: usize) -> Result<(), EngineError> {
        let decision = match self.foreseen[step].take() {
            Some(Foreseen::Skipped(reason)) => {
                self.teller.tell(Event::StepSkipped { step: self.step(step).id.clone(), reason });
                self.settle(step, Settled::LeftOut);
                return Ok(());
            }
            Some(Foreseen::Decided(decision)) => decision,
            Some(Foreseen::Shared(_, execution)) => Decision::Execute(execution),
            Some(Foreseen::Maybe(_) | Foreseen::Blocked(_) | Foreseen::Ignored) | None => {
                self.remembered[step] = false;
                self.decide_now(step).await?
            }
        };
        match decision {
            Decision::Satisfied(satisfied) => self.satisfied(step, *satisfied),
            Decision::Execute(execution) => self.must_run(step, *execution),
            Decision::Moved(message) => {
                let failure = Failure::Step(StepFailure::TargetMoved { message });
                let hint = Some(
                    "run with --force for this step to take the target over, or undo the change".to_owned(),
                );
                self.fail(step, None, FailureReport::without_attempt(failure, hint));
                Ok(())
            }
        }
    }

    async fn decide_now(&self, step: usize) -> Result<Decision, EngineError> {
        let decider = Decider::new(&self.project, &self.graph, &self.observations, &self.warden);
        let upstream = |producer: StepIndex| match &self.outputs[producer.get()] {
            Some(outputs) => Upstream::Known(outputs),
            None => Upstream::LeftOut,
        };
        let forced = self.scope.forced[step] && self.scope.may_execute[step];
        let insist = match (self.restore.get(&step), forced) {
            (Some(reason), _) => Insist::Restore(reason),
            (None, true) => Insist::Forced,
            (None, false) => Insist::No,
        };
        let index = StepIndex::new(step);
        let decision = decider.decide(index, insist, upstream).await?;
        if let Decision::Satisfied(satisfied) = &decision {
            let again = needs_itself(&self.project, &self.graph, self.step(step), &satisfied.outputs)?;
            if let Some(reason) = again {
                return decider.decide(index, Insist::Restore(&reason), upstream).await;
            }
        }
        Ok(decision)
    }

    fn satisfied(&mut self, step: usize, satisfied: Satisfied) -> Result<(), EngineError> {
        if self.fetches_first(step, &satisfied.outputs)? {
            return Ok(());
        }
        let id = self.step(step).id.clone();
        self.note_contest(satisfied.contest.as_ref(), satisfied.key)?;
        if !self.remembered[step] {
            let (key, saved_ms, reads) = (satisfied.key, satisfied.saved_ms, satisfied.reads);
            self.learned.insert(step, Learned { key, saved_ms, made: false, reads });
        }
        match satisfied.manner {
            Manner::Cached => {
                self.storing.note_use(satisfied.key);
                let outputs = satisfied.outputs.iter();
                self.teller.tell(Event::StepCached {
                    step: id,
                    key: satisfied.key,
                    saved_ms: satisfied.saved_ms,
                    outputs: outputs
                        .filter_map(|(name, artifact)| Some((name.to_string(), artifact.clone()?)))
                        .collect(),
                });
            }
            Manner::Done => {
                self.teller.tell(Event::StepSkipped { step: id, reason: SkipReason::EffectDone });
            }
            Manner::Held(message) => {
                self.teller.tell(Event::StepSkipped { step: id, reason: SkipReason::Held { message } });
            }
        }
        self.outputs_known(step, satisfied.outputs)
    }

    /// Publishes, reads the metrics, asks the gate, and settles the step.
    pub(super) fn outputs_known(&mut self, step: usize, outputs: Outputs) -> Result<(), EngineError> {
        for placed in publish(&self.project, &self.graph, self.step(step), &outputs, &self.id)? {
            self.teller.tell(Event::Published {
                step: self.step(step).id.clone(),
                output: placed.output,
                path: placed.path,
                displaced: placed.displaced.map(String::from),
            });
        }
        let settled = match self.gate_is_open(step, &outputs)? {
            true => Settled::Done,
            false => Settled::Closed,
        };
        self.gate_closed |= settled == Settled::Closed;
        self.want(step, &outputs)?;
        self.outputs[step] = Some(outputs);
        self.settle(step, settled);
        Ok(())
    }

    fn gate_is_open(&mut self, step: usize, outputs: &Outputs) -> Result<bool, EngineError> {
        let Some(values) = metrics(&self.project, self.step(step), outputs)? else { return Ok(true) };
        let id = self.step(step).id.clone();
        if !values.is_empty() {
            self.teller.tell(Event::Metrics { step: id.clone(), values: values.clone() });
        }
        if self.step(step).gate.is_empty() {
            return Ok(true);
        }
        let conditions = ask(self.step(step), &values)?;
        let open = conditions.iter().all(|condition| condition.holds != Some(false));
        self.teller.tell(Event::Gate { step: id, open, conditions });
        Ok(open)
    }

    fn must_run(&mut self, step: usize, execution: Execution) -> Result<(), EngineError> {
        if !self.scope.may_execute[step] {
            let needed = self.step(step).id.to_string();
            return Err(EngineError::OutsideSelection { needed, reason: execution.reason.into_owned() });
        }
        if self.asks_store(step, &execution)? {
            return Ok(());
        }
        let lost = self.lost_producers(step, &execution)?;
        let key = execution.resolved.key;
        if !lost.is_empty() || self.sharing.led_by(step).is_some_and(|led| *led != key) {
            let followers = self.sharing.release(step);
            self.released.extend(followers.into_iter().map(|follower| (follower, step, Settled::Done)));
        }
        if !lost.is_empty() {
            for (producer, reason) in &lost {
                self.restore.insert(*producer, reason.clone());
                self.foreseen[*producer] = None;
            }
            let producers: Vec<usize> = lost.into_keys().collect();
            return match self.machine.reopen(&producers, step) {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.contradiction(&error);
                    Ok(())
                }
            };
        }
        let shares_key = self.step(step).cache && self.step(step).effect.is_none();
        if shares_key && self.sharing.join(step, key) == Role::Follows {
            return Ok(());
        }
        self.teller.tell(Event::StepQueued {
            step: self.step(step).id.clone(),
            key,
            reason: execution.reason.to_string(),
        });
        self.executions.insert(step, execution);
        if let Err(error) = self.machine.ready(step, need(&self.step(step).resources)) {
            self.contradiction(&error);
        }
        Ok(())
    }

    /// A step whose leader ended finds its result; if that failed, it is not tried once more under another name.
    pub(super) async fn follow(&mut self, step: usize, leader: usize, ended: Settled) {
        match ended {
            Settled::Done | Settled::Closed | Settled::LeftOut => {
                self.foreseen[step] = None;
                self.decide(step).await;
            }
            Settled::Failed | Settled::Blocked { .. } => {
                self.tell_blocked(step, leader);
                self.settle(step, Settled::Blocked { by: leader });
            }
        }
    }

    /// The producers whose artifacts this execution needs and the cache has lost, with the reason to run them again.
    fn lost_producers(
        &self,
        step: usize,
        execution: &Execution,
    ) -> Result<BTreeMap<usize, String>, EngineError> {
        let mut lost = BTreeMap::new();
        for material in &execution.resolved.materials {
            let Content::Artifact { artifact, producers } = &material.content else { continue };
            if self.project.cache().available(artifact)? {
                continue;
            }
            for producer in producers {
                let Some(outputs) = &self.outputs[producer.get()] else { continue };
                for (name, artifact) in outputs.iter() {
                    let Some(artifact) = artifact else { continue };
                    if !self.project.cache().available(artifact)? {
                        let is_let_go = is_let_go(self.graph.step(*producer), name);
                        let how = if is_let_go { "was not kept" } else { "gone" };
                        let reason =
                            format!("its output {name} is needed by {} and {how}", self.step(step).id);
                        lost.entry(producer.get()).or_insert(reason);
                    }
                }
            }
        }
        Ok(lost)
    }

    pub(super) fn note_contest(
        &self,
        contest: Option<&Contest>,
        key: tidemill_cache::Key,
    ) -> Result<(), EngineError> {
        match contest {
            Some(contest) => {
                Ok(record_contest(&self.project, &contest.model, &contest.id, contest.rival, key)?)
            }
            None => Ok(()),
        }
    }
}
