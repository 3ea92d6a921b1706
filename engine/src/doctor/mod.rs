//! Is everything as it should be? The project, its state, the cache, this machine: looked at one by one, each with what to do.
//!
//! One check is one function that gives its findings; [`examine`] lists them in the order in which they are told. A check looks, and
//! leaves everything as it was.

mod cache;
mod examine;
mod executors;
mod finding;
mod gpus;
mod machine;
mod pipelines;
mod programs;
mod state;
mod store;

pub use examine::{Examined, examine};
pub use finding::{Fault, Finding, Report, Standing};
