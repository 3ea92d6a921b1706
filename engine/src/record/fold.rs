//! What a run's events amount to. A journal that was cut at any event gives a record too.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::Serialize;
use tidemill_cache::{Artifact, Key};

use crate::event::{
    Cause, Counts, Elsewhere, Event, Git, Outcome, SkipReason, Stamped, Triggered, Undeclared, Usage,
    UsagePoint,
};
use crate::failure::FailureReport;
use crate::name::{AttemptId, ExecutorName, PipelineName, RunId, StepId};

/// A run in the history.
#[derive(Debug, Clone, Serialize)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The pipeline file, relative to the project.
    pub file: String,
    /// What started it.
    pub cause: Cause,
    /// The trigger and what it answers, if it was started by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggered: Option<Triggered>,
    /// The git commit.
    pub git: Option<Git>,
    /// When it began.
    pub started: jiff::Timestamp,
    /// When it ended; none if it still runs or died.
    pub finished: Option<jiff::Timestamp>,
    /// How it ended; none if it still runs or died.
    pub outcome: Option<Outcome>,
    /// Whether its process lives.
    pub alive: bool,
    /// Wall time in milliseconds, up to the last event.
    pub wall_ms: u64,
    /// How many steps ended in which way.
    pub counts: Counts,
    /// All parameters by dotted name.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Those that were set for this run.
    pub overrides: BTreeMap<String, serde_json::Value>,
    /// The steps, in the order in which they were first heard of.
    pub steps: Vec<StepRecord>,
    /// Notices, in order.
    pub notices: Vec<String>,
    /// The outline of its graph in the cache; none in records of older versions.
    pub graph: Option<Artifact>,
}

/// A step in a run's record.
#[derive(Debug, Clone, Serialize)]
pub struct StepRecord {
    /// Its id.
    pub step: StepId,
    /// `cached`, `queued`, `running`, `executed`, `failed`, `skipped`, `held` or `blocked`.
    pub state: String,
    /// Its key.
    pub key: Option<Key>,
    /// Why it ran, was left out, or could not run.
    pub reason: Option<String>,
    /// Its attempts.
    pub attempts: Vec<AttemptRecord>,
    /// Its outputs.
    pub outputs: BTreeMap<String, Artifact>,
    /// Those of them that were let go in this run when all that read them was done.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped: BTreeSet<String>,
    /// Its metrics by dotted name.
    pub metrics: BTreeMap<String, f64>,
    /// What its gate said.
    pub gate: Option<bool>,
}

/// An attempt in a run's record.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    /// Its id.
    pub attempt: AttemptId,
    /// Its log.
    pub log: Utf8PathBuf,
    /// What it took, if it succeeded.
    pub usage: Option<Usage>,
    /// Why it failed, if it did.
    pub failure: Option<FailureReport>,
    /// What it read that its step did not declare, if that was watched and there is something.
    pub undeclared: Option<Undeclared>,
    /// Where it was made, if not here.
    pub elsewhere: Option<AttemptPlace>,
    /// What it used while it ran, if it ran for long.
    pub used: Vec<UsagePoint>,
}

/// Where an attempt was made, if not on the machine of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptPlace {
    /// The executor.
    pub executor: ExecutorName,
    /// Its name there, once the executor had it.
    pub job: Option<String>,
    /// The machine that it ran on, once it did.
    pub host: Option<String>,
    /// How it fared last.
    pub last: Elsewhere,
}

impl RunRecord {
    /// Folds the events of a run; none if they do not begin with its start.
    #[must_use]
    pub fn fold<E: Borrow<Stamped>>(events: impl IntoIterator<Item = E>, alive: bool) -> Option<Self> {
        let mut rest = events.into_iter();
        let first = rest.next()?;
        let first = first.borrow();
        let Event::RunStarted {
            run, pipeline, file, cause, triggered, git, overrides, params, graph, ..
        } = &first.event
        else {
            return None;
        };
        let mut record = Self {
            run: run.clone(),
            pipeline: pipeline.clone(),
            file: file.clone(),
            cause: *cause,
            triggered: triggered.clone(),
            git: git.clone(),
            started: first.at,
            finished: None,
            outcome: None,
            alive,
            wall_ms: 0,
            counts: Counts::default(),
            params: params.clone(),
            overrides: overrides.clone(),
            steps: Vec::new(),
            notices: Vec::new(),
            graph: graph.clone(),
        };
        let mut places = BTreeMap::new();
        for stamped in rest {
            let stamped = stamped.borrow();
            let elapsed = stamped.at.duration_since(first.at).as_millis();
            record.wall_ms = u64::try_from(elapsed).unwrap_or(0);
            record.add(stamped, &mut places);
        }
        Some(record)
    }

