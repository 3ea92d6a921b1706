//! The worker: one attempt of one step, the same five things everywhere: place inputs, run, watch, take outputs, publish.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{ActionResult, CacheError, NewResult, Usage, Withdrawal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::cancel::{Cancellation, Urgency};
use super::checkpoint::Saver;
use super::fences::Fences;
use super::folder::StepFolder;
use super::invocation::{Invocation, OUTCOME, Prepared};
use super::kept::{self, Card};
use super::log::{last, tail, written};
use super::outputs::{arrange, capture, describe};
use super::usage::Course;
use super::{reads, room, undeclared};
use crate::event::{Undeclared, UsagePoint};
use crate::failure::{Failure, FailureReport, InfraFailure, StepFailure};
use crate::graph::{Graph, Source, Step, StepIndex};
use crate::name::AttemptId;
use crate::plan::{Content, Execution, Material, RunFacts};
use crate::process::{
    Child, Command, Exit, Fence, HeldCommand, LazyWarden, ProcessError, Rank, Reads, Secret, Status, Trace,
};
use crate::project::Project;
use crate::withdrawn::Quarantines;

/// An order to run a step once.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The graph.
    pub graph: Arc<Graph>,
    /// The step.
    pub step: StepIndex,
    /// What was decided.
    pub execution: Execution,
    /// Facts of the run.
    pub run: RunFacts,
    /// How many entries the log of quarantines had before the run looked anything up.
    pub quarantines: u64,
    /// Where its log grows.
    pub log: Utf8PathBuf,
    /// The longest that it may take.
    pub timeout: Option<Duration>,
    /// What it takes of the machine, if its process may follow another one's of the same kind, and be followed.
    pub kind: Option<u64>,
    /// Which of several machines this is: it takes what this one gives, and nothing is kept under the key.
    pub rank: Option<u32>,
    /// What steps may reach.
    pub fences: Arc<Fences>,
    /// Is told when its process, and all that it left behind, has ended well.
    pub vacated: UnboundedSender<Vacated>,
}

/// A place that is free, or has been taken.
#[derive(Debug)]
pub struct Vacated {
    /// The step whose process has ended well.
    pub step: usize,
    /// The id of the attempt whose process has begun in its place.
    pub follower: Option<String>,
}

/// The place of an attempt: the ids of the GPUs that it may use.
#[derive(Debug)]
pub enum Turn {
    /// It has it.
    Now(Vec<String>),
    /// It gets it when there is one; until then it prepares. If the sender goes, it is not to run.
    Later {
        /// Tells when.
        place: oneshot::Receiver<Vec<String>>,
        /// How urgent it is.
        rank: Rank,
        /// Whether its process may begin by itself in the place of another one.
        may_follow: Arc<AtomicBool>,
    },
}

