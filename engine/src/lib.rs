//! Order: from one TOML file to a recorded run; knows no built-in step by name and prints nothing.
//!
//! Data flows one way: spec → graph → plan → schedule → execute → record. A later room may know an earlier one, never the
//! other way round. All that leaves a run are [`event::Event`]s.

pub mod artifact;
pub mod debug;
pub mod doctor;
pub mod effects;
pub mod error;
pub mod event;
pub mod exchange;
pub mod execute;
pub mod executors;
pub mod failure;
pub mod few;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod garbage;
mod gpus;
pub mod graph;
mod happened;
pub mod interface;
pub mod keep;
pub mod load;
pub mod name;
pub mod outbox;
pub mod pin;
pub mod plan;
pub mod policy;
pub mod process;
pub mod project;
pub mod quarantine;
pub mod record;
pub mod registry;
pub mod remote;
pub mod repair;
pub mod repeat;
pub mod repeats;
pub mod retries;
pub mod run;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod sink;
pub mod spec;
pub mod store;
mod suggest;
pub mod trial;
pub mod trigger;
pub mod withdrawn;
pub mod words;

pub use error::{EngineError, ErrorKind};
pub use execute::Cancellation;
pub use load::{LoadError, Overrides, load};
pub use plan::{Explanation, Explanations, Plan, PlannedStep, Selection, Verdict, explain, plan};
pub use project::{Project, Settings};
pub use run::{RunOptions, RunSummary, forecast, run};
pub use schedule::Forecast;

/// A value of a parameter, of a matrix axis or of a `with` table: the canonical document that enters keys.
pub type Value = tidemill_cache::Document;