    /// The record of a step.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&StepRecord> {
        self.steps.iter().find(|step| step.step.as_str() == id)
    }

    /// The artifacts that its steps gave, but for those that were let go.
    pub(crate) fn kept(self) -> Vec<Artifact> {
        let kept = |step: StepRecord| {
            let StepRecord { outputs, dropped, .. } = step;
            outputs.into_iter().filter(move |(name, _)| !dropped.contains(name)).map(|(_, artifact)| artifact)
        };
        self.steps.into_iter().flat_map(kept).collect()
    }

    fn add(&mut self, stamped: &Stamped, places: &mut BTreeMap<StepId, usize>) {
        let mut of = |id: &StepId| {
            *places.entry(id.clone()).or_insert_with(|| {
                self.steps.push(StepRecord::new(id));
                self.steps.len() - 1
            })
        };
        match &stamped.event {
            Event::RunStarted { .. } | Event::StepsCached { .. } | Event::Published { .. } => {}
            Event::Notice { message } => self.notices.push(message.clone()),
            Event::RunFinished { outcome, wall_ms, counts } => {
                self.finished = Some(stamped.at);
                self.outcome = Some(*outcome);
                self.wall_ms = *wall_ms;
                self.counts = *counts;
            }
            Event::StepCached { step, .. }
            | Event::StepQueued { step, .. }
            | Event::StepStarted { step, .. }
            | Event::StepElsewhere { step, .. }
            | Event::StepMeasured { step, .. }
            | Event::StepRetried { step, .. }
            | Event::StepRead { step, .. }
            | Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepBlocked { step, .. }
            | Event::Metrics { step, .. }
            | Event::OutputsDropped { step, .. }
            | Event::Gate { step, .. } => {
                let place = of(step);
                self.steps[place].add(&stamped.event);
            }
        }
    }
}

impl AttemptRecord {
    fn fares(&mut self, executor: &ExecutorName, how: &Elsewhere) {
        let place = self.elsewhere.get_or_insert_with(|| AttemptPlace {
            executor: executor.clone(),
            job: None,
            host: None,
            last: how.clone(),
        });
        match how {
            Elsewhere::Submitted { job } => place.job = Some(job.clone()),
            Elsewhere::Running { host } => place.host.clone_from(host),
            _ => {}
        }
        place.last = how.clone();
    }
}

