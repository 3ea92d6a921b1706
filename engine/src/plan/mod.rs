//! From the graph and the cache to the plan: for every step its key and what is known under it, or what its key waits for.
//!
//! May not know: how attempts are ordered, executed or recorded.

mod command;
mod decide;
mod explain;
mod facts;
mod fetching;
mod fingerprint;
mod foreseen;
mod gate;
mod inputs;
mod judge;
mod look_up;
mod memo;
mod model;
mod now;
mod observe;
mod outputs;
mod python;
mod reason;
mod recipe;
mod rival;
mod select;
mod shared;
mod tool;
mod walk;

pub use command::{Expansion, RunFacts, arguments, text};
pub use decide::{
    Contest, Decider, Decision, Execution, Insist, Manner, Satisfied, remember_execution, target,
};
pub use explain::{
    Change, Difference, Explanation, Explanations, Fate, FileChange, Hidden, LineEnding, Only, Origin, Part,
    Relation, Version, WordChange, explain,
};
pub use facts::{Facts, InputFact, OutputFact, PythonFact};
pub use fetching::absent;
pub use foreseen::{Foreseen, Foresight};
pub(crate) use foreseen::{describe as describe_foreseen, upstream};
pub use gate::{METRICS_LIMIT, Metrics, ask, metrics, outputs_of};
pub use inputs::{Content, Material, Paths, Upstream};
pub use judge::plan;
pub use memo::{Entry, Lists, Memo};
pub use model::{Plan, PlannedStep, Verdict};
pub use now::foresee_now;
pub use observe::{Observations, observe};
pub use outputs::Outputs;
pub(crate) use python::identity as python_identity;
pub use recipe::Resolved;
pub(crate) use recipe::rebuilt;
pub use rival::record as record_contest;
pub use select::{Scope, Selection, unknown};
pub(crate) use tool::find as find_program;
pub use walk::{foresee, is_let_go, needs_itself};
