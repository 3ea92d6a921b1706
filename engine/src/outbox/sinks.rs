//! What sinks are told of a run: its begin, the ends of the steps that were executed, its end. They are written beside the run, which does
//! not wait for the disk.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use jiff::Timestamp;

use super::entry::{Entry, Recipient, What};
use super::error::OutboxError;
use super::facts::name;
use super::marks;
use super::shelf::Outbox;
use crate::event::{Event, Stamped, Subscriber};
use crate::failure::Failure;
use crate::happened::{self, Happened};
use crate::name::{PipelineName, RunId};
use crate::project::{self, Project};
use crate::sink::Sink;

/// Who writes what sinks are told of a run; none if there are no sinks.
#[must_use]
pub fn subscriber(project: &Project) -> Option<Box<dyn Subscriber>> {
    let sinks = project::sinks(project.root()).ok().filter(|sinks| !sinks.is_empty())?;
    if let Err(error) = marks::look(project) {
        tracing::error!(%error, "what happens in the registry may be told late");
    }
    let (sender, received) = channel::<Happened>();
    let own = project.clone();
    let writer = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || {
        for happened in received {
            if let Err(error) = put(&own, &sinks, &happened, Timestamp::now()) {
                tracing::error!(%error, kind = happened.kind, "a sink is not told of this");
            }
        }
    });
    match writer {
        Ok(writer) => {
            Some(Box::new(Telling { sender: Some(sender), writer: Some(writer), run: None, count: 0 }))
        }
        Err(error) => {
            tracing::error!(%error, "sinks are not told of this run");
            None
        }
    }
}

/// Writes an event for each sink that wants it.
pub(super) fn put(
    project: &Project,
    sinks: &[Sink],
    happened: &Happened,
    now: Timestamp,
) -> Result<(), OutboxError> {
    let Some(event) = happened.told_of(&name(project)) else { return Ok(()) };
    let key = format!("{} {}", event.source(), event.id());
    for sink in sinks.iter().filter(|sink| sink.wants(&event)) {
        let to = Recipient::Sink { name: sink.name.clone() };
        Outbox::below(project.state()).put(&Entry::new(
            to,
            &key,
            What::Event(Box::new(event.clone())),
            now,
        ))?;
    }
    Ok(())
}

struct Telling {
    sender: Option<Sender<Happened>>,
    writer: Option<JoinHandle<()>>,
    run: Option<(RunId, PipelineName)>,
    /// How many were told.
    count: u64,
}

impl Telling {
    /// What this event is to others.
    fn happened(&mut self, Stamped { at, event }: &Stamped) -> Option<Happened> {
        if let Event::RunStarted { run, pipeline, cause, .. } = event {
            self.run = Some((run.clone(), pipeline.clone()));
            return Some(happened::run_started(run, pipeline, *cause, *at));
        }
        let (run, pipeline) = self.run.as_ref()?;
        match event {
            Event::StepSucceeded { step, attempt, .. } => {
                Some(happened::step_ended((run, pipeline), step, attempt, None, *at))
            }
            Event::StepFailed { step, attempt: Some(attempt), report }
                if report.failure != Failure::Cancelled =>
            {
                let why = Some(report.failure.words());
                Some(happened::step_ended((run, pipeline), step, attempt, why, *at))
            }
            Event::RunFinished { outcome, .. } => Some(happened::run_ended(run, pipeline, *outcome, *at)),
            _ => None,
        }
    }
}

impl Subscriber for Telling {
    fn on(&mut self, stamped: &Stamped) {
        let Some(happened) = self.happened(stamped) else { return };
        let Some((run, _)) = &self.run else { return };
        let happened = Happened { id: format!("{run}/{}", self.count), ..happened };
        self.count += 1;
        if let Some(sender) = &self.sender
            && sender.send(happened).is_err()
        {
            tracing::error!("sinks are not told of this run any more");
        }
    }

    fn takes_lists(&self) -> bool {
        true
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // All is on the disk when the run has ended.
        drop(self.sender.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("sinks were not told of all of this run");
        }
    }
}
