//! The desk: the one place of a process that talks to an engine, so that it is asked little however many jobs there are. It gathers what
//! is submitted, asks for all states at once, waits while the engine is away, and tells each follower the news of his job.
//!
//! What is decided is in the [machine](self::machine), which knows neither engine nor clock; what is done is in the [work](self::work),
//! which decides nothing.

mod command;
mod entry;
mod follower;
mod gathering;
mod handle;
mod ledger;
mod machine;
mod news;
mod pace;
mod patience;
mod repeated;
mod work;

pub use handle::{Desk, Following};
pub use ledger::Ledger;
pub use news::News;
pub use pace::Pace;
