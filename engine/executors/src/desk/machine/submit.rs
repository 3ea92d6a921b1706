//! How batches get to the engine, a few at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Machine, Place};
use crate::desk::command::{NotSubmitted, Order};
use crate::desk::entry::{Entry, Stage, Submission};
use crate::desk::follower::Follower;
use crate::desk::gathering::Group;
use crate::desk::patience::{Patience, wait};
use crate::desk::{News, Pace};
use crate::{Batch, BatchId, ExecutorError, Ticket};

/// The submissions.
#[derive(Debug, Default)]
pub(super) struct Submitting {
    /// Batches that wait to be submitted again, and from when on.
    waiting: BTreeSet<(Instant, BatchId)>,
    under_way: usize,
    patience: Patience,
}

impl Submitting {
    /// A batch is to be submitted from then on.
    pub(super) fn wait(&mut self, batch: &BatchId, from: Instant) {
        self.waiting.insert((from, batch.clone()));
    }

    /// A batch is not to be submitted any more.
    pub(super) fn drop_batch(&mut self, batch: &BatchId) {
        self.waiting.retain(|(_, waiting)| waiting != batch);
    }

    /// Something has ended: an engine that was full is asked whether it takes more.
    pub(super) fn there_is_room(&mut self, now: Instant) {
        if self.patience.hurry(now) {
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting = waiting.into_iter().map(|(at, batch)| (at.min(now), batch)).collect();
        }
    }

    /// Whether one more may be under way. While the engine is away or full, one at a time finds out whether it still is.
    fn is_free(&self, pace: &Pace) -> bool {
        self.under_way < if self.patience.failures() == 0 { pace.submissions } else { 1 }
    }
}

impl Machine {
    pub(super) fn submitting_wakes(&self, now: Instant) -> Option<Instant> {
        if !self.submitting.is_free(&self.pace) {
            return None;
        }
        let waiting = self.submitting.waiting.first().map(|(at, _)| *at);
        let first = waiting.into_iter().chain(self.gathering.wakes(now)).min()?;
        Some(self.submitting.patience.until().map_or(first, |until| first.max(until)))
    }

    pub(super) fn order_submissions(&mut self, orders: &mut Vec<Order>, now: Instant) {
        if self.submitting.patience.until().is_some_and(|until| now < until) {
            return;
        }
        while self.submitting.is_free(&self.pace) {
            let Some(batch) = self.next_to_submit(now) else { return };
            let Some(entry) = self.entries.get_mut(&batch) else { continue };
            entry.submission = Submission::UnderWay;
            self.submitting.under_way += 1;
            let failures = self.submitting.patience.failures();
            orders.push(Order::Submit { batch: entry.to_submit(), labels: entry.labels.take(), failures });
        }
    }

    fn next_to_submit(&mut self, now: Instant) -> Option<BatchId> {
        if self.submitting.waiting.first().is_some_and(|(at, _)| *at <= now) {
            return self.submitting.waiting.pop_first().map(|(_, batch)| batch);
        }
        let Group { kind: (name, resources), members } = self.gathering.next(now)?;
        let (mut jobs, mut labels, mut followers) = (Vec::new(), Vec::new(), Vec::new());
        for member in members {
            jobs.push(member.job);
            labels.push(member.label);
            followers.push((member.follower, member.log));
        }
        let id = BatchId::generate();
        let batch = Arc::new(Batch { id: id.clone(), name, resources, jobs });
        let mut entry = Entry::new(batch, Some(labels));
        for (ticket, (follower, log)) in entry.batch.clone().tickets().zip(followers) {
            entry.change(ticket.job, |held, _| {
                held.log = log;
                if follower.listens() {
                    self.places.insert(follower.number, Place::Batch(ticket));
                    held.follower = Some(follower);
                }
            });
        }
        self.entries.insert(id.clone(), entry);
        Some(id)
    }

