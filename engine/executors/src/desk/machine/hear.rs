//! What the holders of handles want.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Machine, Place};
use crate::desk::News;
use crate::desk::command::{Command, Member};
use crate::desk::entry::{Entry, Held, Stage, Submission};
use crate::desk::follower::{Follower, Number};
use crate::{Batch, BatchId, End, Resources, State, Ticket};

impl Machine {
    /// What somebody wants.
    pub(in crate::desk) fn hear(&mut self, command: Command, now: Instant) {
        match command {
            Command::Submit { kind, member } => self.gather(kind, member, now),
            Command::Adopt { batch, job, log, follower } => self.adopt(&batch, job, log, follower, now),
            Command::Watch(number, from) => self.watch(number, from),
            Command::Cancel(number) => self.cancel(number, now),
            Command::Close(number) => self.close(number, now),
            Command::Leave(number) => self.leave(number, now),
            Command::Forget(batch) => {
                self.asking.set(&batch, false);
                self.submitting.drop_batch(&batch);
                self.entries.remove(&batch);
                self.leaving.add(batch, now);
            }
            // Who waits for nothing need not wait.
            Command::Wait(done) if self.leaving.is_empty() => drop(done.send(())),
            Command::Wait(done) => self.waiting.push(done),
        }
    }

    fn gather(&mut self, kind: (String, Resources), member: Member, now: Instant) {
        let number = member.follower.number;
        let group = self.gathering.add(kind, member, &self.pace, now);
        self.places.insert(number, Place::Group(group));
    }

    fn adopt(&mut self, batch: &Arc<Batch>, job: u32, log: Option<u64>, follower: Follower, now: Instant) {
        if self.leaving.contains(&batch.id) || job as usize >= batch.jobs.len() {
            let reason = format!("{}.{job} is done with, or never was", batch.id);
            return follower.tell(News::Refused { reason });
        }
        let entry = self.entries.entry(batch.id.clone()).or_insert_with(|| {
            self.submitting.wait(&batch.id, now + self.pace.gather);
            Entry::new(Arc::clone(batch), None)
        });
        if entry.submission == Submission::Refused {
            entry.submission = Submission::Waiting;
            self.submitting.wait(&batch.id, now + self.pace.gather);
        }
        self.places.insert(follower.number, Place::Batch(Ticket { batch: batch.id.clone(), job }));
        let arrived = matches!(entry.submission, Submission::Arrived(_));
        entry.change(job, |held, batch| {
            let before = held.follower.take();
            if let Some(before) = before {
                self.places.remove(&before.number);
            }
            *held = Held { follower: Some(follower), log, ..Held::default() };
            if arrived {
                held.tell_submitted(batch, job);
            }
        });
        if arrived {
            self.asking.soon(&self.pace, now);
        }
        self.look_after(&batch.id, now);
    }

    fn watch(&mut self, number: Number, from: u64) {
        match self.places.get(&number) {
            Some(Place::Group(group)) => {
                if let Some(member) = self.gathering.member(*group, number) {
                    member.log = Some(from);
                }
            }
            Some(Place::Batch(job)) => {
                let Some(entry) = self.entries.get_mut(&job.batch) else { return };
                let reading = &mut self.reading;
                entry.change(job.job, |held, _| {
                    held.log = Some(from);
                    if matches!(held.state, Some(State::Running { .. })) {
                        reading.watch(job.clone());
                    }
                });
            }
            None => {}
        }
    }

    fn cancel(&mut self, number: Number, now: Instant) {
        match self.places.get(&number).cloned() {
            Some(Place::Group(group)) => {
                if let Some(member) = self.gathering.take_out(group, number) {
                    member.follower.tell(News::State(State::Ended { end: End::Cancelled }));
                }
            }
            Some(Place::Batch(job)) => {
                let Some(entry) = self.entries.get_mut(&job.batch) else { return };
                if entry.job(job.job).is_none_or(|held| held.stage != Stage::Open) {
                    return;
                }
                entry.change(job.job, |held, _| held.cancelled = true);
                self.give_up_if_unwanted(&job.batch, now);
                if self.entries.get(&job.batch).is_some_and(|entry| entry.known) {
                    self.cancels.add(job.clone(), now + self.pace.gather);
                }
                self.look_after(&job.batch, now);
            }
            None => {}
        }
    }

    /// A batch that waits and that nobody wants is not submitted any more. It may be there all the same, if an answer was lost: it is
    /// cancelled, and asked for until it has ended or is not known.
    pub(super) fn give_up_if_unwanted(&mut self, batch: &BatchId, now: Instant) {
        let Some(entry) = self.entries.get_mut(batch) else { return };
        if entry.submission == Submission::Waiting && entry.is_unwanted() {
            entry.submission = Submission::Arrived(now);
            self.submitting.drop_batch(batch);
            self.arrived(batch, now);
        }
    }

    fn close(&mut self, number: Number, now: Instant) {
        match self.places.remove(&number) {
            Some(Place::Group(group)) => drop(self.gathering.take_out(group, number)),
            Some(Place::Batch(job)) => {
                let Some(entry) = self.entries.get_mut(&job.batch) else { return };
                entry.change(job.job, |held, _| {
                    held.follower = None;
                    held.stage = Stage::Over;
                    held.closed = true;
                });
                self.look_after(&job.batch, now);
            }
            None => {}
        }
    }

    fn leave(&mut self, number: Number, now: Instant) {
        if let Some(Place::Batch(job)) = self.places.remove(&number) {
            let Some(entry) = self.entries.get_mut(&job.batch) else { return };
            entry.change(job.job, |held, _| {
                held.follower = None;
                if held.stage == Stage::Draining {
                    held.stage = Stage::Over;
                }
            });
            self.look_after(&job.batch, now);
        }
    }
}
