//! Trying an executor: everything that an attempt there needs, one thing after the other, and at last a tiny step.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use camino::Utf8Path;
use serde::Serialize;
use tidemill_executors::{BatchId, ExecutorError};

use crate::error::EngineError;
use crate::event::{Cause, Elsewhere, Event, Stamped, Subscriber};
use crate::execute::{Cancellation, describe};
use crate::failure::{Failure, FailureReport, InfraFailure, StepFailure};
use crate::graph::{self, Graph, Placement};
use crate::name::ExecutorName;
use crate::project::Project;
use crate::remote::Post;
use crate::run::{RunOptions, run};
use crate::spec::LoadRequest;

/// How an executor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// What was tried, in order; what comes after the first that does not work was not.
    pub found: Vec<Found>,
    /// What to do, if something does not work and that can be told.
    pub help: Option<String>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What.
    pub what: &'static str,
    /// Whether it works.
    pub works: bool,
    /// How it is, or why it does not work.
    pub said: String,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
}

impl Trial {
    /// Whether all of it works.
    #[must_use]
    pub fn works(&self) -> bool {
        self.found.iter().all(|found| found.works)
    }

    fn note(&mut self, what: &'static str, since: Instant, found: Result<String, String>) -> bool {
        let works = found.is_ok();
        let said = found.unwrap_or_else(|reason| reason);
        let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.found.push(Found { what, works, said, took_ms });
        works
    }
}

/// Tries an executor, with a step that asks for so many GPUs.
pub async fn of(project: &Project, name: &str, gpus: u32, cancel: &Cancellation) -> Trial {
    let mut trial = Trial { found: Vec::new(), help: None };
    trial.help = try_all(project, name, gpus, cancel, &mut trial).await.err().flatten();
    trial
}

