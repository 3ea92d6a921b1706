//! What is written into the outbox when a run has ended, was lost, or could not begin.

use camino::Utf8Path;
use jiff::Timestamp;

use super::entry::{Entry, EntryId, Recipient, What};
use super::error::OutboxError;
use super::facts::Facts;
use super::marks;
use super::shelf::Outbox;
use crate::event::{Cause, Outcome};
use crate::load;
use crate::name::{PipelineName, RunId};
use crate::project::Project;
use crate::record::{History, Recap, RunRecord};
use crate::spec::{News, Notify};

/// Of the runs before one, so many are looked at to find one that says something.
const FEW: usize = 100;

/// A run that did not end by itself, or that could not begin.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The pipeline file, relative to the project.
    pub file: &'a str,
    /// The pipeline, if its file does not say it as it is now.
    pub pipeline: &'a PipelineName,
    /// What started it, or should have.
    pub cause: Cause,
    /// The trigger.
    pub trigger: Option<&'a str>,
    /// The run, if there was one that was lost.
    pub run: Option<&'a RunId>,
    /// Why, as far as is known.
    pub why: Option<&'a str>,
    /// What tells it from all others.
    pub key: &'a str,
}

/// Writes what is to be told of a run that ended. Says what was written; nothing if nobody is told.
///
/// # Errors
/// If the run cannot be read, or the outbox cannot be written.
pub fn ended(project: &Project, file: &Utf8Path, run: &RunId) -> Result<Vec<EntryId>, OutboxError> {
    // Programs and people do not wait for each other.
    let looked = marks::look(project);
    let written = write(project, file, run)?;
    looked.map(|()| written)
}

fn write(project: &Project, file: &Utf8Path, run: &RunId) -> Result<Vec<EntryId>, OutboxError> {
    let all = match load::notify(file) {
        Ok(found) => found.map(|found| found.notify).unwrap_or_default(),
        Err(source) => return Err(OutboxError::Io { path: file.to_owned(), source }),
    };
    if !all.iter().any(|notify| notify.enabled) {
        return Ok(Vec::new());
    }
    let history = History::below(project.state());
    let events = history.events(run)?;
    let recap = Recap::of(&events);
    let Some(record) = RunRecord::fold(events, false) else { return Ok(Vec::new()) };
    let Some(outcome) = record.outcome else { return Ok(Vec::new()) };
    let facts = Facts::of(project, &record, &recap, outcome);
    let wants_recovery = all.iter().any(|notify| notify.on.contains(&News::Recovery));
    let recovered = match outcome == Outcome::Succeeded && wants_recovery && had_failed(&history, &record)? {
        true => Some(facts.clone().recovered()),
        false => None,
    };
    let chosen = |notify: &Notify| match &recovered {
        Some(recovered) if notify.on.contains(&News::Recovery) => recovered.clone(),
        _ => facts.clone(),
    };
    put(project, &all, &chosen, run.as_str())
}

/// Writes what is to be told of a run that was lost, or could not begin, to these.
///
/// # Errors
/// If the outbox cannot be written.
pub fn failed(project: &Project, all: &[Notify], failed: Failed<'_>) -> Result<Vec<EntryId>, OutboxError> {
    let Failed { file, pipeline, cause, trigger, run, why, key } = failed;
    let what = match run {
        Some(_) => "a run was lost with its process",
        None => "no run could begin",
    };
    let bare = Facts::bare(project, pipeline.clone(), file.to_owned(), cause, what, Timestamp::now());
    let outcome = if run.is_some() { "lost" } else { "not-begun" };
    let (trigger, why) = (trigger.map(str::to_owned), why.map(str::to_owned));
    let facts = Facts { run: run.cloned(), outcome, trigger, why, ..bare };
    put(project, all, &|_| facts.clone(), key)
}

/// Whether the run of this pipeline before it had failed, or was refused. One that was told to stop says nothing.
fn had_failed(history: &History, record: &RunRecord) -> Result<bool, OutboxError> {
    let mut run = record.run.clone();
    for _ in 0..FEW {
        let Some(before) = history.previous(&record.pipeline, &run)? else { return Ok(false) };
        match before.outcome {
            Some(Outcome::StepFailed | Outcome::InfrastructureFailed | Outcome::GateClosed) => {
                return Ok(true);
            }
            Some(Outcome::Succeeded) => return Ok(false),
            Some(Outcome::Interrupted) | None => run = before.run,
        }
    }
    Ok(false)
}

fn put(
    project: &Project,
    all: &[Notify],
    facts: &dyn Fn(&Notify) -> Facts,
    key: &str,
) -> Result<Vec<EntryId>, OutboxError> {
    let (outbox, now) = (Outbox::below(project.state()), Timestamp::now());
    let mut written = Vec::new();
    for notify in all.iter().filter(|notify| notify.enabled) {
        let facts = facts(notify);
        if !notify.on.contains(&facts.news) || !notify.causes.contains(&facts.cause) {
            continue;
        }
        let to = Recipient::Notify { file: facts.file.clone(), name: notify.name.clone() };
        let message = facts.message(notify, &format!("{key}-{}", notify.name));
        let entry = Entry::new(to, key, What::Message(message), now);
        if outbox.put(&entry)? {
            written.push(entry.id);
        }
    }
    Ok(written)
}
