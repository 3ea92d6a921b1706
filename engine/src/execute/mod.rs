//! From an order to an attempt: place the inputs, run, watch, take the outputs, publish the result.
//!
//! May not know: the state of other steps, the history.

mod cancel;
mod environment;
mod folder;
mod outputs;
mod publish;
mod undeclared;
mod worker;

pub use cancel::{Cancellation, Urgency};
pub use outputs::describe;
pub use publish::{Placed, publish};
pub use worker::{Attempt, Finished, attempt};
