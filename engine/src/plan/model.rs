//! The plan as people and machines read it.

use std::borrow::Cow;

use serde::Serialize;
use tidemill_cache::Key;

use crate::graph::{Facts, State};
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
    pub reason: Cow<'static, str>,
    /// Its key, if it is known before anything runs.
    pub key: Option<Key>,
    /// That it is known to give other bytes when it is repeated, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<Box<str>>,
    /// Whether a result of its key was found.
    #[serde(skip)]
    pub has_result: bool,
    /// How long it is expected to take if it runs, in milliseconds. A forecast says so, if the step ever ran.
    pub expected_ms: Option<u64>,
    /// How many bytes have to be fetched from the store for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub fetch_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What would happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its result is found in the cache.
    Cached,
    /// Its target already shows the last success.
    #[serde(rename = "current")]
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

impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Cached => Self::Cached,
            Verdict::Done => Self::Done,
            Verdict::Run => Self::Run,
            Verdict::Maybe => Self::Maybe,
            Verdict::Blocked => Self::Blocked,
            Verdict::Skipped => Self::Skipped,
            Verdict::Held => Self::Held,
        }
    }
}

impl Plan {
    /// What it says of the steps, for drawings.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let mut facts = Facts { source: Some("What a run would do now.".to_owned()), ..Facts::default() };
        for PlannedStep { step, verdict, reason, key, .. } in &self.steps {
            facts.states.insert(step.clone(), (*verdict).into());
            facts.reasons.insert(step.clone(), reason.to_string());
            facts.keys.extend(key.map(|key| (step.clone(), key.to_string())));
        }
        facts
    }

    /// Whether a run would execute anything.
    #[must_use]
    pub fn would_run(&self) -> bool {
        self.steps.iter().any(|step| step.verdict.may_run())
    }
}

impl Verdict {
    /// Whether a run executes the step, or may.
    #[must_use]
    pub fn may_run(self) -> bool {
        matches!(self, Self::Run | Self::Maybe)
    }
}
