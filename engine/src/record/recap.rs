//! What a run's events amount to for whoever looks at its end: what ran and why, what was saved, metrics with their change, what the
//! gates said, what was published, what failed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fold::RunRecord;
use crate::event::{Condition, Event, SkipReason, Stamped};
use crate::failure::{Failure, FailureReport};
use crate::name::{RunId, StepId};

/// What is worth saying at the end of a run. It grows with the events, and may be looked at after any of them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Recap {
    /// The steps that executed, in the order in which they ended.
    pub ran: Vec<Ran>,
    /// What the cache saved.
    pub saved: Saved,
    /// Metrics by step, in the order in which they were read.
    pub metrics: Vec<Measured>,
    /// The earlier run whose metrics they are compared with.
    pub against: Option<RunId>,
    /// What gates said.
    pub gates: Vec<GateAnswer>,
    /// What a rollback holds back.
    pub held: Vec<HeldStep>,
    /// What was published.
    pub published: Vec<PublishedOutput>,
    /// What failed; a step that was told to stop did not.
    pub failures: Vec<FailedStep>,
    /// The steps that were told to stop.
    pub stopped: Vec<StepId>,
    /// What could not run.
    pub blocked: Vec<BlockedStep>,
    /// What model servers should serve now, as far as this pipeline deploys to them.
    pub live: Vec<Live>,
    /// What went to the store and came from it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<tidemill_store::Transfer>,
    #[serde(skip)]
    reasons: BTreeMap<StepId, String>,
    #[serde(skip)]
    started: BTreeMap<StepId, jiff::Timestamp>,
}

/// A step that executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ran {
    /// The step.
    pub step: StepId,
    /// Why, in a few words.
    pub reason: String,
    /// How long its last attempt took, in milliseconds.
    pub wall_ms: u64,
    /// How it ended.
    pub end: StepEnd,
}

/// How a step that executed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// It gave its outputs.
    Succeeded,
    /// It gave the same bytes as before.
    Unchanged,
    /// It failed.
    Failed,
}

/// What the cache saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// How many steps were found in it.
    pub steps: usize,
    /// What they had taken when they ran, in milliseconds.
    pub ms: u64,
    /// The bytes of their outputs, which nobody had to make again.
    pub bytes: u64,
}

/// The metrics of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The step.
    pub step: StepId,
    /// Its metrics by dotted name.
    pub values: BTreeMap<String, MetricChange>,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MetricChange {
    /// What it is.
    pub value: f64,
    /// What it was in the earlier run.
    pub before: Option<f64>,
}

/// What a gate said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateAnswer {
    /// The step that it belongs to.
    pub step: StepId,
    /// Whether the downstream steps go on.
    pub open: bool,
    /// Each condition with its values.
    pub conditions: Vec<Condition>,
}

/// An output that was placed in the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedOutput {
    /// The step.
    pub step: StepId,
    /// The output.
    pub output: String,
    /// Where, relative to the pipeline's folder.
    pub path: String,
}

/// A step that a rollback holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldStep {
    /// The step.
    pub step: StepId,
    /// What is held, by whom, since when.
    pub message: String,
}

/// A step that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedStep {
    /// The step.
    pub step: StepId,
    /// Why.
    pub report: FailureReport,
}

/// A step that could not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockedStep {
    /// The step.
    pub step: StepId,
    /// Because of which step.
    pub by: StepId,
}

/// What a model server should serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The endpoint's name.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// On how many rows its smoke test passed before it went live.
    pub smoke_rows: u64,
    /// Whether this run deployed it.
    pub new: bool,
}

