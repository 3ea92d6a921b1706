//! Work: the built-in steps, each a typed interface and a function over a folder.
//!
//! A step's folder here holds its `With` table (whose comments are its manual), its interface and its work. It knows only
//! the engine's small public vocabulary; it runs as a child process and speaks through its exit code and its log.

mod catalog;
mod deploy;
mod effect;
mod error;
mod evaluate;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod ingest;
mod nearest;
mod predict;
mod preprocess;
mod register;
mod say;
mod scores;
mod table;
mod task;
mod train;
mod transform;
mod validate;
mod with;

pub mod model;

pub use catalog::{catalog, perform, run};
pub use error::StepError;
pub use task::Task;
