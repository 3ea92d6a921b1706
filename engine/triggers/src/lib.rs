//! What starts runs, as values: schedules and when they are due, events as they come over HTTP, and who may send them.
//!
//! Nothing here waits, opens a file or speaks to anybody.

pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod pattern;
pub mod schedule;
pub mod webhook;

pub use event::CloudEvent;
pub use pattern::{Pattern, PatternError};
pub use schedule::{CatchUp, Missed, Schedule, ScheduleError, jitter, missed};
pub use webhook::Sender;
