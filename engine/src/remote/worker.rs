//! The worker: carries one order out, as an attempt is made here, and puts its report into the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidemill_cache::{CacheError, Digest, Key};
use tidemill_store::{Pushing, StoreError};
use tokio::sync::mpsc::unbounded_channel;

use super::order::{Order, OrderError};
use super::report::{Report, ReportError};
use super::stream::{Printed, Stream};
use super::tidy::tidy;
use super::{gpus, proof};
use crate::error::EngineError;
use crate::execute::{Attempt, Cancellation, Fences, Turn, attempt};
use crate::failure::{Failure, FailureReport, StepFailure};
use crate::graph::{Graph, StepIndex};
use crate::plan::{Content, Execution, Material, Resolved};
use crate::process::LazyWarden;
use crate::project::Project;
use crate::store::ProjectStore;
use crate::withdrawn::Quarantines;

/// Why a worker has no report to give.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// What it reads cannot be had.
    #[error("the store does not have what the input {input} holds")]
    Input {
        /// The input.
        input: String,
    },
    /// The report is made, and cannot be sent.
    #[error("the report cannot be sent")]
    Send(#[source] StoreError),
    /// There is a report already, and it cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The cache said no.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// How an order was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// The step succeeded.
    Succeeded,
    /// It failed, and was reported to.
    Failed,
    /// It was told to stop: nothing is reported, so whoever gets the same order again carries it out.
    Cancelled,
}

impl Worked {
    fn of(succeeded: bool) -> Self {
        if succeeded { Self::Succeeded } else { Self::Failed }
    }
}

/// How an order is to be carried out.
pub struct Working {
    /// Whether GPUs are taken that nobody else on this machine uses, instead of all that can be seen.
    pub lease_gpus: bool,
    /// How large the cache of this machine's workers may be, in bytes.
    pub most_kept: u64,
    /// Is handed what the step prints, while it does.
    pub printed: Printed,
}

/// Carries the order with this digest out. The project stands for nothing but a place on this machine: its cache and its store.
///
/// # Errors
/// If there is no order, what it reads cannot be had, or the report cannot be sent. A step that fails is no error.
pub async fn work(
    project: &Project,
    digest: Digest,
    mut working: Working,
    cancel: &Cancellation,
) -> Result<Worked, WorkerError> {
    let store = crate::exchange::store(project)?.clone();
    // Whoever starts workers may have started one twice.
    let rank = rank(project);
    if let Some(succeeded) = Report::outcome(project, digest, rank)? {
        return Ok(Worked::of(succeeded));
    }
    let running = project.cache().running()?;
    let (order, execution) = prepared(project, digest).await?;
    let step = order.step.clone();
    let graph = Arc::new(Graph::single(order.pipeline.clone(), project.root().to_owned(), step));
    let warden = LazyWarden::new(project.program(), project.state());
    let mut refusal = proof::difference(project, &graph, &execution.resolved, &warden).await?;
    let mut gpus = None;
    if refusal.is_none() {
        match gpus::given(project, &order.step.resources, working.lease_gpus, cancel, &mut working.printed)
            .await
        {
            Ok(given) => gpus = given,
            Err(reason) => refusal = Some(reason),
        }
    }
    if let Some(reason) = refusal {
        warden.shutdown().await;
        let failure = Failure::Step(StepFailure::NotStarted { reason });
        let report = Report {
            result: Err(FailureReport::without_attempt(failure, None)),
            log: None,
            undeclared: None,
            used: Vec::new(),
            took_ms: 0,
        };
        return send(project, store, report, (order, digest, rank)).await.map(|()| Worked::Failed);
    }
    let Some(gpus) = gpus else {
        warden.shutdown().await;
        return Ok(Worked::Cancelled);
    };
    let logs = project.state().join("worker");
    std::fs::create_dir_all(&logs).map_err(|source| EngineError::Io { path: logs.clone(), source })?;
    let log = logs.join(format!("{digest}.log"));
    let (vacated, _) = unbounded_channel();
    let fences = Fences::of(project, &graph);
    let made = Attempt {
        id: order.attempt.clone(),
        graph,
        step: StepIndex::new(0),
        execution,
        run: order.run.clone(),
        quarantines: Quarantines::below(project.state()).last_number().map_err(EngineError::from)?,
        log: log.clone(),
        timeout: order.step.timeout,
        kind: None,
        rank: (order.step.resources.nodes > 1).then_some(rank),
        fences: Arc::new(fences),
        vacated,
    };
    let stream = Stream::start(log.clone(), working.printed);
    let ended = attempt(project, &warden, made, Turn::Now(gpus.ids.clone()), cancel).await;
    warden.shutdown().await;
    stream.finish().await;
    drop(gpus);
    let ended = ended.expect("an attempt whose turn it is runs");
    if let Err(FailureReport { failure: Failure::Cancelled, .. }) = &ended.result {
        std::fs::remove_file(&log).ok();
        return Ok(Worked::Cancelled);
    }
    let printed = std::fs::read(&log).ok().filter(|bytes| !bytes.is_empty());
    let report = Report {
        log: printed.map(|bytes| project.cache().put(&bytes)).transpose()?,
        result: ended.result.map(|finished| finished.result),
        undeclared: ended.undeclared,
        used: ended.used,
        took_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
    };
    let succeeded = report.result.is_ok();
    // What the step gives is what its first machine has made, and what each makes of its own.
    let gives = rank == 0 || succeeded && order.step.outputs.values().any(|output| output.ranks.is_some());
    if order.step.resources.nodes > 1 && !gives {
        std::fs::remove_file(&log).ok();
        return Ok(Worked::of(succeeded));
    }
    let sent = send(project, store, report, (order, digest, rank)).await;
    // What lies there was for this attempt only.
    std::fs::remove_file(&log).ok();
    drop(running);
    let (project, most) = (project.clone(), working.most_kept);
    let tidied = tokio::task::spawn_blocking(move || tidy(&project, most, SystemTime::now())).await;
    if let Err(error) = tidied.expect("making room does not panic") {
        tracing::warn!(%error, "no room could be made in the cache of the workers");
    }
    sent.map(|()| Worked::of(succeeded))
}

