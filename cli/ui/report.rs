//! What a run's events amount to for the words at its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_engine::event::{Condition, Counts, Event, Outcome, SkipReason, Stamped, Subscriber};
use tidemill_engine::failure::{Failure, FailureReport};
use tidemill_engine::name::{RunId, StepId};

/// What is worth saying at the end of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The run.
    pub(crate) run: Option<RunId>,
    /// What the cached steps had taken when they ran, in milliseconds.
    pub(crate) saved_ms: u64,
    /// Metrics by step, in the order of the events.
    pub(crate) metrics: Vec<(StepId, BTreeMap<String, f64>)>,
    /// What gates said.
    pub(crate) gates: Vec<Gate>,
    /// What was published, as `step.output` and path.
    pub(crate) published: Vec<(String, String)>,
    /// What failed; a step that was told to stop did not.
    pub(crate) failures: Vec<Failed>,
    /// How many steps were told to stop.
    pub(crate) stopped: usize,
    /// What could not run, and because of which step.
    pub(crate) blocked: Vec<(StepId, StepId)>,
    /// What a rollback holds back, and why.
    pub(crate) held: Vec<(StepId, String)>,
    /// How the run ended, how long it took, and how many steps ended in which way.
    pub(crate) end: Option<(Outcome, u64, Counts)>,
}

/// What a gate said.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The step that it belongs to.
    pub(crate) step: StepId,
    /// Whether the downstream steps go on.
    pub(crate) open: bool,
    /// Each condition with its values.
    pub(crate) conditions: Vec<Condition>,
}

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The step.
    pub(crate) step: StepId,
    /// Why.
    pub(crate) report: FailureReport,
}

impl Report {
    /// The report of a run from its events.
    pub(crate) fn of(events: &[Stamped]) -> Self {
        let mut report = Self::default();
        events.iter().for_each(|stamped| report.add(&stamped.event));
        report
    }

    /// Takes an event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, .. } => self.run = Some(run.clone()),
            Event::StepCached { saved_ms, .. } => self.saved_ms = self.saved_ms.saturating_add(*saved_ms),
            Event::StepFailed { report, .. } if report.failure == Failure::Cancelled => self.stopped += 1,
            Event::StepFailed { step, report, .. } => {
                self.failures.push(Failed { step: step.clone(), report: report.clone() });
            }
            Event::StepSkipped { step, reason: SkipReason::Held { message } } => {
                self.held.push((step.clone(), message.clone()));
            }
            Event::StepBlocked { step, by } => self.blocked.push((step.clone(), by.clone())),
            Event::Metrics { step, values, .. } => self.add_metrics(step, values),
            Event::Gate { step, open, conditions } => {
                self.gates.retain(|gate| gate.step != *step);
                let (step, conditions) = (step.clone(), conditions.clone());
                self.gates.push(Gate { step, open: *open, conditions });
            }
            Event::Published { step, output, path, .. } => {
                self.published.push((format!("{step}.{output}"), path.clone()));
            }
            Event::RunFinished { outcome, wall_ms, counts } => {
                self.end = Some((*outcome, *wall_ms, *counts));
            }
            Event::StepQueued { .. }
            | Event::StepStarted { .. }
            | Event::StepRetried { .. }
            | Event::StepSucceeded { .. }
            | Event::StepSkipped { .. }
            | Event::Notice { .. } => {}
        }
    }

    fn add_metrics(&mut self, step: &StepId, values: &BTreeMap<String, f64>) {
        match self.metrics.iter_mut().find(|(known, _)| known == step) {
            Some((_, known)) => known.extend(values.clone()),
            None => self.metrics.push((step.clone(), values.clone())),
        }
    }

    /// The steps that could not run because of this one.
    pub(crate) fn blocked_by(&self, step: &StepId) -> Vec<&StepId> {
        self.blocked.iter().filter(|(_, by)| by == step).map(|(blocked, _)| blocked).collect()
    }
}

/// A report that grows while a run goes on; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Report>>);

impl Collected {
    /// What was collected.
    pub(crate) fn take(&self) -> Report {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Collected {
    fn on(&mut self, event: &Stamped) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(&event.event);
    }
}
