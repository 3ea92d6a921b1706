//! Asking for what was made: the current artifact of an output, the log of a step, and what garbage collection must keep.

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, Roots};

use crate::effects::Effects;
use crate::error::EngineError;
use crate::graph::{self, Graph, Outline};
use crate::name::{OutputName, RunId, StepId};
use crate::plan::{
    Decider, Decision, Foreseen, Foresight, Memo, Scope, Selection, foresee, observe, unknown,
};
use crate::process::LazyWarden;
use crate::project::Project;
use crate::record::{History, RunRecord, StepRecord};
use crate::registry::Registry;
use crate::withdrawn::Quarantines;

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
    let selection = Selection { until: vec![step.to_owned()], ..Selection::default() };
    let scope = Scope::of(graph, &selection)?;
    let warden = LazyWarden::new(project.program(), project.state());
    let observations = observe(project, graph, &warden).await?;
    let decider = Decider::new(project, graph, &observations, &warden);
    let memo = Memo::open(project, graph, &observations, &scope);
    let Foresight { foreseen, .. } = foresee(&decider, &scope, &memo).await?;
    warden.shutdown().await;
    let not_made = |reason: &str| EngineError::NotMade {
        step: step.to_owned(),
        output: output.to_string(),
        reason: reason.to_owned(),
    };
    match &foreseen[index.get()] {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => match satisfied.outputs.get(&output) {
            Some(Some(artifact)) if project.cache().available(artifact)? => Ok(Found {
                step: graph.step(index).id.clone(),
                output: output.clone(),
                artifact: artifact.clone(),
            }),
            Some(Some(_)) => Err(not_made("its bytes are gone from the cache")),
            _ => Err(not_made("the step left this optional output out")),
        },
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            Err(not_made(&execution.reason))
        }
        Foreseen::Decided(Decision::Moved(message)) => Err(not_made(message)),
        Foreseen::Maybe(by) => Err(not_made(&format!("{} has to run first", graph.step(*by).id))),
        Foreseen::Blocked(by) => Err(not_made(&format!("the gate of {} says no", graph.step(*by).id))),
        Foreseen::Skipped(_) | Foreseen::Ignored => Err(not_made("it is left out")),
    }
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

/// What garbage collection keeps: the results of the newest runs, of all runs that live, of the last effects, and every
/// registered model. Contents that were quarantined are kept by none of these: only by a result that counts.
///
/// # Errors
/// If the records cannot be read.
pub fn gc_roots(project: &Project, keep_runs: usize) -> Result<Roots, EngineError> {
    let history = History::below(project.state());
    let mut roots = Roots::default();
    let ids: Vec<RunId> = history.ids()?;
    for (place, id) in ids.iter().enumerate() {
        if place >= keep_runs && !history.is_alive(id) {
            continue;
        }
        if let Some(record) = RunRecord::fold(history.events(id)?, false) {
            roots.keys.extend(record.steps.iter().filter_map(|step| step.key));
            let outputs = record.steps.iter().flat_map(|step| step.outputs.values());
            roots.digests.extend(outputs.map(|artifact| artifact.digest));
            roots.digests.extend(record.graph.map(|outline| outline.digest));
            roots.digests.extend(history.lists(id)?.iter().map(|list| list.digest));
        }
    }
    roots.keys.extend(Effects::below(project.state()).keys()?);
    roots.digests.extend(Registry::at(project.state()).roots()?);
    // The registry has its own copies of its models.
    let bad = Quarantines::below(project.state()).bad_contents(project.cache())?;
    roots.digests.retain(|digest| !bad.contains(digest));
    Ok(roots)
}
