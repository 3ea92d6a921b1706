//! From events to history: an append-only journal per run, what is folded from it, an index over all of them, and a memory of what
//! steps used.
//!
//! May not know: how a run is planned, scheduled or executed; it sees events only.

mod cached;
mod endings;
mod error;
mod journal;
mod presence;
mod stop;
mod usage;

mod fold;
mod follow;
mod line;
mod recap;

mod compare;
mod history;
mod opponents;

mod column;
mod condition;
mod index;
mod query;
mod sync;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod sample;

pub use cached::{CachedStep, keep_list};
pub use column::{Column, Field};
pub use compare::{
    Metric, MetricRow, MetricsDiff, Param, ParamRow, ParamsDiff, Rows, RunMetrics, RunParams, metrics_diff,
    params_diff,
};
pub use condition::Condition;
pub use error::RecordError;
pub use fold::{AttemptPlace, AttemptRecord, RunRecord, StepRecord};
pub use follow::Follower;
pub use history::History;
pub use journal::Journal;
pub use line::{RunLine, standing};
pub use opponents::{Measure, opponents};
pub use presence::Presence;
pub use query::{Found, OfPipeline, Query, Sort, column_names};
pub use recap::{
    BlockedStep, FailedStep, GateAnswer, HeldStep, Live, Measured, MetricChange, PublishedOutput, Ran, Recap,
    Saved, StepEnd,
};
pub use stop::StopError;
pub use usage::{Past, Source, Usages, remember_usage};
