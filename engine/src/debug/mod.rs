//! A step's folder to look around in, with the very process that a run starts there: that of an attempt that failed, or a fresh one.
//!
//! What is done in it enters neither the cache nor the history: nothing is captured, and its files are its own.

mod folder;
mod making;
mod script;

pub use folder::{DebugFolder, Ending, Present};
pub use making::{Which, open};
