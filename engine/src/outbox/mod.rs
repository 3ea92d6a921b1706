//! The outbox: what is to be told to people and programs, until it has been told. A file for each, so that nothing is lost when a process
//! ends; what cannot be told lies among the dead ones until somebody looks.
//!
//! A promise: what was written here is told at least once, or lies among the dead. Told twice, it has the same id.
//! May not know: what answers triggers, and who listens to the folder.

mod deliver;
mod entry;
mod error;
mod facts;
mod marks;
mod place;
mod shelf;
mod sinks;
mod telling;

pub use deliver::{Listener, Pass, Told, deliver};
pub use entry::{Entry, EntryId, Recipient, What};
pub use error::OutboxError;
pub use marks::look;
pub use shelf::Outbox;
pub use sinks::subscriber;
pub use telling::{Failed, ended, failed};
