//! What a run has to do with executors: attempts that go there, and what is told of them.

use std::sync::{Arc, OnceLock};

use camino::Utf8PathBuf;
use tidemill_cache::{Key, Lease};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::attempts::End;
use super::conductor::Conductor;
use crate::error::EngineError;
use crate::event::{Elsewhere, Event};
use crate::execute::Attempt;
use crate::graph::{Graph, Placement};
use crate::name::{AttemptId, RunId};
use crate::project::Project;
use crate::remote::{Fleet, Launch, Orphan, Post};

/// What is told of an attempt elsewhere: the step, the attempt, how it fares.
pub(super) type News = (usize, AttemptId, Elsewhere);

/// What a run has to do with executors.
pub(super) struct Away {
    fleet: Fleet,
    news: (UnboundedSender<News>, UnboundedReceiver<News>),
}

impl Default for Away {
    fn default() -> Self {
        Self { fleet: Fleet::default(), news: unbounded_channel() }
    }
}

impl Away {
    /// Waits until executors have forgotten what is done with.
    pub(super) async fn forgotten(&mut self, project: &Project, run: &RunId) {
        self.fleet.settle(project, run).await;
        self.fleet.forgotten().await;
    }

    /// The next news; may be dropped and asked again.
    pub(super) async fn next(&mut self) -> News {
        match self.news.1.recv().await {
            Some(news) => news,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }
}

/// Whether there is a store, if a step is to run elsewhere.
pub(super) fn check_store(project: &Project, graph: &Graph) -> Result<(), EngineError> {
    let mut placements = graph.skeleton.needs().filter_map(|(needs, _)| needs.placement.as_ref());
    match placements.next() {
        Some(placement) if project.store().is_none_or(|store| !store.takes_results()) => {
            Err(EngineError::ExecutorWithoutStore { name: placement.executor.to_string() })
        }
        _ => Ok(()),
    }
}

impl Conductor {
    /// Where a step is to run, if not here.
    pub(super) fn placement(&self, step: usize) -> Option<&Placement> {
        self.step(step).resources.placement.as_ref()
    }

    /// The executor of a step, and, if its key is shared with other runs, the attempt of a dead one that makes the same there.
    pub(super) async fn post(
        &mut self,
        placement: &Placement,
        key: &Key,
        shared: bool,
    ) -> Result<(Arc<Post>, Option<Orphan>), EngineError> {
        let wrong = |reason| EngineError::Executor { name: placement.executor.to_string(), reason };
        let post = self.away.fleet.post(&self.project, placement).await.map_err(wrong)?;
        // What is not cached is made by each run: the one that is dead has not made it for this one.
        let orphan = match shared {
            true => self.away.fleet.orphan(&self.project, key, placement),
            false => None,
        };
        Ok((post, orphan))
    }

    /// Makes an attempt elsewhere.
    pub(super) fn launch(
        &mut self,
        attempt: Attempt,
        (post, orphan): (Arc<Post>, Option<Orphan>),
        lease: Option<Lease>,
    ) -> (AttemptId, Utf8PathBuf) {
        let step = attempt.step.get();
        let (id, log) = (attempt.id.clone(), attempt.log.clone());
        let execution = Box::new(attempt.execution.clone());
        let told = (id.clone(), log);
        let tally = self.failed_attempts.get(&step).copied().unwrap_or_default();
        let launch = Launch {
            project: self.project.clone(),
            run: self.id.clone(),
            memory: tally.memory(&self.step(step).retries),
            attempt,
            post,
            orphan,
            told: OnceLock::new(),
            news: self.away.news.0.clone(),
        };
        let cancel = self.cancel.clone();
        self.attempts.spawn(async move {
            let ended = Box::new(launch.make(&cancel).await);
            End::Attempt { step, id, execution, ended, lease }
        });
        told
    }

    /// Tells how an attempt elsewhere fares.
    pub(super) fn tell_elsewhere(&mut self, (step, attempt, how): News) {
        let Some(placement) = self.placement(step) else { return };
        let executor = placement.executor.clone();
        self.teller.tell(Event::StepElsewhere { step: self.step(step).id.clone(), attempt, executor, how });
    }

    /// Tells what is left to be told.
    pub(super) fn tell_all_elsewhere(&mut self) {
        while let Ok(news) = self.away.news.1.try_recv() {
            self.tell_elsewhere(news);
        }
    }
}
