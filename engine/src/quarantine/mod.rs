//! Quarantine: takes out bad results and all that was derived from them, and tells which models and live deployments rest on
//! them. First a plan that can be shown, then done; what was done can be undone.
//!
//! What is derived is read from the recipes alone (`derived`, which is pure): a result is, if it read a content that a withdrawn result
//! made and that nothing else made.

mod act;
mod assess;
mod derived;
mod evidence;
mod live;
#[cfg(test)]
mod tests;

pub use act::{Done, GivenBack, Listed, Told, list, quarantine, undo};
pub use assess::{Assessment, Planned, Request, Why, assess};
pub use live::{LiveEffect, LiveEndpoint, LiveModel};