/// What an attempt gave.
#[derive(Debug)]
pub struct Finished {
    /// The result, or the winner's if another process was faster.
    pub result: ActionResult,
    /// What an effect wrote of its outcome.
    pub outcome: serde_json::Value,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended {
    /// What it gave, or why it failed, with the end of its log.
    pub result: Result<Finished, FailureReport>,
    /// What it read that its step did not declare, if that was watched and there is something.
    pub undeclared: Option<Undeclared>,
    /// What it used while it ran, if it ran for long.
    pub used: Vec<UsagePoint>,
    /// What it took from when it had its place.
    pub took: Duration,
}

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How long after a step has obeyed an order to end this process may hear of the same order.
const A_MOMENT: Duration = Duration::from_millis(500);
/// How many lines of the log a failure shows.
const TAIL_LINES: usize = 20;

/// Runs a step once. None: it was not to run.
pub async fn attempt(
    project: &Project,
    warden: &LazyWarden,
    attempt: Attempt,
    turn: Turn,
    cancel: &Cancellation,
) -> Option<Ended> {
    let work = Arc::new(Work::new(project, attempt));
    let prepared = work.blocking(Work::prepare).await;
    let (gpus, held) = match turn {
        Turn::Now(gpus) => (Some(gpus), None),
        Turn::Later { place, rank, may_follow } => {
            let held = match &prepared {
                Ok(folder) if may_follow.load(Ordering::Relaxed) => work.hold(folder, warden, rank),
                _ => None,
            };
            (place.await.ok(), held)
        }
    };
    let Some(gpus) = gpus else {
        let ran = match held {
            Some(held) => held.withdraw().await,
            None => false,
        };
        if let Ok(folder) = prepared {
            let put_away = if ran { StepFolder::discard } else { StepFolder::recycle };
            work.blocking(move |work| put_away(&folder, &work.project)).await;
        }
        return None;
    };
    let began = Instant::now();
    work.gpus.get_or_init(|| gpus);
    let result = match prepared {
        Ok(folder) => work.run(Arc::new(folder), held, warden, cancel).await,
        Err(failure) => Err((failure, None)),
    };
    if let Err((Failure::Infrastructure(InfraFailure::SupervisorLost { .. }), _)) = &result {
        warden.forget().await;
    }
    Some(Ended {
        result: result.map_err(|(failure, kept)| work.report(failure, kept)),
        undeclared: work.undeclared(),
        used: work.course.points(),
        took: began.elapsed(),
    })
}

pub(super) struct Work {
    pub(super) project: Project,
    pub(super) attempt: Attempt,
    /// The ids of its GPUs, once it has its place.
    pub(super) gpus: OnceLock<Vec<String>>,
    /// What saves its work while it runs, if it says so.
    pub(super) saver: OnceLock<Arc<Saver>>,
    /// What its processes use.
    course: Course,
    /// What is to be said of the disk, as it was when the step had failed.
    room: OnceLock<Option<String>>,
    /// What its process read, once that has ended, if that is told.
    reads: OnceLock<Reads>,
}

impl Work {
    pub(super) fn new(project: &Project, attempt: Attempt) -> Self {
        Self {
            project: project.clone(),
            attempt,
            gpus: OnceLock::new(),
            saver: OnceLock::new(),
            course: Course::default(),
            room: OnceLock::new(),
            reads: OnceLock::new(),
        }
    }

    pub(super) fn step(&self) -> &Step {
        self.attempt.graph.step(self.attempt.step)
    }

    fn gpus(&self) -> &[String] {
        self.gpus.get().map_or(&[], Vec::as_slice)
    }

    /// Hands the command to the warden, so that it can begin at once when there is a place. If anything is in the way, it is met
    /// again in its turn.
    fn hold(&self, folder: &StepFolder, warden: &LazyWarden, rank: Rank) -> Option<HeldCommand> {
        self.attempt.kind?;
        // What an earlier attempt has saved comes first.
        if self.step().checkpoint.is_some() {
            return None;
        }
        Some(warden.present()?.hold(self.command(folder).ok()?, rank))
    }

    async fn run(
        self: &Arc<Self>,
        folder: Arc<StepFolder>,
        held: Option<HeldCommand>,
        warden: &LazyWarden,
        cancel: &Cancellation,
    ) -> Result<Finished, (Failure, Option<Utf8PathBuf>)> {
        let ran = match self.restore(&folder).await {
            Ok(()) => self.run_in(&folder, held, warden, cancel).await,
            Err(failure) => Err(failure),
        };
        let ran = ran.map(|(usage, follower)| {
            // The loop may be gone: then nobody waits for the place.
            let _ = self.attempt.vacated.send(Vacated { step: self.attempt.step.get(), follower });
            usage
        });
        self.blocking(move |work| {
            let finished = ran.and_then(|usage| work.finish(&folder, usage));
            work.save_last(finished.is_ok());
            let kept = work.put_away(&folder, finished.as_ref().err());
            finished.map_err(|failure| (failure, kept))
        })
        .await
    }

