//! From an order to an attempt: place the inputs, run, watch, take the outputs, publish the result.
//!
//! May not know: the state of other steps, the history.

mod cancel;
mod environment;
mod fences;
mod folder;
mod invocation;
mod kept;
mod outputs;
mod publish;
mod reads;
mod rehearsal;
mod room;
mod undeclared;
mod worker;

pub use cancel::{Cancellation, Urgency};
pub(crate) use environment::shown;
pub use fences::Fences;
pub(crate) use folder::StepFolder;
pub(crate) use invocation::{Invocation, Prepared};
pub use kept::{Card, Kept, Origin, kept, remove_kept};
pub(crate) use kept::{clear_but, leave, newest_failed, remove, work_in, write_card};
pub use outputs::describe;
pub use publish::{Placed, publish};
pub use rehearsal::{Rehearsed, rehearse};
pub use worker::{Attempt, Ended, Finished, Turn, Vacated, attempt};