impl Recap {
    /// The recap of events.
    #[must_use]
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut recap = Self::default();
        events.into_iter().for_each(|stamped| recap.add(stamped));
        recap
    }

    /// Takes an event.
    pub fn add(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::StepCached { saved_ms, outputs, .. } => {
                self.saved.steps += 1;
                self.saved.ms = self.saved.ms.saturating_add(*saved_ms);
                self.saved.bytes += outputs.values().map(|artifact| artifact.size).sum::<u64>();
            }
            Event::StepsCached { steps, saved_ms, bytes, .. } => {
                self.saved.steps += steps;
                self.saved.ms = self.saved.ms.saturating_add(*saved_ms);
                self.saved.bytes = self.saved.bytes.saturating_add(*bytes);
            }
            Event::StepQueued { step, reason, .. } => {
                self.reasons.insert(step.clone(), reason.clone());
            }
            Event::StepStarted { step, .. } => {
                self.started.insert(step.clone(), stamped.at);
            }
            Event::StepSucceeded { step, usage, unchanged, .. } => {
                let end = if *unchanged { StepEnd::Unchanged } else { StepEnd::Succeeded };
                self.add_ran(step, usage.wall_ms, end);
            }
            Event::StepFailed { step, report, .. } => self.add_failed(step, report, stamped.at),
            Event::StepSkipped { step, reason: SkipReason::Held { message } } => {
                self.held.push(HeldStep { step: step.clone(), message: message.clone() });
            }
            Event::StepBlocked { step, by } => {
                self.blocked.push(BlockedStep { step: step.clone(), by: by.clone() });
            }
            Event::Metrics { step, values } => self.add_metrics(step, values),
            Event::Gate { step, open, conditions } => {
                self.gates.retain(|gate| gate.step != *step);
                let (step, conditions) = (step.clone(), conditions.clone());
                self.gates.push(GateAnswer { step, open: *open, conditions });
            }
            Event::Published { step, output, path, .. } => {
                let (step, output, path) = (step.clone(), output.clone(), path.clone());
                self.published.push(PublishedOutput { step, output, path });
            }
            Event::RunStarted { .. }
            | Event::StepElsewhere { .. }
            | Event::StepMeasured { .. }
            | Event::StepRetried { .. }
            | Event::StepRead { .. }
            | Event::StepSkipped { .. }
            | Event::OutputsDropped { .. }
            | Event::Notice { .. }
            | Event::RunFinished { .. } => {}
        }
    }

    fn add_ran(&mut self, step: &StepId, wall_ms: u64, end: StepEnd) {
        let reason = self.reasons.remove(step).unwrap_or_default();
        self.started.remove(step);
        self.ran.push(Ran { step: step.clone(), reason, wall_ms, end });
    }

    fn add_failed(&mut self, step: &StepId, report: &FailureReport, at: jiff::Timestamp) {
        if report.failure == Failure::Cancelled {
            return self.stopped.push(step.clone());
        }
        if let Some(started) = self.started.get(step) {
            let wall_ms = u64::try_from(at.duration_since(*started).as_millis()).unwrap_or(0);
            self.add_ran(step, wall_ms, StepEnd::Failed);
        }
        self.failures.push(FailedStep { step: step.clone(), report: report.clone() });
    }

    fn add_metrics(&mut self, step: &StepId, values: &BTreeMap<String, f64>) {
        let metrics =
            values.iter().map(|(name, value)| (name.clone(), MetricChange { value: *value, before: None }));
        match self.metrics.iter_mut().find(|known| known.step == *step) {
            Some(known) => known.values.extend(metrics),
            None => self.metrics.push(Measured { step: step.clone(), values: metrics.collect() }),
        }
    }

    /// Compares the metrics with those of an earlier run.
    pub fn compare(&mut self, earlier: &RunRecord) {
        let known: BTreeMap<&StepId, &BTreeMap<String, f64>> =
            earlier.steps.iter().map(|step| (&step.step, &step.metrics)).collect();
        for measured in &mut self.metrics {
            let Some(before) = known.get(&measured.step) else { continue };
            for (name, metric) in &mut measured.values {
                metric.before = before.get(name).copied();
            }
        }
        let compared = |measured: &Measured| measured.values.values().any(|metric| metric.before.is_some());
        self.against = self.metrics.iter().any(compared).then(|| earlier.run.clone());
    }

    /// The steps that could not run because of this one.
    #[must_use]
    pub fn blocked_by(&self, step: &StepId) -> Vec<&StepId> {
        self.blocked.iter().filter(|blocked| blocked.by == *step).map(|blocked| &blocked.step).collect()
    }
}
