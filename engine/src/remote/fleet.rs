//! The executors that a run uses: each is reached when the first attempt goes there, and asked by one desk for all of its attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tidemill_cache::{Digest, Key};
use tidemill_executors::{BatchId, Desk, Executor, ExecutorError, Following, Job, Pace, Program, Resources};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::client::client;
use super::ledger::{Batches, Label, Noted, noted};
use crate::executors::{ExecutorSettings, KindSettings};
use crate::graph::Placement;
use crate::name::{ExecutorName, RunId};
use crate::project::Project;
use crate::record::History;

/// How long a run waits at its end until executors have forgotten what is done with.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many orders are sent and reports taken at once.
const TRANSFERS: usize = 8;
/// How many logs are written at once.
const WRITES: usize = 8;

/// The executors that a run uses.
#[derive(Default)]
pub(crate) struct Fleet {
    posts: BTreeMap<(ExecutorName, String), Arc<Post>>,
    /// What dead runs left behind, by key; read when the first attempt goes elsewhere.
    orphans: Option<BTreeMap<Key, Vec<Orphan>>>,
    /// The batches of dead runs of which this run has taken something up.
    taken_up: BTreeSet<BatchId>,
}

/// An attempt that a dead run left behind.
#[derive(Debug, Clone)]
pub(crate) struct Orphan {
    /// Its batch.
    pub(crate) batch: Arc<Noted>,
    /// Its place in it.
    pub(crate) job: u32,
}

impl Orphan {
    /// What it is for.
    pub(crate) fn label(&self) -> &Label {
        &self.batch.jobs[self.job as usize].label
    }
}

/// One executor, as this run uses it.
pub(crate) struct Post {
    /// Where it is.
    pub(crate) placement: Placement,
    /// How it is used.
    pub(crate) settings: ExecutorSettings,
    client: Arc<dyn Executor>,
    desk: Desk,
    /// The command that starts this program there.
    program: OnceCell<String>,
    /// So many orders are sent and reports taken at once: each takes memory, and the store is asked by several connections anyway.
    transfers: Semaphore,
    /// So many logs are written at once: each takes a thread.
    writes: Semaphore,
}

impl Fleet {
    /// The executor of a placement.
    ///
    /// # Errors
    /// If its settings cannot be.
    pub(crate) async fn post(
        &mut self,
        project: &Project,
        placement: &Placement,
    ) -> Result<Arc<Post>, String> {
        let name = (placement.executor.clone(), placement.with.clone());
        if let Some(post) = self.posts.get(&name) {
            return Ok(Arc::clone(post));
        }
        let post = Arc::new(Post::new(project, placement).await?);
        self.posts.insert(name, Arc::clone(&post));
        Ok(post)
    }

    /// Waits until the executors have forgotten what is done with, for a while: what is left is forgotten by a later run.
    pub(crate) async fn forgotten(&self) {
        let all = self.posts.values().map(|post| post.forgotten());
        let all = futures_util::future::join_all(all);
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::debug!("an executor has not forgotten yet what is done with");
        }
    }

    /// An attempt of a dead run that makes this key on this executor; it is given once.
    pub(crate) fn orphan(&mut self, project: &Project, key: &Key, placement: &Placement) -> Option<Orphan> {
        let orphans = self.orphans.get_or_insert_with(|| orphans(project));
        let of_key = orphans.get_mut(key)?;
        let place = of_key.iter().position(|orphan| orphan.batch.placement == *placement)?;
        let orphan = of_key.swap_remove(place);
        self.taken_up.insert(orphan.batch.batch.clone());
        Some(orphan)
    }

    /// At the end of a run: what dead runs left behind and what has its result here is done with.
    pub(crate) async fn settle(&mut self, project: &Project, own: &RunId) {
        let history = History::below(project.state());
        for batch in noted(project.state()) {
            let is_ours = |label: &Label| label.run == *own || history.is_alive(&label.run);
            if batch.jobs.iter().any(|job| is_ours(&job.label)) {
                continue;
            }
            let is_kept = |label: &Label| {
                let found = project.cache().result(&label.key);
                found.is_ok_and(|found| found.is_some_and(|found| found.number > label.after))
            };
            let kept: Vec<bool> = batch.jobs.iter().map(|job| is_kept(&job.label)).collect();
            let all = kept.iter().all(|kept| *kept);
            // To take up a job submits the rest of its batch, which nobody may want.
            if !all && !self.taken_up.contains(&batch.batch) {
                continue;
            }
            let Ok(post) = self.post(project, &batch.placement).await else { continue };
            if all {
                post.desk.forget(batch.batch.clone());
                continue;
            }
            let whole = Arc::new(batch.batch(project));
            for (job, _) in (0..).zip(kept).filter(|(_, kept)| *kept) {
                post.desk.adopt(&whole, job, None).close();
            }
        }
    }
}

