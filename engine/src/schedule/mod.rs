//! From the plan to orders: a pure state machine that says which step may be decided about and which may start.
//!
//! Beside it stands the forecast: the same policy, played many times with durations of the past.
//!
//! No clock, no input or output, no async: a scheduler bug is a unit test of ten lines.

mod devices;
mod forecast;
mod limits;
mod machine;
mod order;
mod priority;
#[cfg(test)]
mod quality;
mod simulate;
#[cfg(test)]
mod tests;

pub(crate) use devices::Devices;
pub use devices::{Device, Others, Share};
pub use forecast::{Estimate, Forecast, Interval, Work, forecast};
pub use limits::{Held, Limits, Need};
pub use machine::{Machine, Settled, WrongOrder};
pub use order::{best_order, may_be_searched};
pub use priority::priorities;
pub use simulate::{Simulation, Task};