    pub(super) fn submitted(
        &mut self,
        batch: &BatchId,
        failures: u32,
        result: Result<(), NotSubmitted>,
        now: Instant,
    ) {
        self.submitting.under_way -= 1;
        match result {
            Ok(()) => {
                self.engine_takes(batch);
                if let Some(entry) = self.entries.get_mut(batch) {
                    entry.submission = Submission::Arrived(now);
                    entry.change_all(|job, held, batch| held.tell_submitted(batch, job));
                }
                self.arrived(batch, now);
            }
            Err(NotSubmitted::NotNoted(error)) => {
                self.refuse(batch, &format!("the jobs could not be written down: {error}"), now);
            }
            Err(NotSubmitted::Engine(ExecutorError::Refused { reason, .. })) => {
                self.engine_takes(batch);
                self.refuse(batch, &reason, now);
            }
            Err(NotSubmitted::Engine(error)) => {
                let full = matches!(error, ExecutorError::Full { .. });
                self.submitting.patience.fail(failures, !full, now);
                if let Some(entry) = self.entries.get_mut(batch) {
                    entry.submission = Submission::Waiting;
                    entry.failures += 1;
                    self.submitting.wait(batch, now + wait(entry.failures));
                    // It may have taken some, and these go on meanwhile.
                    entry.known |= full;
                }
                if full {
                    self.asking.soon(&self.pace, now);
                }
                self.tell_hindrance(&error, now);
                self.give_up_if_unwanted(batch, now);
            }
        }
        self.look_after(batch, now);
    }

    /// The engine may have a batch: its jobs are asked for, and cancelled if they are to be.
    pub(super) fn arrived(&mut self, batch: &BatchId, now: Instant) {
        let Some(entry) = self.entries.get_mut(batch) else { return };
        entry.known = true;
        entry.failures = 0;
        entry.change_all(|job, held, batch| {
            if held.cancelled && held.stage == Stage::Open {
                self.cancels.add(Ticket { batch: batch.id.clone(), job }, now);
            }
        });
        self.asking.soon(&self.pace, now);
    }

    /// The engine will not take a batch. What it has of it all the same, from an earlier time, goes on.
    fn refuse(&mut self, batch: &BatchId, reason: &str, now: Instant) {
        let Some(entry) = self.entries.get_mut(batch) else { return };
        let seen = entry.jobs().any(|(_, held)| held.state.is_some() && held.stage == Stage::Open);
        entry.submission = if seen { Submission::Arrived(now) } else { Submission::Refused };
        entry.change_all(|_, held, _| {
            if held.state.is_none() && held.stage == Stage::Open {
                held.finish(News::Refused { reason: reason.to_owned() });
            }
        });
    }

    /// The engine answers: who waits and was told that it does not is told.
    fn engine_takes(&mut self, batch: &BatchId) {
        if self.submitting.patience.succeed() {
            self.tell_waiting(Follower::tell_free);
        }
        if let Some(entry) = self.entries.get_mut(batch) {
            entry.followers().for_each(Follower::tell_free);
        }
    }

    fn tell_hindrance(&mut self, error: &ExecutorError, now: Instant) {
        if let ExecutorError::Full { reason, .. } = error {
            self.tell_waiting(|follower| follower.tell_full(reason));
        } else if let Some(since) = self.submitting.patience.away(now) {
            let reason = error.to_string();
            self.tell_waiting(|follower| follower.tell_unreachable(&reason, since));
        }
    }

    /// Tells something to all whose jobs wait to be submitted.
    fn tell_waiting(&mut self, tell: impl Fn(&mut Follower)) {
        self.gathering.followers().for_each(&tell);
        for (_, batch) in &self.submitting.waiting {
            if let Some(entry) = self.entries.get_mut(batch) {
                entry.unseen().for_each(&tell);
            }
        }
    }

    /// Jobs that the engine has forgotten: their batch is submitted once more.
    pub(super) fn submit_again(&mut self, batch: &BatchId, lost: &[u32], now: Instant) {
        let Some(entry) = self.entries.get_mut(batch) else { return };
        for job in lost {
            entry.change(*job, |held, _| {
                held.state = None;
                held.unknown = 0;
                held.again = true;
            });
        }
        entry.submission = Submission::Waiting;
        self.submitting.wait(batch, now);
        tracing::warn!("the engine has forgotten {} jobs of {batch}; they are submitted again", lost.len());
    }
}
