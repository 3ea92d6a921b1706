//! Asking for what was made: the current artifact of an output, the result and the log of a step.

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, Key};

use crate::error::EngineError;
use crate::graph::{self, Graph, Outline, Step, StepIndex};
use crate::name::{OutputName, StepId};
use crate::plan::{Decision, Foreseen, Satisfied, Selection, foresee_now, is_let_go, unknown};
use crate::project::Project;
use crate::record::{History, RunRecord, StepRecord};

/// An artifact that was found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Found {
    /// The step.
    pub step: StepId,
    /// The output.
    pub output: OutputName,
    /// The artifact.
    pub artifact: Artifact,
}

/// The artifact of `STEP.OUTPUT` for the pipeline as it is now.
///
/// # Errors
/// If there is no such output, or it has to be made first.
pub async fn get(project: &Project, graph: &Graph, reference: &str) -> Result<Found, EngineError> {
    let wrong = || EngineError::NotAnOutput { text: reference.to_owned() };
    // A matrix value may hold a dot, an output's name may not.
    let (step, output) = reference.rsplit_once('.').ok_or_else(wrong)?;
    let index = graph.find(step).ok_or_else(|| unknown(graph, step))?;
    let known: Vec<String> = graph.step(index).outputs.keys().map(ToString::to_string).collect();
    let output = OutputName::new(output).ok().filter(|name| graph.step(index).outputs.contains_key(name));
    let Some(output) = output else {
        let output = reference.rsplit('.').next().unwrap_or_default().to_owned();
        return Err(EngineError::UnknownOutput { step: step.to_owned(), output, known });
    };
    match satisfied(project, graph, index).await? {
        Ok(satisfied) => match satisfied.outputs.get(&output) {
            Some(Some(artifact)) => {
                check_available(project, graph.step(index), &output, artifact)?;
                let (step, artifact) = (graph.step(index).id.clone(), artifact.clone());
                Ok(Found { step, output, artifact })
            }
            _ => Err(not_made(step, &output, "the step left this optional output out".to_owned())),
        },
        Err(reason) => Err(not_made(step, &output, reason)),
    }
}

/// The key of a step for the pipeline as it is now, which has a result with all that it refers to.
///
/// # Errors
/// If there is no such step, or it has to be executed first.
pub async fn result_of(project: &Project, graph: &Graph, step: &str) -> Result<(StepId, Key), EngineError> {
    let index = graph.find(step).ok_or_else(|| unknown(graph, step))?;
    let satisfied = satisfied(project, graph, index)
        .await?
        .map_err(|reason| EngineError::NoResult { step: step.to_owned(), reason })?;
    for (output, artifact) in satisfied.outputs.iter() {
        if let Some(artifact) = artifact {
            check_available(project, graph.step(index), output, artifact)?;
        }
    }
    Ok((graph.step(index).id.clone(), satisfied.key))
}

fn not_made(step: &str, output: &OutputName, reason: String) -> EngineError {
    EngineError::NotMade { step: step.to_owned(), output: output.to_string(), reason }
}

fn check_available(
    project: &Project,
    step: &Step,
    output: &OutputName,
    artifact: &Artifact,
) -> Result<(), EngineError> {
    match project.cache().available(artifact)? {
        true => Ok(()),
        false => Err(EngineError::NotKept {
            step: step.id.to_string(),
            output: output.to_string(),
            by_choice: is_let_go(step, output),
        }),
    }
}

/// A step as it is known for the pipeline as it is now; else why it is not.
async fn satisfied(
    project: &Project,
    graph: &Graph,
    index: StepIndex,
) -> Result<Result<Box<Satisfied>, String>, EngineError> {
    let selection = Selection { until: vec![graph.step(index).id.to_string()], ..Selection::default() };
    let mut foreseen = foresee_now(project, graph, &selection).await?;
    Ok(match foreseen.swap_remove(index.get()) {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => Ok(satisfied),
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            Err(execution.reason.into_owned())
        }
        Foreseen::Decided(Decision::Moved(message)) => Err(message),
        Foreseen::Maybe(by) => Err(format!("{} has to run first", graph.step(by).id)),
        Foreseen::Blocked(by) => Err(format!("the gate of {} says no", graph.step(by).id)),
        Foreseen::Skipped(_) | Foreseen::Ignored => Err("it is left out".to_owned()),
    })
}

/// The log of a step.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LogText {
    /// The step.
    pub step: StepId,
    /// The run in which it executed.
    pub run: String,
    /// Where the log is, if it is a file of a run.
    pub path: Option<Utf8PathBuf>,
    /// What it holds.
    #[serde(skip)]
    pub text: Vec<u8>,
}

/// The largest log that is read from the cache, in bytes.
const LOG_LIMIT: u64 = 1 << 30;

/// The log of a step in a run (the last one if none is named): of its last attempt there, or, if its result was found in the
/// cache, of the attempt that made the result.
///
/// # Errors
/// If there is none.
pub fn log_of(project: &Project, run: Option<&str>, step: &str) -> Result<LogText, EngineError> {
    let history = History::below(project.state());
    let record = history.find(run.unwrap_or("last"))?;
    let none = || EngineError::NoLog { step: step.to_owned(), place: format!("run {}", record.run) };
    let found = find_step(&record, step).ok_or_else(none)?;
    if let Some(attempt) = found.attempts.last() {
        let text = std::fs::read(&attempt.log)
            .map_err(|source| EngineError::Io { path: attempt.log.clone(), source })?;
        let (step, run) = (found.step.clone(), record.run.to_string());
        return Ok(LogText { step, run, path: Some(attempt.log.clone()), text });
    }
    let key = found.key.ok_or_else(none)?;
    let result = project.cache().result(&key)?.ok_or_else(none)?;
    let text = match &result.log {
        Some(log) => project.cache().read(log, LOG_LIMIT)?,
        None => Vec::new(),
    };
    Ok(LogText { step: found.step.clone(), run: result.run, path: None, text })
}

fn find_step<'a>(record: &'a RunRecord, step: &str) -> Option<&'a StepRecord> {
    record.step(step).or_else(|| record.steps.iter().find(|known| known.step.step() == step))
}

/// The outline of the graph of a run, as it was when the run began; none if it was not kept, is gone from the cache, or has a
/// form that this version does not know.
///
/// # Errors
/// If the cache cannot be read.
pub fn outline_of(project: &Project, run: &RunRecord) -> Result<Option<Outline>, EngineError> {
    match &run.graph {
        Some(outline) => Ok(graph::kept(project.cache(), outline)?),
        None => Ok(None),
    }
}
