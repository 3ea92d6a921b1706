//! What the dispatcher tells, and why it ends.

use std::io;
use std::sync::Arc;

use crate::graph::Lacking;
use crate::name::RunId;
use crate::project::ProjectError;
use crate::trigger::pipelines::Pipelines;
use crate::trigger::queue::{Arrival, QueueError, Settled};

/// What happens.
#[derive(Debug)]
pub enum Told<'a> {
    /// These are the pipelines and their triggers now.
    Triggers(&'a Pipelines),
    /// A file cannot be used as it is now.
    Mistake {
        /// The file.
        file: &'a str,
        /// Why.
        reason: &'a str,
        /// Whether its triggers stay as they were; else it has none.
        stays: bool,
    },
    /// Changes are looked for again and again.
    Polling {
        /// The trigger.
        trigger: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Something arrived, and is kept.
    Arrived(&'a Arrival),
    /// Times came while nobody looked, and lead to no run.
    Skipped {
        /// The trigger.
        trigger: &'a str,
        /// How many.
        times: u64,
    },
    /// An event leads to no run, for it lacks something.
    Lacking {
        /// The trigger.
        trigger: &'a str,
        /// What.
        lacking: &'a Lacking,
    },
    /// A run begins.
    Began {
        /// What it is for.
        arrival: &'a Arrival,
        /// The run.
        run: &'a RunId,
    },
    /// A run was lost with its process, and another one is made.
    Again {
        /// The run.
        run: &'a RunId,
    },
    /// An arrival is done with.
    Settled(&'a Settled),
}

/// Who listens.
pub type Listener = Arc<dyn Fn(&Told<'_>) + Send + Sync>;

/// Why a dispatcher cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The queue cannot be used.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The project file cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// What others leave cannot be read.
    #[error("cannot read what was left below the state folder")]
    Spool(#[source] io::Error),
    /// There is no timer.
    #[error("no timer can be had")]
    Timer(#[source] io::Error),
    /// A part of it failed.
    #[error("a part of the program failed")]
    Task(#[from] tokio::task::JoinError),
}