/// Adds what is found to a trial; the error is what to do.
async fn try_all(
    project: &Project,
    name: &str,
    gpus: u32,
    cancel: &Cancellation,
    trial: &mut Trial,
) -> Result<(), Option<String>> {
    let now = Instant::now();
    let executors = project.executors();
    let placement = ExecutorName::new(name)
        .map_err(|error| error.to_string())
        .map(|executor| Placement { executor, with: "{}".to_owned() });
    let post = match placement {
        Ok(placement) => Post::new(project, &placement).await,
        Err(reason) => Err(reason),
    };
    let kind = executors.kind(name).to_owned();
    let settings = post.as_ref().map(|_| kind).map_err(Clone::clone);
    if !trial.note("settings", now, settings) {
        let known: Vec<&str> = executors.names().collect();
        return Err(Some(match known.is_empty() {
            true => format!("name it in tidemill.toml: `[executors.{name}]`"),
            false => format!("executors of this project: {}", known.join(", ")),
        }));
    }
    let Ok(post) = post else { return Err(None) };
    let now = Instant::now();
    let (store, help) = store(project);
    if !trial.note("store", now, store) {
        return Err(help);
    }
    let now = Instant::now();
    let asked = post.client().status(&[BatchId::generate()]).await;
    if !trial.note("reached", now, asked.map(|_| "it answers".to_owned()).map_err(said)) {
        return Err(Some(
            "try by hand what `tidemill.toml` names: the login over `ssh`, or the engine's own command"
                .to_owned(),
        ));
    }
    let now = Instant::now();
    let program = post.program(project).await.map(str::to_owned).map_err(said);
    if !trial.note("program", now, program) {
        return Err(Some(
            "`program = \"PATH\"` in the executor's table names a tidemill that fits there".to_owned(),
        ));
    }
    let now = Instant::now();
    let step = step(project, name, gpus, cancel).await;
    match trial.note("step", now, step) {
        true => Ok(()),
        false => Err(None),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn said(error: ExecutorError) -> String {
    error.to_string()
}

fn store(project: &Project) -> (Result<String, String>, Option<String>) {
    let Some(store) = project.store().filter(|store| store.takes_results()) else {
        let error = EngineError::ExecutorWithoutStore { name: "that is tried".to_owned() };
        return (Err("there is none that takes what steps read".to_owned()), error.hint());
    };
    match store.store.status() {
        Ok(status) => (Ok(status.address), None),
        Err(error) => (Err(error.to_string()), None),
    }
}

/// What the tiny step says of the machine that it runs on.
const COMMAND: &str = "printf '%s, %s cores, %s' \"$(uname -srm)\" \"$(nproc)\" \"$${CUDA_VISIBLE_DEVICES:-no GPUs}\" > ${outputs.said}";

async fn step(project: &Project, name: &str, gpus: u32, cancel: &Cancellation) -> Result<String, String> {
    let graph = graph(project, name, gpus)?;
    let heard = Arc::new(Mutex::new(Heard::default()));
    let subscriber: Box<dyn Subscriber> = Box::new(Listener(Arc::clone(&heard)));
    let options = RunOptions::new(Cause::Command);
    let ran = run(project, graph, options, vec![subscriber], cancel.clone()).await;
    let summary = ran.map_err(|error| describe(&error))?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = summary.recap.failures.first() {
        return Err(why(&failed.report, heard.waiting.as_deref()));
    }
    let said = heard.said.clone().ok_or_else(|| "it was stopped".to_owned())?;
    let said = project.cache().read(&said, 1 << 16).map_err(|error| describe(&error))?;
    let place = heard.host.as_deref().map(|host| format!(", at {host}")).unwrap_or_default();
    Ok(format!("it ran{place}: {}", String::from_utf8_lossy(&said)))
}

fn graph(project: &Project, name: &str, gpus: u32) -> Result<Graph, String> {
    let file = project.root().join("executor-test.toml");
    let text = format!(
        "[pipeline]\nname = \"executor-test\"\n[steps.probe]\nrun = '''{COMMAND}'''\n\
         outputs.said = {{ path = \"said.json\", kind = \"report\" }}\n\
         cache = false\nexecutor = \"{name}\"\nretries = {{ infrastructure = 0 }}\nresources = {{ gpus = {gpus} }}\n"
    );
    let request = LoadRequest {
        file: Utf8Path::new(&file),
        text: &text,
        set: &[],
        params_files: &[],
        catalog: project.catalog(),
        executors: project.executors(),
    };
    graph::load(&request).map_err(|diagnostics| diagnostics.to_string())
}

/// What was heard of the step.
#[derive(Default)]
struct Heard {
    host: Option<String>,
    waiting: Option<String>,
    said: Option<tidemill_cache::Artifact>,
}

struct Listener(Arc<Mutex<Heard>>);

impl Subscriber for Listener {
    fn on(&mut self, event: &Stamped) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            Event::StepElsewhere { how: Elsewhere::Running { host }, .. } => heard.host.clone_from(host),
            Event::StepElsewhere { how: Elsewhere::Waiting { reason }, .. } => {
                heard.waiting.clone_from(reason);
            }
            Event::StepSucceeded { outputs, .. } => heard.said = outputs.values().next().cloned(),
            _ => {}
        }
    }
}

fn why(report: &FailureReport, waiting: Option<&str>) -> String {
    let reason = match &report.failure {
        Failure::Infrastructure(
            InfraFailure::NotTaken { reason, .. }
            | InfraFailure::Lost { message: reason, .. }
            | InfraFailure::Storage { message: reason }
            | InfraFailure::SupervisorLost { message: reason },
        )
        | Failure::Step(StepFailure::NotStarted { reason }) => reason.clone(),
        Failure::Cancelled => match waiting {
            Some(reason) => format!("it waited, and was stopped: {reason}"),
            None => "it was stopped".to_owned(),
        },
        other => format!("{other:?}"),
    };
    match report.tail.last() {
        Some(line) => format!("{reason} (it said last: {line})"),
        None => reason,
    }
}
