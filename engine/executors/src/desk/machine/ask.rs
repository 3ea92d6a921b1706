//! How the states are asked for: all at once, never twice at a time, the less often the less happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Machine;
use crate::desk::command::Order;
use crate::desk::entry::{Held, Submission};
use crate::desk::follower::Follower;
use crate::desk::patience::Patience;
use crate::desk::{News, Pace};
use crate::{BatchId, End, ExecutorError, State, States, Ticket};

/// How long after its submission an engine may still not know a job.
const UNKNOWN_AFTER: Duration = Duration::from_secs(10);
/// After so many answers in a row that do not know it, it is not there.
const UNKNOWN_ANSWERS: u32 = 3;
/// After an answer that took its time, the engine has so many times as long for other things.
const REST: u32 = 9;
/// How the interval grows while nothing happens.
const GROWTH: f64 = 1.5;

/// The questions.
#[derive(Debug)]
pub(super) struct Asking {
    /// The batches that are asked for.
    batches: BTreeSet<BatchId>,
    /// The same, as the last question had it.
    list: Option<Arc<[BatchId]>>,
    interval: Duration,
    /// When to ask next; never before `rested`.
    next: Option<Instant>,
    rested: Option<Instant>,
    under_way: bool,
    patience: Patience,
}

impl Asking {
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            batches: BTreeSet::new(),
            list: None,
            interval: pace.quick,
            next: None,
            rested: None,
            under_way: false,
            patience: Patience::default(),
        }
    }

    /// Whether a batch is asked for.
    pub(super) fn set(&mut self, batch: &BatchId, asked: bool) {
        let changed = match asked {
            true => self.batches.insert(batch.clone()),
            false => self.batches.remove(batch),
        };
        if changed {
            self.list = None;
        }
    }

    /// Something has happened: it is worth while to ask soon.
    pub(super) fn soon(&mut self, pace: &Pace, now: Instant) {
        self.interval = pace.quick;
        let soon = now + pace.quick;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    pub(super) fn wakes(&self) -> Option<Instant> {
        if self.under_way || self.batches.is_empty() {
            return None;
        }
        // What was asked for before may be due at once.
        [self.next, self.rested].into_iter().flatten().max()
    }

    pub(super) fn order(&mut self, now: Instant) -> Option<Order> {
        self.wakes().filter(|at| *at <= now)?;
        self.under_way = true;
        let list = self.list.get_or_insert_with(|| self.batches.iter().cloned().collect());
        Some(Order::Ask { batches: Arc::clone(list) })
    }

    fn answered(&mut self, changed: bool, asked: Instant, pace: &Pace, now: Instant) {
        self.interval = if changed { pace.quick } else { self.interval.mul_f64(GROWTH).min(pace.slow) };
        self.next = Some(now + self.interval);
        self.rested = Some(now + (now - asked) * REST);
    }
}

impl Machine {
    pub(super) fn answered(
        &mut self,
        batches: &[BatchId],
        asked: Instant,
        result: Result<States, ExecutorError>,
        now: Instant,
    ) {
        self.asking.under_way = false;
        match result {
            Ok(states) => {
                if self.asking.patience.succeed() {
                    self.tell_asked(batches, Follower::tell_free);
                }
                let mut changed = false;
                for batch in batches {
                    changed |= self.compare(batch, &states, asked, now);
                }
                self.asking.answered(changed, asked, &self.pace, now);
                self.reading.after_answer(&self.pace);
            }
            Err(error) => {
                self.asking.patience.fail(self.asking.patience.failures(), true, now);
                self.asking.rested = self.asking.patience.until();
                if let Some(since) = self.asking.patience.away(now) {
                    let reason = error.to_string();
                    self.tell_asked(batches, |follower| follower.tell_unreachable(&reason, since));
                }
            }
        }
    }

    /// Finds what is new of a batch; whether there is anything.
    fn compare(&mut self, batch: &BatchId, states: &States, asked: Instant, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(batch) else { return false };
        let (mut seen, mut ended, mut changed) = (0, Vec::new(), false);
        let ticket = |job| Ticket { batch: batch.clone(), job };
        for (job, state) in states.range(ticket(0)..=ticket(u32::MAX)) {
            let Some(held) = entry.job(job.job).filter(|held| held.is_wanted()) else { continue };
            seen += 1;
            if held.state.as_ref() == Some(state) && held.unknown == 0 {
                continue;
            }
            if state.is_ended() {
                ended.push((job, state));
                continue;
            }
            let news = held.state.as_ref() != Some(state);
            changed |= news;
            entry.change(job.job, |held, batch| {
                held.unknown = 0;
                if news {
                    held.tell_submitted(batch, job.job);
                    held.state = Some(state.clone());
                    held.tell(News::State(state.clone()));
                    if held.log.is_some() && matches!(state, State::Running { .. }) {
                        self.reading.watch(job.clone());
                    }
                }
            });
        }
        let unknown = seen < entry.wanted();
        changed |= !ended.is_empty();
        if !ended.is_empty() {
            self.submitting.there_is_room(now);
        }
        for (job, state) in ended {
            if let Some(entry) = self.entries.get_mut(batch) {
                entry.change(job.job, |held, batch| held.tell_submitted(batch, job.job));
            }
            self.end(job, state.clone(), now);
        }
        if unknown {
            self.miss(batch, states, asked, now);
        }
        if changed || unknown {
            self.look_after(batch, now);
        }
        changed
    }

    /// Jobs of a batch that an answer does not know.
    fn miss(&mut self, batch: &BatchId, states: &States, asked: Instant, now: Instant) {
        let Some(entry) = self.entries.get_mut(batch) else { return };
        let Submission::Arrived(arrived) = entry.submission else { return };
        if asked < arrived + UNKNOWN_AFTER {
            return;
        }
        let ticket = |job| Ticket { batch: batch.clone(), job };
        let missed = |(job, held): (u32, &Held)| {
            (held.is_wanted() && !states.contains_key(&ticket(job))).then_some(job)
        };
        let missed: Vec<u32> = entry.jobs().filter_map(missed).collect();
        let (mut lost, mut ended) = (Vec::new(), Vec::new());
        for job in missed {
            entry.change(job, |held, _| {
                held.unknown += 1;
                match held {
                    _ if held.unknown < UNKNOWN_ANSWERS => {}
                    _ if held.cancelled => ended.push((job, End::Cancelled)),
                    _ if held.again => ended.push((job, End::NodeLost)),
                    _ => lost.push(job),
                }
            });
        }
        for (job, end) in ended {
            self.end(&ticket(job), State::Ended { end }, now);
        }
        if !lost.is_empty() {
            self.submit_again(batch, &lost, now);
        }
    }

    /// Tells something to all who follow a job of these batches.
    fn tell_asked(&mut self, batches: &[BatchId], tell: impl Fn(&mut Follower)) {
        for batch in batches {
            if let Some(entry) = self.entries.get_mut(batch) {
                entry.followers().for_each(&tell);
            }
        }
    }
}