/// The order, and what it reads, here.
async fn prepared(project: &Project, digest: Digest) -> Result<(Order, Execution), WorkerError> {
    let project = project.clone();
    let prepare = move || {
        let order = Order::find(&project, digest)?;
        let artifacts: Vec<_> = order.materials.iter().map(|(_, _, artifact)| artifact.clone()).collect();
        project.cache().bring_here(&artifacts)?;
        let mut materials = Vec::with_capacity(order.materials.len());
        for (input, at, artifact) in &order.materials {
            if !project.cache().is_here(artifact)? {
                return Err(WorkerError::Input { input: input.to_string() });
            }
            let content = Content::Artifact { artifact: artifact.clone(), producers: Vec::new() };
            materials.push(Material { input: input.clone(), at: at.clone(), content });
        }
        let resolved = Resolved {
            key: Key::of_recipe(&order.recipe),
            recipe: order.recipe.clone().into(),
            materials,
            paths: order.paths.clone(),
        };
        let execution = Execution {
            resolved,
            reason: "it was ordered".into(),
            against: None,
            after: 0,
            expected: None,
            contest: None,
        };
        Ok((order, execution))
    };
    tokio::task::spawn_blocking(prepare).await.expect("preparing does not panic")
}

/// Which of the machines of a step this is, from 0.
fn rank(project: &Project) -> u32 {
    project.variable("TIDEMILL_NODE_RANK").and_then(|rank| rank.parse().ok()).unwrap_or(0)
}

/// How often a report is sent again, and how long is waited at first.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_secs(2);

/// Puts the report into the store: it may be hours of work, so an outage is waited for.
async fn send(
    project: &Project,
    store: ProjectStore,
    report: Report,
    (order, digest, rank): (Order, Digest, u32),
) -> Result<(), WorkerError> {
    let carried = report.put(project, &order, digest, rank)?;
    let mut wait = WAIT;
    for attempt in 1.. {
        let (cache, store, carried) = (project.cache().clone(), store.store.clone(), carried.clone());
        let push = move || store.push(&cache, vec![carried], &Pushing::aside());
        match tokio::task::spawn_blocking(push).await.expect("sending does not panic") {
            Ok(_) => return Ok(()),
            Err(error) if error.is_outage() && attempt < TRIES => {
                tracing::warn!(%error, "the report is sent again");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(error) => return Err(WorkerError::Send(error)),
        }
    }
    unreachable!("the last attempt returns")
}
