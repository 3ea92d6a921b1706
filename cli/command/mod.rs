//! The commands, one file each: the arguments, whose comments are the help, and `run`, which asks the engine for one thing
//! and hands the answer to the [`crate::ui`].

pub(crate) mod cache;
mod cache_gc;
mod cache_pin;
pub(crate) mod cache_quarantine;
pub(crate) mod cache_verify;
pub(crate) mod check;
pub(crate) mod comparing;
pub(crate) mod completions;
pub(crate) mod debug;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod explain_error;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod params;
pub(crate) mod plan;
pub(crate) mod plots;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod step;
pub(crate) mod store;
pub(crate) mod verify;
