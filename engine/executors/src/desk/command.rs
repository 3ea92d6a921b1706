//! What handles ask of the machine, what the machine orders, and what comes of it.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::follower::{Follower, Number};
use crate::{Batch, BatchId, ExecutorError, Job, Resources, States, Ticket};

/// What the holder of a handle wants.
pub(super) enum Command {
    /// A job is handed in.
    Submit {
        /// The name and the needs by which jobs are gathered.
        kind: (String, Resources),
        /// The job.
        member: Member,
    },
    /// A job of a batch that was noted before is followed.
    Adopt {
        /// The batch.
        batch: Arc<Batch>,
        /// The job's place in it.
        job: u32,
        /// From which byte on what it prints is told.
        log: Option<u64>,
        /// Who follows.
        follower: Follower,
    },
    /// What a job prints is told from this byte on.
    Watch(Number, u64),
    /// A job is to end.
    Cancel(Number),
    /// A job is done with.
    Close(Number),
    /// Nobody follows a job any more.
    Leave(Number),
    /// All jobs of a batch that was noted before are done with.
    Forget(BatchId),
    /// Somebody waits until all that is done with is forgotten.
    Wait(oneshot::Sender<()>),
}

/// A job that is not in a batch yet.
pub(super) struct Member {
    pub(super) job: Job,
    pub(super) label: String,
    pub(super) log: Option<u64>,
    pub(super) follower: Follower,
}

/// A request to the engine.
pub(super) enum Order {
    /// Submit a batch; the labels are given if it has to be noted first.
    Submit { batch: Arc<Batch>, labels: Option<Vec<String>>, failures: u32 },
    /// Ask for the states of batches.
    Ask { batches: Arc<[BatchId]> },
    /// Cancel jobs.
    Cancel { jobs: Vec<Ticket> },
    /// Forget batches, then erase them.
    Forget { batches: Vec<BatchId> },
    /// Read a piece of a log; the last reading begins after the job has ended.
    Read { job: Ticket, from: u64, last: bool },
}

/// What came of an order.
pub(super) enum Done {
    Submitted { batch: BatchId, failures: u32, result: Result<(), NotSubmitted> },
    Answered { batches: Arc<[BatchId]>, asked: Instant, result: Result<States, ExecutorError> },
    Cancelled { jobs: Vec<Ticket>, result: Result<(), ExecutorError> },
    Forgotten { batches: Vec<BatchId>, result: Result<(), ExecutorError> },
    Read { job: Ticket, from: u64, last: bool, result: Result<Vec<u8>, ExecutorError> },
}

/// Why a batch was not submitted.
pub(super) enum NotSubmitted {
    /// It could not be written down.
    NotNoted(io::Error),
    /// The engine says so.
    Engine(ExecutorError),
}