impl StepRecord {
    fn new(step: &StepId) -> Self {
        Self {
            step: step.clone(),
            state: "queued".to_owned(),
            key: None,
            reason: None,
            attempts: Vec::new(),
            outputs: BTreeMap::new(),
            dropped: BTreeSet::new(),
            metrics: BTreeMap::new(),
            gate: None,
        }
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::StepCached { key, outputs, .. } => {
                self.become_state("cached");
                self.reason = None;
                self.key = Some(*key);
                self.outputs = outputs.clone();
            }
            Event::StepQueued { key, reason, .. } => {
                self.become_state("queued");
                self.key = Some(*key);
                self.reason = Some(reason.clone());
            }
            Event::StepStarted { attempt, log, .. } => {
                self.become_state("running");
                self.attempts.push(AttemptRecord {
                    attempt: attempt.clone(),
                    log: log.into(),
                    usage: None,
                    failure: None,
                    undeclared: None,
                    elsewhere: None,
                    used: Vec::new(),
                });
            }
            Event::StepRead { reads, .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.undeclared = Some(reads.clone());
                }
            }
            Event::StepElsewhere { executor, how, .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.fares(executor, how);
                }
            }
            Event::StepMeasured { points, .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.used.clone_from(points);
                }
            }
            Event::StepRetried { report, .. } => self.failed(report),
            Event::StepSucceeded { key, usage, outputs, .. } => {
                self.become_state("executed");
                self.key = Some(*key);
                self.outputs = outputs.clone();
                self.dropped.clear();
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.usage = Some(*usage);
                }
            }
            Event::StepFailed { report, .. } => {
                self.become_state("failed");
                self.failed(report);
            }
            Event::StepSkipped { reason, .. } => {
                let (state, reason) = match reason {
                    SkipReason::EffectDone => ("cached", "its target shows it already".to_owned()),
                    SkipReason::Held { message } => ("held", message.clone()),
                    SkipReason::When { condition } => ("skipped", format!("when {condition} is false")),
                    SkipReason::Upstream { step } => ("skipped", format!("{step} is left out")),
                };
                self.become_state(state);
                self.reason = Some(reason);
            }
            Event::StepBlocked { by, .. } => {
                self.become_state("blocked");
                self.reason = Some(format!("by {by}"));
            }
            Event::Metrics { values, .. } => self.metrics.extend(values.clone()),
            Event::Gate { open, .. } => self.gate = Some(*open),
            Event::OutputsDropped { outputs, .. } => self.dropped.extend(outputs.iter().cloned()),
            Event::RunStarted { .. }
            | Event::StepsCached { .. }
            | Event::Published { .. }
            | Event::Notice { .. }
            | Event::RunFinished { .. } => {}
        }
    }

    fn become_state(&mut self, state: &str) {
        state.clone_into(&mut self.state);
    }

    fn failed(&mut self, report: &FailureReport) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.failure = Some(report.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(event: Event) -> Stamped {
        Stamped { at: jiff::Timestamp::UNIX_EPOCH, event }
    }

    fn story() -> Vec<Stamped> {
        let step = StepId::new(&crate::name::StepName::new("train").unwrap(), &[]);
        let key = Key::of_recipe(b"train");
        let run = RunId::new("r").unwrap();
        let attempt = AttemptId::new(&run, 1);
        [
            Event::RunStarted {
                version: crate::event::VERSION,
                run,
                pipeline: PipelineName::new("p").unwrap(),
                file: "pipeline.toml".to_owned(),
                cause: Cause::Command,
                triggered: None,
                git: None,
                overrides: BTreeMap::new(),
                params: BTreeMap::new(),
                steps: 1,
                graph: None,
            },
            Event::StepQueued { step: step.clone(), key, reason: "has not run yet".to_owned() },
            Event::StepStarted { step: step.clone(), attempt: attempt.clone(), log: "1.log".to_owned() },
            Event::StepSucceeded {
                step: step.clone(),
                attempt,
                key,
                usage: Usage::default(),
                outputs: BTreeMap::new(),
                unchanged: false,
            },
            Event::Metrics { step: step.clone(), values: BTreeMap::from([("rmse".to_owned(), 1.5)]) },
            Event::Gate { step, open: true, conditions: Vec::new() },
            Event::RunFinished {
                outcome: Outcome::Succeeded,
                wall_ms: 5,
                counts: Counts { executed: 1, ..Counts::default() },
            },
        ]
        .into_iter()
        .map(stamped)
        .collect()
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_gives_a_record() {
        let events = story();
        assert!(RunRecord::fold(story().drain(..0), false).is_none());
        for length in 1..events.len() {
            let record = RunRecord::fold(&events[..length], false).unwrap();
            assert_eq!(record.outcome, None, "cut after {length}");
        }
        let states: Vec<String> = (2..=events.len())
            .map(|length| RunRecord::fold(&events[..length], false).unwrap().steps[0].state.clone())
            .collect();
        assert_eq!(states, ["queued", "running", "executed", "executed", "executed", "executed"]);
        let whole = RunRecord::fold(&events, false).unwrap();
        assert_eq!(whole.outcome, Some(Outcome::Succeeded));
        assert_eq!(whole.steps[0].metrics["rmse"], 1.5);
        assert_eq!(whole.steps[0].gate, Some(true));
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        for event in story() {
            let text = serde_json::to_string(&event).unwrap();
            let read: Stamped = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
