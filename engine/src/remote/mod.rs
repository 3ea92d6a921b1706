//! Attempts that run elsewhere: an order goes to the store with all that it reads, a worker carries it out, and its report comes back the
//! same way. Who starts the worker is not known here.
//!
//! A worker is told the digest of its order, by whoever starts it. So the store can withhold an order and can never give another one.

mod order;
mod proof;
mod report;
mod worker;

pub use order::{Order, OrderError};
pub use report::{Report, ReportError};
pub use worker::{WorkerError, work};