/// What dead runs left behind, by key.
pub(crate) fn orphans(project: &Project) -> BTreeMap<Key, Vec<Orphan>> {
    let history = History::below(project.state());
    let mut orphans: BTreeMap<Key, Vec<Orphan>> = BTreeMap::new();
    for batch in noted(project.state()).into_iter().map(Arc::new) {
        for (job, noted) in (0..).zip(&batch.jobs) {
            if !history.is_alive(&noted.label.run) {
                let orphan = Orphan { batch: Arc::clone(&batch), job };
                orphans.entry(noted.label.key).or_default().push(orphan);
            }
        }
    }
    orphans
}

impl Post {
    pub(crate) async fn new(project: &Project, placement: &Placement) -> Result<Self, String> {
        let settings = project.executors().settings(placement.executor.as_str(), &placement.overrides())?;
        let client = client(project, &settings).await.map_err(|error| error.to_string())?;
        let mut pace = Pace::default();
        if let Some(poll) = settings.shared.poll {
            pace.slow = poll.max(Duration::from_millis(100));
            pace.quick = pace.quick.min(pace.slow);
        }
        let ledger = Arc::new(Batches::new(project.state(), placement.clone()));
        let desk = Desk::new(Arc::clone(&client), ledger, pace);
        let (program, transfers, writes) =
            (OnceCell::new(), Semaphore::new(TRANSFERS), Semaphore::new(WRITES));
        Ok(Self { placement: placement.clone(), settings, client, desk, program, transfers, writes })
    }

    /// The engine itself.
    pub(crate) fn client(&self) -> &Arc<dyn Executor> {
        &self.client
    }

    /// Brings this program there, once; the command that starts it there.
    ///
    /// # Errors
    /// If it cannot be brought, or does not run there.
    pub(crate) async fn program(&self, project: &Project) -> Result<&str, ExecutorError> {
        let bring = || async {
            let path = project.program().to_owned();
            let read = path.clone();
            let digest =
                tokio::task::spawn_blocking(move || std::fs::read(read).map(|bytes| Digest::of(&bytes)));
            let digest = digest.await.expect("reading a program does not panic");
            let digest = digest.map_err(|error| ExecutorError::Refused {
                engine: self.placement.executor.to_string(),
                reason: format!("{path} cannot be read: {error}"),
            })?;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            self.client.install(&Program { path, digest: digest.to_string(), version }).await
        };
        self.program.get_or_try_init(bring).await.map(String::as_str)
    }

    /// Waits until something may be sent to the store, or taken from it, for as long as the answer is there.
    pub(crate) async fn transfer(&self) -> SemaphorePermit<'_> {
        self.transfers.acquire().await.expect("it is never closed")
    }

    /// Waits until something may be written to a log, for as long as the answer is there.
    pub(crate) async fn write(&self) -> SemaphorePermit<'_> {
        self.writes.acquire().await.expect("it is never closed")
    }

    /// Whether a worker has to see itself that nobody else uses its GPUs.
    pub(crate) fn shares_gpus(&self) -> bool {
        matches!(self.settings.kind, KindSettings::Ssh(_))
    }

    /// Waits until the executor has forgotten what is done with.
    pub(crate) async fn forgotten(&self) {
        self.desk.forgotten().await;
    }

    /// Hands a job in.
    pub(crate) fn submit(&self, name: &str, resources: Resources, job: Job, label: &Label) -> Following {
        let label = serde_json::to_string(label).unwrap_or_default();
        self.desk.submit(name, resources, job, label, Some(0))
    }

    /// Follows a job that a dead run has handed in.
    pub(crate) fn adopt(&self, project: &Project, orphan: &Orphan) -> Following {
        self.desk.adopt(&Arc::new(orphan.batch.batch(project)), orphan.job, Some(0))
    }
}
