//! The conductor: the one loop that asks the plan, feeds the schedule, drives attempts and tells what happens.

mod attempts;
mod conductor;
mod deciding;
mod elsewhere;
mod estimate;
mod forecast;
mod git;
mod last_line;
mod leftovers;
mod live;
mod machine_facts;
mod pulses;
mod releasing;
mod remembering;
mod sharing;
mod storing;
mod tally;
mod tasks;
mod teller;

use crate::event::{Cause, Counts, Outcome, Triggered};
use crate::name::RunId;
use crate::plan::Selection;
use crate::record::Recap;

pub(crate) use conductor::need;
pub use conductor::run;
pub use forecast::forecast;
pub(crate) use git::state as git_state;
pub(crate) use machine_facts::limits;

/// How a run is to go.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Which steps may execute.
    pub selection: Selection,
    /// How many steps may run at once; as many as there are cores if nothing was said.
    pub jobs: Option<usize>,
    /// Whether independent branches go on after a failure.
    pub keep_going: bool,
    /// What started the run.
    pub cause: Cause,
    /// What it answers, if a trigger started it.
    pub triggered: Option<Triggered>,
    /// Its id, if somebody has to know it before it begins.
    pub id: Option<RunId>,
}

impl RunOptions {
    /// A run of everything.
    #[must_use]
    pub fn new(cause: Cause) -> Self {
        Self {
            selection: Selection::default(),
            jobs: None,
            keep_going: false,
            cause,
            triggered: None,
            id: None,
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// How many steps ended in which way.
    pub counts: Counts,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// What ran and why, what was saved, what was measured, published, decided.
    #[serde(flatten)]
    pub recap: Recap,
}
