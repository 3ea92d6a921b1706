//! Attempts that run elsewhere: an order goes to the store with all that it reads, a worker carries it out, and its report comes back the
//! same way. Who starts the worker is not known here.
//!
//! A worker is told the digest of its order, by whoever starts it. So the store can withhold an order and can never give another one.

mod client;
mod fleet;
mod gpus;
mod launch;
mod ledger;
mod order;
mod proof;
mod ranks;
mod report;
mod stream;
mod surroundings;
mod survey;
mod tidy;
mod worker;

pub(crate) use fleet::{Fleet, Orphan, Post};
pub(crate) use launch::Launch;
pub use ledger::{Label, Noted, NotedJob, noted};
pub use order::{Order, OrderError};
pub use report::{Report, ReportError};
pub use tidemill_executors::{End as JobEnd, State as JobState};

pub use stream::Printed;
pub use survey::{Cancelled, Handed, cancel, survey};
pub use tidy::{MOST_KEPT, tidy};
pub use worker::{Worked, WorkerError, Working, work};
