//! The handles: what one holds of a desk, and of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::command::{Command, Member};
use super::follower::{Follower, Number};
use super::work::work;
use super::{Ledger, News, Pace};
use crate::{Batch, BatchId, Executor, Job, Resources};

/// A place that talks to one engine. It works as long as there is a handle of it or of one of its jobs, and leaves then everything as it is.
#[derive(Debug, Clone)]
pub struct Desk {
    commands: UnboundedSender<Command>,
    numbers: Arc<AtomicU64>,
}

/// One job that somebody follows. If it is only dropped, the job runs on and can be adopted later.
#[derive(Debug)]
pub struct Following {
    number: Number,
    news: UnboundedReceiver<News>,
    commands: UnboundedSender<Command>,
}

impl Desk {
    /// Opens a desk, within a runtime of tokio.
    #[must_use]
    pub fn new(executor: Arc<dyn Executor>, ledger: Arc<dyn Ledger>, pace: Pace) -> Self {
        let (commands, heard) = unbounded_channel();
        tokio::spawn(work(executor, ledger, pace, heard));
        Self { commands, numbers: Arc::default() }
    }

    /// Hands a job in. Jobs that come soon after each other and have the same name and the same needs go as one batch. What it prints is
    /// told from the byte `log` on, if that is given.
    #[must_use]
    pub fn submit(
        &self,
        name: &str,
        resources: Resources,
        job: Job,
        label: String,
        log: Option<u64>,
    ) -> Following {
        self.follow(|follower| Command::Submit {
            kind: (name.to_owned(), resources),
            member: Member { job, label, log, follower },
        })
    }

    /// Follows one job of a batch that was noted before, by this process or one that is dead. The whole batch is submitted once more: it is
    /// there already, or it never arrived. Jobs of it that are done with are to be adopted and [closed](Following::close) at once.
    #[must_use]
    pub fn adopt(&self, batch: &Arc<Batch>, job: u32, log: Option<u64>) -> Following {
        self.follow(|follower| Command::Adopt { batch: Arc::clone(batch), job, log, follower })
    }

    /// All jobs of a batch that was noted before are done with: as if each was adopted and closed, without its being submitted again.
    pub fn forget(&self, batch: BatchId) {
        send(&self.commands, Command::Forget(batch));
    }

    /// Waits until the engine has forgotten all that is done with. Who has no time for it may stop to wait: the ledger knows what is left.
    pub async fn forgotten(&self) {
        let (done, wait) = oneshot::channel();
        send(&self.commands, Command::Wait(done));
        // A desk that has ended forgets nothing more.
        let _ = wait.await;
    }

    fn follow(&self, command: impl FnOnce(Follower) -> Command) -> Following {
        let number = Number(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (teller, news) = unbounded_channel();
        send(&self.commands, command(Follower::new(number, teller)));
        Following { number, news, commands: self.commands.clone() }
    }
}

impl Following {
    /// What is new; nothing after the last. Who stops to wait loses nothing.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// From now on what the job prints is told, from this byte on.
    pub fn watch(&self, from: u64) {
        send(&self.commands, Command::Watch(self.number, from));
    }

    /// Asks the job to end; that it has ended is seen in its news. A job that still waits for its batch to go is never submitted.
    pub fn cancel(&self) {
        send(&self.commands, Command::Cancel(self.number));
    }

    /// The job is done with: it has ended, and all that is needed of it is kept. When this is so for all jobs of its batch, the engine
    /// forgets the batch, and the ledger erases it.
    pub fn close(self) {
        send(&self.commands, Command::Close(self.number));
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.news.close();
        send(&self.commands, Command::Leave(self.number));
    }
}

/// A desk whose runtime has ended hears nothing any more.
fn send(commands: &UnboundedSender<Command>, command: Command) {
    let _ = commands.send(command);
}
