//! All that is kept of a run, read once: its record and events, and what the cache knows of the keys of its steps.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill_cache::ActionResult;
use tidemill_engine::Project;
use tidemill_engine::event::{Event, Stamped};
use tidemill_engine::graph::{self, State};
use tidemill_engine::plan::{Facts, PythonFact};
use tidemill_engine::record::{History, RunRecord, StepRecord};

use super::attempts::{self, Span};
use crate::error::CliError;
use crate::ui::text::clean;

/// A run with all that is known of it.
pub(super) struct Run<'a> {
    /// Where it ran.
    pub(super) project: &'a Project,
    /// Its record.
    pub(super) record: &'a RunRecord,
    /// Its events.
    pub(super) events: Vec<Stamped>,
    /// Its steps, in the order of the record.
    pub(super) steps: Vec<Step<'a>>,
    /// The Pythons of its steps, each once, with the steps that they belong to.
    pub(super) pythons: Vec<(PythonFact, Vec<String>)>,
}

/// A step with all that is known of it.
pub(super) struct Step<'a> {
    /// Its record.
    pub(super) record: &'a StepRecord,
    /// How it stands.
    pub(super) state: Standing,
    /// What its recipe says; none if that is gone from the cache. Its Python is in [`Run::pythons`].
    pub(super) facts: Option<Facts>,
    /// What its key gave; none if that is gone, or if it failed.
    pub(super) result: Option<ActionResult>,
    /// What the cache saved, in milliseconds.
    pub(super) saved_ms: Option<u64>,
    /// Its attempts in the time of the run.
    pub(super) spans: Vec<Span>,
}

/// How a step stands, in words, signs and classes of the stylesheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    pub(super) word: &'static str,
    pub(super) sign: &'static str,
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        Self { word: state.word(), sign: state.sign() }
    }
}

impl<'a> Run<'a> {
    /// Reads all that is kept of a run.
    pub(super) fn read(
        project: &'a Project,
        history: &History,
        record: &'a RunRecord,
    ) -> Result<Self, CliError> {
        let events = history.events(&record.run)?;
        let states = graph::states_of(record);
        let saved = saved(&events);
        let mut spans = attempts::spans(&events);
        let mut pythons: Vec<(PythonFact, Vec<String>)> = Vec::new();
        let mut steps = Vec::with_capacity(record.steps.len());
        for step in &record.steps {
            let mut facts = match &step.key {
                Some(key) => project.cache().recipe(key)?.as_ref().map(Facts::of),
                None => None,
            };
            if let Some(python) = facts.as_mut().and_then(|facts| facts.python.take()) {
                let id = clean(step.step.as_str());
                match pythons.iter_mut().find(|(known, _)| *known == python) {
                    Some((_, users)) => users.push(id),
                    None => pythons.push((python, vec![id])),
                }
            }
            let result = match &step.key {
                Some(key) if !step.outputs.is_empty() || step.state == "cached" => {
                    project.cache().result(key)?
                }
                _ => None,
            };
            let state = states.get(&step.step).copied().unwrap_or(State::Waiting).into();
            let id = step.step.as_str();
            let (saved_ms, spans) = (saved.get(id).copied(), spans.remove(id).unwrap_or_default());
            steps.push(Step { record: step, state, facts, result, saved_ms, spans });
        }
        drop(spans);
        Ok(Self { project, record, events, steps, pythons })
    }

    /// What the cache saved in all, in milliseconds.
    pub(super) fn saved_ms(&self) -> u64 {
        self.steps.iter().filter_map(|step| step.saved_ms).fold(0, u64::saturating_add)
    }

    /// The machines on which its attempts ran, each once.
    pub(super) fn hosts(&self) -> Vec<String> {
        let here = |result: &&ActionResult| result.run == self.record.run.as_str();
        let mut hosts: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| step.result.as_ref())
            .filter(here)
            .map(|result| clean(&result.host))
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// What the cache saved for each step, in milliseconds.
fn saved(events: &[Stamped]) -> BTreeMap<&str, u64> {
    let saved = events.iter().filter_map(|stamped| match &stamped.event {
        Event::StepCached { step, saved_ms, .. } => Some((step.as_str(), *saved_ms)),
        _ => None,
    });
    saved.collect()
}

impl Step<'_> {
    /// Its name as a page shows it.
    pub(super) fn name(&self) -> String {
        clean(self.record.step.as_str())
    }
}
