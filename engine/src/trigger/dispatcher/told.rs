//! What the dispatcher tells, and why it ends.

use std::io;
use std::sync::Arc;

use super::Dispatcher;
use crate::graph::Lacking;
use crate::name::{RunId, TriggerName};
use crate::outbox::{self, OutboxError};
use crate::project::ProjectError;
use crate::trigger::pipelines::Pipelines;
use crate::trigger::queue::{Arrival, ArrivalId, Fate, QueueError, Settled};

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
    /// Pipelines start each other: what is to be said of that.
    Circle(&'a str),
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

impl Dispatcher {
    /// Has people told of an arrival whose run was lost, or could not begin: no run tells of that itself. It is written before it is noted
    /// what became of the arrival, so that it is not passed over.
    pub(super) fn tell_failed(&self, id: ArrivalId, fate: &Fate) {
        let (run, why) = match fate {
            Fate::Lost { run } => (Some(run), None),
            Fate::NotBegun { reason } => (None, Some(reason.as_str())),
            Fate::Ended { .. } | Fate::Dropped { .. } => return,
        };
        let state = self.queue.state();
        let running = state.running().map(|running| &running.arrival);
        let mut arrivals = running.chain(state.waiting().map(|waiting| &waiting.arrival));
        let Some(arrival) = arrivals.find(|arrival| arrival.id == id) else { return };
        let Some(pipeline) = self.pipelines.of(&arrival.file) else { return };
        let key = run.map_or_else(|| id.to_string(), ToString::to_string);
        let failed = outbox::Failed {
            file: &arrival.file,
            pipeline: &pipeline.name,
            cause: arrival.cause,
            trigger: arrival.trigger.as_ref().map(TriggerName::as_str),
            run,
            why,
            key: &key,
        };
        if let Err(error) = outbox::failed(&self.project, &pipeline.notify, failed) {
            tracing::error!(%error, file = arrival.file, "nobody is told that its run was lost or could not begin");
        }
    }

    /// Has people told of a run that ended and was killed then: nobody knows whether it had told that itself. What it had has the same id.
    pub(super) fn tell_ended(&self, id: ArrivalId, run: &RunId) {
        let Some(running) = self.queue.state().running().find(|running| running.arrival.id == id) else {
            return;
        };
        let file = &running.arrival.file;
        if let Err(error) = outbox::ended(&self.project, &self.project.root().join(file), run) {
            tracing::error!(%error, file, "nobody is told how its run ended");
        }
    }
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
    /// What is to be told cannot be kept.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// There is no timer.
    #[error("no timer can be had")]
    Timer(#[source] io::Error),
    /// A part of it failed.
    #[error("a part of the program failed")]
    Task(#[from] tokio::task::JoinError),
}