    /// What it used, and the attempt that has its place now.
    pub(super) async fn run_in(
        self: &Arc<Self>,
        folder: &Arc<StepFolder>,
        held: Option<HeldCommand>,
        warden: &LazyWarden,
        cancel: &Cancellation,
    ) -> Result<(Usage, Option<String>), Failure> {
        let started = Instant::now();
        let child = match held {
            Some(held) => held.start().await,
            None => {
                self.no_input_is_withdrawn()?;
                let command = self.command(folder)?;
                warden.get().await.map_err(lost)?.spawn(command).await
            }
        };
        let child = child.map_err(|error| match error {
            ProcessError::NotStarted { .. } => {
                Failure::Step(StepFailure::NotStarted { reason: describe(&error) })
            }
            _ => lost(error),
        })?;
        let id = self.attempt.id.to_string();
        let (exit, follower) = tokio::select! {
            watched = self.watch(child, cancel) => watched?,
            () = self.save_now_and_then() => unreachable!("it saves for as long as it is asked"),
            never = self.course.watch(&id, self.gpus(), warden) => match never {},
        };
        let usage = Usage {
            wall_ms: milliseconds(started.elapsed()),
            user_ms: milliseconds(exit.user),
            system_ms: milliseconds(exit.system),
            peak_memory: exit.peak_memory,
        };
        match exit.status {
            Status::Code(0) => Ok((usage, follower)),
            Status::Code(code) => Err(Failure::Step(StepFailure::Exit { code })),
            Status::Signal(signal) => Err(Failure::Step(StepFailure::Signal { signal })),
        }
    }

    pub(super) fn prepare(&self) -> Result<StepFolder, Failure> {
        for material in &self.attempt.execution.resolved.materials {
            if let Content::Project { source, seen, .. } = &material.content {
                self.project.cache().keep_input(seen, source);
            }
        }
        StepFolder::make(&self.project, &self.attempt.id, self.step(), &self.attempt.execution.resolved)
            .map_err(|error| match error {
                CacheError::Changed { path } => Failure::Step(self.changed(&path)),
                error => storage(&error),
            })
    }

    /// Waits for the process to end, and ends it when time is up or the run is stopped.
    async fn watch(
        &self,
        mut child: Child,
        cancel: &Cancellation,
    ) -> Result<(Exit, Option<String>), Failure> {
        let limit = self.attempt.timeout;
        let time_is_up = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let failure = tokio::select! {
            exit = child.wait() => {
                let exit = exit.map_err(lost)?;
                self.note_reads(&child);
                // Who ends a service or a job tells all its processes: the step may obey before it is heard here.
                let heard = tokio::time::timeout(A_MOMENT, cancel.at_least(Urgency::Terminate));
                if exit.status.is_obedience() && heard.await.is_ok() {
                    return Err(Failure::Cancelled);
                }
                return Ok((exit, child.follower().map(str::to_owned)));
            }
            () = cancel.at_least(Urgency::Terminate) => Failure::Cancelled,
            () = time_is_up => Failure::Step(StepFailure::TimedOut {
                seconds: limit.map_or(0, |limit| limit.as_secs().max(1)),
            }),
        };
        child.terminate();
        tokio::select! {
            exit = child.wait() => { exit.map_err(lost)?; }
            () = tokio::time::sleep(GRACE) => child.kill(),
            () = cancel.at_least(Urgency::Kill) => child.kill(),
        }
        child.wait().await.map_err(lost)?;
        self.note_reads(&child);
        Err(failure)
    }

    fn note_reads(&self, child: &Child) {
        if let Some(reads) = child.reads() {
            self.reads.get_or_init(|| reads.clone());
        }
    }

    fn undeclared(&self) -> Option<Undeclared> {
        let seen = self.reads.get()?;
        let folder = &self.attempt.graph.folder;
        let folder = folder.canonicalize_utf8().unwrap_or_else(|_| folder.clone());
        reads::undeclared(seen, &folder)
    }

    fn invocation<'a>(&'a self, folder: &'a StepFolder) -> Invocation<'a> {
        Invocation {
            project: &self.project,
            pipeline: &self.attempt.graph.pipeline,
            step: self.step(),
            run: &self.attempt.run,
            attempt: &self.attempt.id,
            gpus: self.gpus(),
            paths: &self.attempt.execution.resolved.paths,
            folder,
        }
    }

    fn command(&self, folder: &StepFolder) -> Result<Command, Failure> {
        let Prepared { argv, env, secrets } = self.invocation(folder).prepare()?;
        Ok(Command {
            id: self.attempt.id.to_string(),
            argv,
            env,
            folder: folder.root(),
            log: self.attempt.log.clone(),
            redact: secrets.into_values().map(Secret::new).collect(),
            kind: self.attempt.kind,
            fence: self.fence(folder),
            trace: self.trace(folder),
        })
    }

    fn fence(&self, folder: &StepFolder) -> Option<Fence> {
        let Attempt { fences, graph, execution, .. } = &self.attempt;
        fences.around(self.step(), &execution.resolved.materials, folder, &graph.folder)
    }

