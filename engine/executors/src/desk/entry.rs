//! A batch, and what is known of its jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::News;
use super::follower::Follower;
use crate::{Batch, Job, State, Ticket};

/// A batch.
pub(super) struct Entry {
    pub(super) batch: Arc<Batch>,
    /// The labels of its jobs, until they are noted.
    pub(super) labels: Option<Vec<String>>,
    pub(super) submission: Submission,
    /// Whether the engine may have it or a part of it, so that asking for it makes sense.
    pub(super) known: bool,
    /// How often it could not be submitted.
    pub(super) failures: u32,
    jobs: Vec<Held>,
    /// How many jobs are wanted.
    wanted: usize,
    /// How many jobs are not done with.
    left: usize,
}

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    /// It waits to be submitted, or to be submitted again.
    Waiting,
    /// It is on its way.
    UnderWay,
    /// It is there since then.
    Arrived(Instant),
    /// It will not be.
    Refused,
}

/// What is known of a job.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) follower: Option<Follower>,
    /// Whether he knows that it was submitted.
    pub(super) told: bool,
    /// What the engine said last.
    pub(super) state: Option<State>,
    pub(super) stage: Stage,
    pub(super) closed: bool,
    pub(super) cancelled: bool,
    /// How many answers in a row did not know it.
    pub(super) unknown: u32,
    /// Whether it was submitted again because of that.
    pub(super) again: bool,
    /// From which byte on its log is to be told, if it is.
    pub(super) log: Option<u64>,
    /// How often in a row it could not be read.
    pub(super) failures: u32,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not ended, as far as is known.
    #[default]
    Open,
    /// It has ended; the rest of its log is read before that is told.
    Draining,
    /// Nothing follows.
    Over,
}

impl Held {
    /// Whether its state matters to anybody.
    pub(super) fn is_wanted(&self) -> bool {
        self.stage == Stage::Open && (self.follower.is_some() || self.cancelled)
    }

    fn is_left(&self) -> bool {
        !self.closed || self.stage != Stage::Over
    }

    /// Tells the follower something.
    pub(super) fn tell(&self, news: News) {
        if let Some(follower) = &self.follower {
            follower.tell(news);
        }
    }

    /// Tells the follower that the engine has the job, once.
    pub(super) fn tell_submitted(&mut self, batch: &Batch, job: u32) {
        if !std::mem::replace(&mut self.told, true) {
            self.tell(News::Submitted { ticket: Ticket { batch: batch.id.clone(), job } });
        }
    }

    /// Tells the follower the last thing.
    pub(super) fn finish(&mut self, news: News) {
        self.tell(news);
        self.follower = None;
        self.stage = Stage::Over;
    }
}

impl Entry {
    /// A batch that is new, or that was noted before.
    pub(super) fn new(batch: Arc<Batch>, labels: Option<Vec<String>>) -> Self {
        let jobs: Vec<Held> = batch.jobs.iter().map(|_| Held::default()).collect();
        let left = jobs.len();
        Self {
            batch,
            labels,
            submission: Submission::Waiting,
            known: false,
            failures: 0,
            jobs,
            wanted: 0,
            left,
        }
    }

    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether all jobs are done with.
    pub(super) fn is_done_with(&self) -> bool {
        self.left == 0
    }

    pub(super) fn job(&self, job: u32) -> Option<&Held> {
        self.jobs.get(job as usize)
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = (u32, &Held)> {
        (0..).zip(&self.jobs)
    }

    /// Those who follow.
    pub(super) fn followers(&mut self) -> impl Iterator<Item = &mut Follower> {
        self.jobs.iter_mut().filter_map(|held| held.follower.as_mut())
    }

    /// Those who follow jobs that the engine has not told of.
    pub(super) fn unseen(&mut self) -> impl Iterator<Item = &mut Follower> {
        self.jobs.iter_mut().filter(|held| held.state.is_none()).filter_map(|held| held.follower.as_mut())
    }

    /// Changes what is known of a job: the only way to.
    pub(super) fn change(&mut self, job: u32, change: impl FnOnce(&mut Held, &Batch)) {
        let Some(held) = self.jobs.get_mut(job as usize) else { return };
        let before = (held.is_wanted(), held.is_left());
        change(held, &self.batch);
        let after = (held.is_wanted(), held.is_left());
        self.wanted = self.wanted + usize::from(after.0) - usize::from(before.0);
        self.left = self.left + usize::from(after.1) - usize::from(before.1);
    }

    /// Changes what is known of each job.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(u32, &mut Held, &Batch)) {
        for job in 0..u32::try_from(self.jobs.len()).unwrap_or(u32::MAX) {
            self.change(job, |held, batch| change(job, held, batch));
        }
    }

    /// Whether nobody wants any of its jobs to run.
    pub(super) fn is_unwanted(&self) -> bool {
        self.jobs.iter().all(|held| held.cancelled || held.stage != Stage::Open)
    }

    /// What is submitted. If the engine has forgotten jobs that have ended, they must not run again: in their places are commands that do
    /// nothing.
    pub(super) fn to_submit(&self) -> Arc<Batch> {
        if self.jobs.iter().all(|held| held.stage == Stage::Open) {
            return Arc::clone(&self.batch);
        }
        let nothing = || Job { argv: vec!["true".to_owned()], env: BTreeMap::new() };
        let job = |(job, held): (&Job, &Held)| match held.stage {
            Stage::Open => job.clone(),
            Stage::Draining | Stage::Over => nothing(),
        };
        let jobs = self.batch.jobs.iter().zip(&self.jobs).map(job).collect();
        let Batch { id, name, resources, .. } = &*self.batch;
        Arc::new(Batch { id: id.clone(), name: name.clone(), resources: resources.clone(), jobs })
    }
}
