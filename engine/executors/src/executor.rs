//! What every engine can do, and what it promises.

use async_trait::async_trait;

use crate::{Batch, BatchId, ExecutorError, Program, States, Ticket};

/// An engine that runs commands.
///
/// - **Submitted once.** A batch that is there already is not submitted again, whoever submitted it, also if he never heard that
///   he had. So after an error, and after a crash, the same batch may be submitted again.
/// - **Found again.** Whoever knows the id of a batch finds its jobs, also from another process and another machine.
/// - **Ended means ended.** When a job is told to have ended, nothing of it runs any more, as far as the engine knows.
/// - **Once ended, always ended**, and each time in the same way, until it is forgotten by us or by the engine.
/// - **All machines or none.** A job that needs several [nodes](crate::Resources::nodes) has its command started once on each of them, with
///   variables by which they find each other (`TIDEMILL_NODES`, `TIDEMILL_NODE_RANK`, `MASTER_ADDR`, `MASTER_PORT`, and `torchrun`'s `NNODES` and
///   `NODE_RANK`). It ends as the first one does if the others ended well. One that fails ends the others, and its end is that of the
///   job. The log is that of the first one.
/// - **Secrets** in the variables of a job are seen by its user and by root only.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Makes sure that a program is where jobs run, and runs there as far as that can be known before a job does: copied once per digest,
    /// if it has to be copied at all. The first word of a command that starts it. Where it cannot run it is refused, in a sentence that
    /// says what to do.
    async fn install(&self, program: &Program) -> Result<String, ExecutorError>;

    /// Submits those jobs of a batch that are not there yet. After an error any of them may be there: whoever submits the batch again
    /// gets the rest. Where there is no room for all, the first ones are taken, and [`ExecutorError::Full`] is the answer.
    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError>;

    /// The states of all jobs of these batches that the engine knows, asked for at once.
    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError>;

    /// Asks jobs to end: with SIGTERM, and after some seconds with SIGKILL. That they have ended is seen in their states.
    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError>;

    /// What a job printed from this byte on, 64 KiB of it at most; nothing if there is no more yet. What was told once stays as it is.
    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError>;

    /// Removes what the engine keeps of batches that have ended, as far as it lets one.
    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError>;
}
