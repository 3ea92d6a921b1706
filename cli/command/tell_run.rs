//! What `tidemill run` does beside running: it has people and programs told how the run ended, within a limit; `tidemill watch` only programs,
//! for whoever watches sees it. That changes nothing about the run's own end.

use std::time::Duration;

use camino::Utf8Path;
use jiff::Timestamp;
use tidemill_engine::Project;
use tidemill_engine::event::Cause;
use tidemill_engine::execute::Urgency;
use tidemill_engine::load::{self, Notified};
use tidemill_engine::name::RunId;
use tidemill_engine::outbox::{self, EntryId, Failed, Outbox, OutboxError};

use crate::context::Context;
use crate::error::CliError;
use crate::runtime;
use crate::ui::telling::why;
use crate::ui::text::clean;

/// So long a run waits at its end until all is told.
const LIMIT: Duration = Duration::from_secs(20);

/// Has told what there is to be told of a run that ended.
pub(super) fn ended(context: &Context, project: &Project, file: &Utf8Path, run: &RunId) {
    let told = outbox::ended(project, file, run)
        .map_err(CliError::from)
        .and_then(|ids| deliver(context, project, &ids));
    if let Err(error) = told {
        tell_error(context, &error);
    }
}

/// Tells of a run that could not begin.
pub(super) struct Failure<'a> {
    pub(super) context: &'a Context,
    pub(super) project: &'a Project,
    /// The pipeline file.
    pub(super) file: &'a Utf8Path,
}

impl Failure<'_> {
    /// Has told why; `cause`: what started it, if this process is to tell.
    pub(super) fn tell(&self, cause: Option<Cause>, why: &CliError) {
        let Some(cause) = cause else { return };
        let told = self.write(cause, &why.to_string());
        if let Err(error) =
            told.map_err(CliError::from).and_then(|ids| deliver(self.context, self.project, &ids))
        {
            tell_error(self.context, &error);
        }
    }

    fn write(&self, cause: Cause, why: &str) -> Result<Vec<EntryId>, OutboxError> {
        let Ok(Some(Notified { pipeline: Some(pipeline), notify })) = load::notify(self.file) else {
            return Ok(Vec::new());
        };
        let (file, key) = (self.project.relative(self.file), RunId::generate(Timestamp::now()));
        let failed = Failed {
            file: file.as_str(),
            pipeline: &pipeline,
            cause,
            trigger: None,
            run: None,
            why: Some(why),
            key: key.as_str(),
        };
        outbox::failed(self.project, &notify, failed)
    }
}

fn tell_error(context: &Context, error: &CliError) {
    let error = clean(&error.to_string());
    context.ui.tell(&format!("warning: not all is told of this run: {error}\n"));
}

/// Has programs told of a run that `tidemill watch` made.
pub(super) async fn watched(context: &Context, project: &Project) {
    if !has_sinks(project) {
        return;
    }
    let told = async {
        outbox::look(project)?;
        deliver_all(project).await?;
        notes(&Outbox::below(project.state()), &[])
    };
    match told.await {
        Ok(lines) => lines.iter().for_each(|line| note(context, line)),
        Err(error) => tell_error(context, &error.into()),
    }
}

/// Tells what is due, if anything waits that may be of this run.
fn deliver(context: &Context, project: &Project, ids: &[EntryId]) -> Result<(), CliError> {
    if ids.is_empty() && !has_sinks(project) {
        return Ok(());
    }
    let done = runtime::with_signals(context.ui, |cancel| async move {
        tokio::select! {
            done = deliver_all(project) => done,
            () = cancel.at_least(Urgency::Terminate) => Ok(()),
        }
    })?;
    done?;
    for line in notes(&Outbox::below(project.state()), ids)? {
        note(context, &line);
    }
    Ok(())
}

fn has_sinks(project: &Project) -> bool {
    tidemill_engine::project::sinks(project.root()).is_ok_and(|sinks| !sinks.is_empty())
}

/// Tells what is due. What becomes of each is said in one note.
async fn deliver_all(project: &Project) -> Result<(), OutboxError> {
    let quiet: outbox::Listener = std::sync::Arc::new(|_| {});
    outbox::deliver(project, Some(LIMIT), &quiet).await.map(drop)
}

fn note(context: &Context, line: &str) {
    context.ui.tell(&format!("note: {}\n", clean(line)));
}

/// What was not told.
fn notes(outbox: &Outbox, ids: &[EntryId]) -> Result<Vec<String>, OutboxError> {
    let mut notes = Vec::new();
    let waiting = outbox.waiting()?;
    if !waiting.is_empty() {
        let (what, are) = if waiting.len() == 1 { ("message", "is") } else { ("messages", "are") };
        let mut note = format!("{} {what} {are} told later by the daemon or `tidemill tick`", waiting.len());
        if let Some(entry) = waiting.iter().find(|entry| entry.last_error.is_some()) {
            note.push_str(&format!(": {}: {}", entry.to, why(entry)));
        }
        notes.push(note);
    }
    for entry in ids.iter().filter_map(|id| outbox.dead_entry(*id)) {
        notes.push(format!("{} cannot be told: {}; `tidemill outbox` has it", entry.to, why(&entry)));
    }
    Ok(notes)
}
