//! How logs are read: those of jobs that run in turns, those of jobs that have ended to their end.

use std::collections::BTreeSet;
use std::ops::Bound;

use tokio::time::Instant;

use super::Machine;
use crate::desk::command::Order;
use crate::desk::entry::{Held, Stage};
use crate::desk::patience::wait;
use crate::desk::{News, Pace};
use crate::{ExecutorError, State, Ticket};

/// The logs.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Jobs that run, and whose log somebody wants.
    watched: BTreeSet<Ticket>,
    /// Whose turn it was last, and how many have theirs now.
    last: Option<Ticket>,
    turns: usize,
    /// Jobs that have ended, and when to read on.
    ended: BTreeSet<(Instant, Ticket)>,
    under_way: BTreeSet<Ticket>,
}

impl Reading {
    /// A job runs whose log somebody wants.
    pub(super) fn watch(&mut self, job: Ticket) {
        self.watched.insert(job);
    }

    /// A job has ended. If its log is being read, it goes on after that.
    pub(super) fn drain(&mut self, job: Ticket, at: Instant) {
        self.watched.remove(&job);
        if !self.under_way.contains(&job) {
            self.ended.insert((at, job));
        }
    }

    /// The engine has answered: some of the jobs that run have their turn.
    pub(super) fn after_answer(&mut self, pace: &Pace) {
        self.turns = self.watched.len().min(pace.logs);
    }

    pub(super) fn wakes(&self, pace: &Pace) -> Option<Instant> {
        self.ended.first().filter(|_| self.under_way.len() < pace.logs).map(|(at, _)| *at)
    }

    fn next_turn(&mut self) -> Option<Ticket> {
        self.turns = self.turns.checked_sub(1)?;
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.watched.range((after, Bound::Unbounded)).next().or_else(|| self.watched.first());
        self.last = next.cloned();
        self.last.clone()
    }
}

impl Machine {
    pub(super) fn order_readings(&mut self, orders: &mut Vec<Order>, now: Instant) {
        while self.reading.under_way.len() < self.pace.logs {
            let due = self.reading.ended.first().is_some_and(|(at, _)| *at <= now);
            let next = match due {
                true => self.reading.ended.pop_first().map(|(_, job)| job),
                false => self.reading.next_turn(),
            };
            let Some(job) = next else { return };
            let held = self.entries.get(&job.batch).and_then(|entry| entry.job(job.job));
            let from = held.and_then(|held| wanted_from(held, due));
            match from {
                Some(from) if self.reading.under_way.insert(job.clone()) => {
                    orders.push(Order::Read { job, from, last: due });
                }
                Some(_) => {}
                None => drop(self.reading.watched.remove(&job)),
            }
        }
    }

    pub(super) fn read(
        &mut self,
        job: &Ticket,
        from: u64,
        last: bool,
        result: Result<Vec<u8>, ExecutorError>,
        now: Instant,
    ) {
        self.reading.under_way.remove(job);
        let Some(entry) = self.entries.get_mut(&job.batch) else { return };
        let reading = &mut self.reading;
        entry.change(job.job, |held, _| {
            // Where to read on, unless all is read.
            let next = match result {
                _ if held.log != Some(from) => Some(now),
                Ok(printed) if printed.is_empty() => (!last).then_some(now),
                Ok(printed) => {
                    held.failures = 0;
                    held.log = Some(from + printed.len() as u64);
                    held.tell(News::Printed(printed));
                    Some(now)
                }
                // There is nothing that could be read.
                Err(ExecutorError::Refused { .. }) => (!last).then_some(now),
                Err(_) => {
                    held.failures += 1;
                    Some(now + wait(held.failures))
                }
            };
            match (held.stage, next, held.state.clone()) {
                (Stage::Draining, Some(at), _) => drop(reading.ended.insert((at, job.clone()))),
                (Stage::Draining, None, Some(state)) => held.finish(News::State(state)),
                _ => {}
            }
        });
        self.look_after(&job.batch, now);
    }
}

/// From which byte on a log is wanted, if it is.
fn wanted_from(held: &Held, ended: bool) -> Option<u64> {
    let stage = if ended { Stage::Draining } else { Stage::Open };
    let runs = ended || matches!(held.state, Some(State::Running { .. }));
    held.log.filter(|_| held.stage == stage && held.follower.is_some() && runs)
}
