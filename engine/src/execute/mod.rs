//! From an order to an attempt: place the inputs, run, watch, take the outputs, publish the result.
//!
//! May not know: the state of other steps, the history.

mod cancel;
mod checkpoint;
mod environment;
mod fences;
mod folder;
mod invocation;
mod kept;
mod log;
mod memory;
mod outputs;
mod publish;
mod reads;
mod rehearsal;
mod room;
mod saving;
mod undeclared;
mod usage;
mod worker;

pub use cancel::{Cancellation, Urgency};
pub(crate) use checkpoint::checkpoints;
pub use environment::RENDEZVOUS;
pub(crate) use environment::{secrets, shown};
pub use fences::Fences;
pub(crate) use folder::StepFolder;
pub(crate) use invocation::{Invocation, Prepared};
pub use kept::{Card, Kept, Origin, kept, remove_kept};
pub(crate) use kept::{clear_but, leave, newest_failed, remove, work_in, write_card};
pub(crate) use log::tail;
pub use outputs::describe;
pub use publish::{Placed, publish};
pub use rehearsal::{Rehearsed, rehearse};
pub(crate) use worker::record;
pub use worker::{Attempt, Ended, Finished, Turn, Vacated, attempt};
