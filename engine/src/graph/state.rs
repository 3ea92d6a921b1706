//! How a step stands, in a plan or in a run, for drawings and reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::StepId;
use crate::record::RunRecord;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It failed.
    Failed,
    /// It cannot run because of another.
    Blocked,
    /// A rollback holds it back.
    Held,
    /// It runs now.
    Running,
    /// It would run.
    Run,
    /// It would run unless the steps before it give the same bytes as before.
    Maybe,
    /// Its turn has not come.
    Waiting,
    /// It was executed.
    Executed,
    /// Its result is, or was, found in the cache.
    Cached,
    /// Its target already shows the last success.
    Done,
    /// It is left out.
    Skipped,
}

/// The states of steps; of those that are not in it nothing is known.
pub type States = BTreeMap<StepId, State>;

impl State {
    /// All states, from the one that matters most to the one that matters least.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Blocked,
        Self::Held,
        Self::Running,
        Self::Run,
        Self::Maybe,
        Self::Waiting,
        Self::Executed,
        Self::Cached,
        Self::Done,
        Self::Skipped,
    ];

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Running => "running",
            Self::Run => "run",
            Self::Maybe => "maybe",
            Self::Waiting => "waiting",
            Self::Executed => "executed",
            Self::Cached => "cached",
            Self::Done => "current",
            Self::Skipped => "skipped",
        }
    }

    /// A sign for the state, so that it is known without its colour.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Failed => "✗",
            Self::Blocked => "⊘",
            Self::Held => "‖",
            Self::Running => "◐",
            Self::Run => "▶",
            Self::Maybe => "?",
            Self::Waiting => "…",
            Self::Executed => "✓",
            Self::Cached => "=",
            Self::Done => "≡",
            Self::Skipped => "–",
        }
    }

    /// The state that a word of a run's record names (see [`crate::record::StepRecord::state`]).
    #[must_use]
    pub fn of_record(word: &str) -> Option<Self> {
        Some(match word {
            "cached" => Self::Cached,
            "queued" => Self::Waiting,
            "running" => Self::Running,
            "executed" => Self::Executed,
            "failed" => Self::Failed,
            "skipped" => Self::Skipped,
            "held" => Self::Held,
            "blocked" => Self::Blocked,
            _ => return None,
        })
    }
}

/// The states of the steps in a run. A step that a dead run left running has failed.
#[must_use]
pub fn states_of(run: &RunRecord) -> States {
    let over = !run.alive;
    let state = |word: &str| match State::of_record(word) {
        Some(State::Running) if over => Some(State::Failed),
        state => state,
    };
    run.steps.iter().filter_map(|step| Some((step.step.clone(), state(&step.state)?))).collect()
}