    fn trace(&self, folder: &StepFolder) -> Option<Trace> {
        let Attempt { fences, graph, execution, .. } = &self.attempt;
        fences.trace(self.step(), &execution.resolved.materials, folder, graph, self.project.program())
    }

    /// Removes the folder, or keeps it as a failed attempt left it: where it is kept.
    fn put_away(&self, folder: &StepFolder, failure: Option<&Failure>) -> Option<Utf8PathBuf> {
        let Some(failure) = failure else {
            kept::forget(&self.project, &self.attempt.graph.pipeline, &self.step().id);
            folder.recycle(&self.project);
            return None;
        };
        // What is removed now makes room again.
        self.room.get_or_init(|| room::hint(self.project.state()));
        if !kept::is_worth_keeping(failure) {
            // Not for the next: if the warden was lost, something may still write there.
            folder.discard(&self.project);
            return None;
        }
        match kept::keep(&self.project, folder, &self.card(folder, failure)) {
            Ok(folder) => Some(folder.root()),
            Err(error) => {
                tracing::warn!(folder = %folder.root(), %error, "the folder of a failed attempt could not be kept");
                folder.discard(&self.project);
                None
            }
        }
    }

    fn card(&self, folder: &StepFolder, failure: &Failure) -> Card {
        let Attempt { id, graph, execution, run, .. } = &self.attempt;
        let invocation = self.invocation(folder);
        Card {
            attempt: id.clone(),
            pipeline: graph.pipeline.clone(),
            step: self.step().id.clone(),
            key: execution.resolved.key,
            run: run.clone(),
            at: jiff::Timestamp::now(),
            failure: Some(failure.clone()),
            command: invocation.command(),
            declared: invocation.declared(),
            paths: execution.resolved.paths.clone(),
            gpus: self.gpus().to_vec(),
        }
    }

    /// After exit 0: the inputs are still what they were, the outputs are taken, the result is published.
    fn finish(&self, folder: &StepFolder, usage: Usage) -> Result<Finished, Failure> {
        self.inputs_are_unchanged()?;
        let step = self.step();
        let rank = self.attempt.rank;
        arrange(step, &folder.root(), rank)?;
        let outputs = capture(&self.project, step, &folder.root(), rank)?;
        let cache = self.project.cache();
        let log = written(&self.attempt.log).map(|bytes| cache.put(&bytes)).transpose();
        let new = NewResult {
            after: self.attempt.execution.after,
            outputs,
            log: log.map_err(|error| storage(&error))?,
            usage,
            finished: jiff::Timestamp::now(),
            run: self.attempt.run.id.clone(),
            step: step.id.to_string(),
            pipeline: self.attempt.graph.pipeline.to_string(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            user: self.project.user().to_owned(),
            project: self.project.root().to_string(),
            sandbox: self.attempt.fences.level(step).word().to_owned(),
        };
        let key = self.attempt.execution.resolved.key;
        let result = match step.cache && rank.is_none() {
            true => self.record(new)?,
            false => {
                self.no_input_is_withdrawn()?;
                new.unpublished(key)
            }
        };
        let outcome = std::fs::read(folder.beside(OUTCOME)).ok();
        let outcome = outcome.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Finished { result, outcome })
    }

    /// Records a result.
    fn record(&self, new: NewResult) -> Result<ActionResult, Failure> {
        let recipe = &self.attempt.execution.resolved.recipe;
        let result = self.project.cache().publish(recipe, new).map_err(|error| storage(&error))?;
        // After it was recorded: who withdraws an input looks for new results after that, so one of the two sees the other.
        if let Err(failure) = self.no_input_is_withdrawn() {
            self.withdraw(&result).map_err(|error| storage(&error))?;
            return Err(failure);
        }
        Ok(result)
    }

    pub(super) fn inputs_are_unchanged(&self) -> Result<(), Failure> {
        for material in &self.attempt.execution.resolved.materials {
            let Content::Project { source, shown, seen } = &material.content else { continue };
            let now =
                self.project.cache().look(source, self.project.rules()).map_err(|error| storage(&error))?;
            if now.is_none_or(|now| now.artifact != seen.artifact) {
                return Err(Failure::Step(StepFailure::InputChanged {
                    input: material.input.to_string(),
                    path: shown.clone(),
                }));
            }
        }
        Ok(())
    }

