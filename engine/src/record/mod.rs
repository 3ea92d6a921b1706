//! From events to history: an append-only journal per run, and what is folded from it.
//!
//! May not know: how a run is planned, scheduled or executed; it sees events only.

mod fold;
mod history;
mod journal;

pub use fold::{AttemptRecord, RunRecord, StepRecord};
pub use history::{History, RecordError};
pub use journal::Journal;
