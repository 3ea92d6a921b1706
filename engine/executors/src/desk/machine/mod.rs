//! What is decided: it hears what is wanted and what came of its orders, is told the time, and orders what is to be done.

mod ask;
mod hear;
mod read;
mod submit;

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::ask::Asking;
use self::read::Reading;
use self::submit::Submitting;
use super::command::{Done, Order};
use super::entry::{Entry, Stage, Submission};
use super::follower::Number;
use super::gathering::Gathering;
use super::repeated::Repeated;
use super::{News, Pace};
use crate::{BatchId, ExecutorError, State, Ticket};

/// When a job that was cancelled and has not ended is cancelled again.
const CANCEL_AGAIN: Duration = Duration::from_secs(30);

/// All that a desk knows.
pub(super) struct Machine {
    pace: Pace,
    places: HashMap<Number, Place>,
    gathering: Gathering,
    entries: HashMap<BatchId, Entry>,
    submitting: Submitting,
    asking: Asking,
    reading: Reading,
    cancels: Repeated<Ticket>,
    /// Batches that are to be forgotten.
    leaving: Repeated<BatchId>,
    /// Those who wait until there are none.
    waiting: Vec<oneshot::Sender<()>>,
}

/// Where a job is found.
#[derive(Debug, Clone)]
enum Place {
    /// In a group that is no batch yet.
    Group(u64),
    /// In a batch.
    Batch(Ticket),
}

impl Machine {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            asking: Asking::new(&pace),
            pace,
            places: HashMap::new(),
            gathering: Gathering::default(),
            entries: HashMap::new(),
            submitting: Submitting::default(),
            reading: Reading::default(),
            cancels: Repeated::new(),
            leaving: Repeated::new(),
            waiting: Vec::new(),
        }
    }

    /// What is to be done now.
    pub(super) fn orders(&mut self, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        self.order_submissions(&mut orders, now);
        orders.extend(self.asking.order(now));
        self.order_readings(&mut orders, now);
        let open = |job: &Ticket| {
            let held = self.entries.get(&job.batch).and_then(|entry| entry.job(job.job));
            held.is_some_and(|held| held.stage == Stage::Open)
        };
        let jobs = self.cancels.take(now, open);
        if !jobs.is_empty() {
            orders.push(Order::Cancel { jobs });
        }
        let batches = self.leaving.take(now, |_| true);
        if !batches.is_empty() {
            orders.push(Order::Forget { batches });
        }
        orders
    }

    /// When there is something to do, if nothing happens before.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        let submitting = self.submitting_wakes(now);
        let reading = self.reading.wakes(&self.pace);
        let times = [submitting, self.asking.wakes(), reading, self.cancels.wakes(), self.leaving.wakes()];
        times.into_iter().flatten().min()
    }

    /// What came of an order.
    pub(super) fn learn(&mut self, done: Done, now: Instant) {
        match done {
            Done::Submitted { batch, failures, result } => self.submitted(&batch, failures, result, now),
            Done::Answered { batches, asked, result } => self.answered(&batches, asked, result, now),
            Done::Read { job, from, last, result } => self.read(&job, from, last, result, now),
            Done::Cancelled { jobs, result } => match result {
                Ok(()) => self.cancels.asked(jobs, now + CANCEL_AGAIN),
                Err(error) => {
                    complain("cancelled", &error);
                    self.cancels.failed(jobs, now);
                }
            },
            Done::Forgotten { batches, result } => match result {
                Ok(()) => self.leaving.finished(&batches),
                Err(error) => {
                    complain("forgotten", &error);
                    self.leaving.failed(batches, now);
                }
            },
        }
        if self.leaving.is_empty() {
            for waiting in self.waiting.drain(..) {
                // Who has stopped to wait need not be told.
                let _ = waiting.send(());
            }
        }
    }

    /// After something of a batch has changed: whether it is asked for, and whether anybody needs it.
    fn look_after(&mut self, batch: &BatchId, now: Instant) {
        let Some(entry) = self.entries.get(batch) else { return };
        self.asking.set(batch, entry.known && entry.wanted() > 0);
        if entry.is_done_with() && entry.submission != Submission::UnderWay {
            self.entries.remove(batch);
            self.submitting.drop_batch(batch);
            self.leaving.add(batch.clone(), now);
        }
    }

    /// A job has ended: its log first, then the news.
    fn end(&mut self, job: &Ticket, state: State, now: Instant) {
        let Some(entry) = self.entries.get_mut(&job.batch) else { return };
        let reading = &mut self.reading;
        entry.change(job.job, |held, _| {
            if held.follower.is_some() && held.log.is_some() {
                held.state = Some(state);
                held.stage = Stage::Draining;
                reading.drain(job.clone(), now);
            } else {
                held.state = Some(state.clone());
                held.finish(News::State(state));
            }
        });
    }
}

/// An error that is not told to anybody, as what it is about is tried again.
fn complain(what: &str, error: &ExecutorError) {
    tracing::debug!("not {what} yet: {error}");
}
