//! The plan as people and machines read it.

use serde::Serialize;
use tidemill_cache::Key;

use crate::name::StepId;

/// What a run would do, step by step, in the order of the graph.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// What a run would do with one step.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// The step.
    pub step: StepId,
    /// What would happen.
    pub verdict: Verdict,
    /// Why, in a few words.
    pub reason: String,
    /// Its key, if it is known before anything runs.
    pub key: Option<Key>,
}

/// What would happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its result is found in the cache.
    Cached,
    /// Its target already shows the last success.
    Done,
    /// It runs.
    Run,
    /// It runs unless the steps before it give the same bytes as before.
    Maybe,
    /// A closed gate or a missing selection keeps it from running.
    Blocked,
    /// It is left out.
    Skipped,
    /// A rollback holds it back.
    Held,
}

impl Plan {
    /// Whether a run would execute anything.
    #[must_use]
    pub fn would_run(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.verdict, Verdict::Run | Verdict::Maybe))
    }
}
