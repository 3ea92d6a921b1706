//! From the plan to orders: a pure state machine that says which step may be decided about and which may start.
//!
//! No clock, no input or output, no async: a scheduler bug is a unit test of ten lines.

mod limits;
mod machine;
mod priority;

pub use limits::{Limits, Need};
pub use machine::{Machine, Settled, WrongOrder};
pub use priority::priorities;