    /// Whether nothing that it reads was quarantined since the run began.
    fn no_input_is_withdrawn(&self) -> Result<(), Failure> {
        let is_the_users_empty_file =
            |content: &Content| matches!(content, Content::Project { .. }) && content.artifact().size == 0;
        let materials = self.attempt.execution.resolved.materials.iter();
        let materials: Vec<&Material> =
            materials.filter(|material| !is_the_users_empty_file(&material.content)).collect();
        let read = materials.iter().map(|material| material.content.artifact());
        let found = Quarantines::below(self.project.state())
            .read_since(self.project.cache(), self.attempt.quarantines, read)
            .map_err(|error| Failure::Infrastructure(InfraFailure::Storage { message: describe(&error) }))?;
        match found {
            Some((place, reason)) => {
                let input = materials[place].input.to_string();
                Err(Failure::Step(StepFailure::InputQuarantined { input, reason }))
            }
            None => Ok(()),
        }
    }

    /// Withdraws what was just recorded: it read what had been withdrawn.
    fn withdraw(&self, result: &ActionResult) -> Result<bool, CacheError> {
        let withdrawal = Withdrawal {
            reason: "it was made while one of its inputs was quarantined".to_owned(),
            by: self.project.user().to_owned(),
            at: jiff::Timestamp::now(),
        };
        self.project.cache().quarantine(&result.key, result.number, &withdrawal)
    }

    fn changed(&self, path: &Utf8Path) -> StepFailure {
        let materials = &self.attempt.execution.resolved.materials;
        let of_path = |source: &Utf8Path| path.starts_with(source);
        let input = materials
            .iter()
            .find(|material| matches!(&material.content, Content::Project { source, .. } if of_path(source)));
        StepFailure::InputChanged {
            input: input.map(|material| material.input.to_string()).unwrap_or_default(),
            path: self.project.relative(path).to_string(),
        }
    }

    pub(super) fn report(&self, failure: Failure, folder: Option<Utf8PathBuf>) -> FailureReport {
        let tail = tail(&self.attempt.log);
        let failure = match (failure, super::memory::ran_out(&last(tail.clone(), TAIL_LINES))) {
            (Failure::Step(StepFailure::Exit { .. }), Some(of)) => {
                Failure::Step(StepFailure::OutOfMemory { of })
            }
            (failure, _) => failure,
        };
        let declared: Vec<_> = self
            .step()
            .inputs
            .values()
            .filter_map(|input| match &input.source {
                Source::Project(path) => Some(path.clone()),
                _ => None,
            })
            .collect();
        let hint = match &failure {
            Failure::Step(StepFailure::Exit { .. }) => {
                let root = StepFolder::root_of(&self.project, &self.attempt.id);
                undeclared::hint(&tail, &self.attempt.graph.folder, &root, &declared)
                    .or_else(|| self.room.get()?.clone())
            }
            Failure::Step(StepFailure::Signal { .. }) => self.room.get().cloned().flatten(),
            Failure::Step(StepFailure::InputChanged { .. }) => {
                Some("nothing was kept; run again when the file is at rest".to_owned())
            }
            Failure::Step(StepFailure::InputQuarantined { .. }) => {
                Some("run again: the step that made it runs first".to_owned())
            }
            Failure::Step(StepFailure::OutputMissing { path, .. }) => Some(format!(
                "the command exited 0 but did not write {path} in its working folder; correct the path, or declare the output with `optional = true`"
            )),
            _ => None,
        };
        let log = Some(self.attempt.log.clone()).filter(|log| log.exists());
        FailureReport { failure, tail: last(tail, TAIL_LINES), log, folder, hint }
    }

    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&this)).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn storage(error: &CacheError) -> Failure {
    Failure::Infrastructure(InfraFailure::Storage { message: describe(error) })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn lost(error: ProcessError) -> Failure {
    Failure::Infrastructure(InfraFailure::SupervisorLost { message: describe(&error) })
}

/// Records what an attempt gave that was made elsewhere.
pub(crate) fn record(project: &Project, attempt: &Attempt, new: NewResult) -> Result<ActionResult, Failure> {
    Work::new(project, attempt.clone()).record(new)
}
