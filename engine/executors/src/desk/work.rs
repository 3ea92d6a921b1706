//! What the machine orders is done here, each request beside the others.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::command::{Command, Done, NotSubmitted, Order};
use super::machine::Machine;
use super::{Ledger, Pace};
use crate::{Batch, BatchId, Executor, ExecutorError};

/// How many commands are heard at once.
const AT_ONCE: usize = 1_000;

/// Works until all handles are gone.
pub(super) async fn work(
    executor: Arc<dyn Executor>,
    ledger: Arc<dyn Ledger>,
    pace: Pace,
    mut heard: UnboundedReceiver<Command>,
) {
    let mut machine = Machine::new(pace);
    let mut under_way = FuturesUnordered::new();
    let mut commands = Vec::new();
    loop {
        let now = Instant::now();
        for order in machine.orders(now) {
            under_way.push(perform(&*executor, &ledger, order));
        }
        let wakes = machine.wakes(now);
        tokio::select! {
            count = heard.recv_many(&mut commands, AT_ONCE) => {
                if count == 0 {
                    return;
                }
                let now = Instant::now();
                for command in commands.drain(..) {
                    machine.hear(command, now);
                }
            }
            Some(done) = under_way.next(), if !under_way.is_empty() => machine.learn(done, Instant::now()),
            () = sleep_until(wakes.unwrap_or(now)), if wakes.is_some() => {}
        }
    }
}

async fn perform(executor: &dyn Executor, ledger: &Arc<dyn Ledger>, order: Order) -> Done {
    match order {
        Order::Submit { batch, labels, failures } => {
            let id = batch.id.clone();
            let result = submit(executor, ledger, batch, labels).await;
            Done::Submitted { batch: id, failures, result }
        }
        Order::Ask { batches } => {
            let asked = Instant::now();
            let result = executor.status(&batches).await;
            Done::Answered { batches, asked, result }
        }
        Order::Cancel { jobs } => {
            let result = executor.cancel(&jobs).await;
            Done::Cancelled { jobs, result }
        }
        Order::Forget { batches } => {
            let result = forget(executor, ledger, &batches).await;
            Done::Forgotten { batches, result }
        }
        Order::Read { job, from, last } => {
            let result = executor.log(&job, from).await;
            Done::Read { job, from, last, result }
        }
    }
}

/// Notes a batch if nobody has, then submits it.
async fn submit(
    executor: &dyn Executor,
    ledger: &Arc<dyn Ledger>,
    batch: Arc<Batch>,
    labels: Option<Vec<String>>,
) -> Result<(), NotSubmitted> {
    if let Some(labels) = labels {
        let (ledger, batch) = (Arc::clone(ledger), Arc::clone(&batch));
        let noted = spawn_blocking(move || ledger.note(&batch, &labels)).await;
        noted.unwrap_or_else(|error| Err(error.into())).map_err(NotSubmitted::NotNoted)?;
    }
    executor.submit(&batch).await.map_err(NotSubmitted::Engine)
}

/// Has the engine forget batches, then erases them.
async fn forget(
    executor: &dyn Executor,
    ledger: &Arc<dyn Ledger>,
    batches: &[BatchId],
) -> Result<(), ExecutorError> {
    executor.forget(batches).await?;
    let (ledger, batches) = (Arc::clone(ledger), batches.to_vec());
    let erase = move || batches.iter().for_each(|batch| ledger.erase(batch));
    if let Err(error) = spawn_blocking(erase).await {
        tracing::warn!("batches that are forgotten are not erased: {error}");
    }
    Ok(())
}
