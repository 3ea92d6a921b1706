//! What was handed to executors and is not done with: one file per batch, written before the batch is submitted. It outlives whoever
//! wrote it, so what runs elsewhere is found again by the next run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tidemill_cache::{Digest, Key};
use tidemill_executors::{Batch, BatchId, Job, Ledger, Resources};

use crate::graph::Placement;
use crate::name::{AttemptId, PipelineName, RunId, StepId};
use crate::project::Project;

/// The layout of a file.
const VERSION: u32 = 1;

/// What a job is for. It is the label of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The key that is made.
    pub key: Key,
    /// The number of the newest result of that key when it was decided.
    pub after: u64,
    /// Its order.
    pub order: Digest,
    /// The run that submitted it.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The variables among its own whose values are secrets: these are not written down.
    pub secrets: Vec<String>,
}

/// A batch that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    version: u32,
    /// The executor, and what was said otherwise.
    pub placement: Placement,
    /// The id of the batch.
    pub batch: BatchId,
    name: String,
    resources: Resources,
    /// Its jobs.
    pub jobs: Vec<NotedJob>,
}

/// A job that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedJob {
    /// What it is for.
    pub label: Label,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
}

impl Noted {
    /// The batch as it was submitted; a secret that is not set any more is not in it.
    pub(crate) fn batch(&self, project: &Project) -> Batch {
        let job = |noted: &NotedJob| {
            let secrets = noted.label.secrets.iter();
            let secrets = secrets.filter_map(|name| Some((name.clone(), project.variable(name)?.to_owned())));
            Job { argv: noted.argv.clone(), env: noted.env.clone().into_iter().chain(secrets).collect() }
        };
        Batch {
            id: self.batch.clone(),
            name: self.name.clone(),
            resources: self.resources.clone(),
            jobs: self.jobs.iter().map(job).collect(),
        }
    }
}

/// The batches of one placement, below the state of a project.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    folder: Utf8PathBuf,
    placement: Placement,
}

impl Batches {
    pub(crate) fn new(state: &Utf8Path, placement: Placement) -> Self {
        Self { folder: folder(state), placement }
    }

    fn path(&self, batch: &BatchId) -> Utf8PathBuf {
        self.folder.join(format!("{batch}.json"))
    }
}

impl Ledger for Batches {
    fn note(&self, batch: &Batch, labels: &[String]) -> io::Result<()> {
        let job = |(job, label): (&Job, &String)| {
            let label: Label = serde_json::from_str(label)?;
            let mut env = job.env.clone();
            env.retain(|name, _| !label.secrets.contains(name));
            Ok(NotedJob { label, argv: job.argv.clone(), env })
        };
        let jobs = batch.jobs.iter().zip(labels).map(job).collect::<Result<_, serde_json::Error>>()?;
        let noted = Noted {
            version: VERSION,
            placement: self.placement.clone(),
            batch: batch.id.clone(),
            name: batch.name.clone(),
            resources: batch.resources.clone(),
            jobs,
        };
        fs::create_dir_all(&self.folder)?;
        // Made for its owner only, written aside, synced, then named. Who is killed in between leaves it among what a later run removes.
        let aside = self.folder.with_file_name("work");
        fs::create_dir_all(&aside)?;
        let run = noted.jobs.first().map(|job| job.label.run.to_string()).unwrap_or_default();
        let mut file = tempfile::Builder::new().prefix(&format!("{run}.batch-")).tempfile_in(&aside)?;
        file.write_all(&serde_json::to_vec(&noted)?)?;
        file.as_file().sync_all()?;
        file.persist(self.path(&batch.id)).map_err(|error| error.error)?;
        fs::File::open(&self.folder)?.sync_all()
    }

    fn erase(&self, batch: &BatchId) {
        let path = self.path(batch);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%path, %error, "what was handed to an executor cannot be crossed out");
        }
    }
}

fn folder(state: &Utf8Path) -> Utf8PathBuf {
    state.join("remote")
}

/// All batches that are written down. What cannot be read is passed over, and told.
pub fn noted(state: &Utf8Path) -> Vec<Noted> {
    let Ok(listing) = folder(state).read_dir_utf8() else { return Vec::new() };
    let mut found = Vec::new();
    for entry in listing.flatten().filter(|entry| entry.file_name().ends_with(".json")) {
        let read = fs::read(entry.path()).map_err(|error| error.to_string());
        let noted =
            read.and_then(|bytes| serde_json::from_slice::<Noted>(&bytes).map_err(|error| error.to_string()));
        match noted {
            Ok(noted) if noted.version == VERSION => found.push(noted),
            Ok(noted) => {
                tracing::warn!(path = %entry.path(), version = noted.version, "a batch of another version");
            }
            Err(error) => tracing::warn!(path = %entry.path(), %error, "a batch that cannot be read"),
        }
    }
    found.sort_by(|left, right| left.batch.cmp(&right.batch));
    found
}
