//! What arrives by itself: times that came, versions that were registered, aliases that were moved, runs that ended. Each source remembers by a
//! mark how far it was looked, and the mark is written with what arrived, so that nothing comes twice and nothing is passed over.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tidemill_triggers::{Missed, jitter, missed};

use super::pipelines::{Pipeline, Pipelines};
use super::queue::{Arrival, ArrivalId, Marks, State};
use crate::event::{Cause, Outcome};
use crate::graph::{Lacking, On, Trigger};
use crate::happened::{self, Happened};
use crate::name::{AliasName, PipelineName, RunId};
use crate::registry::{Registry, RegistryError};

/// What came, and what is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) marks: Marks,
    /// Times that are passed over, by trigger.
    pub(super) skipped: Vec<(String, u64)>,
    /// What an event lacks, by trigger: it leads to no run.
    pub(super) lacking: Vec<(String, Lacking)>,
}

/// The arrival of an event for a trigger.
pub(super) fn arrival(
    (file, pipeline): (&str, &PipelineName),
    trigger: &Trigger,
    cause: Cause,
    event: Json,
    now: Timestamp,
) -> Result<Arrival, Lacking> {
    let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
    let id = ArrivalId::of(file, Some(&trigger.name), text("source"), text("id"));
    Ok(Arrival {
        id,
        pipeline: pipeline.clone(),
        file: file.to_owned(),
        trigger: Some(trigger.name.clone()),
        cause,
        params: trigger.params_of(&event)?,
        event,
        at: now,
        not_before: None,
        not_after: None,
    })
}

/// A trigger of a pipeline, for people and for marks.
fn named(file: &str, trigger: &Trigger) -> String {
    format!("{file}#{}", trigger.name)
}

impl Came {
    fn take(
        &mut self,
        (file, own): (&str, &Pipeline),
        trigger: &Trigger,
        cause: Cause,
        happened: &Happened,
        now: Timestamp,
    ) {
        match arrival((file, &own.name), trigger, cause, happened.event(), now) {
            Ok(arrival) => self.arrivals.push(arrival),
            Err(lacking) => self.lacking.push((named(file, trigger), lacking)),
        }
    }
}

/// The name of the mark of a trigger: of another schedule, or another model, nothing has been seen.
pub(super) fn mark_of(file: &str, trigger: &Trigger) -> String {
    let name = named(file, trigger);
    match &trigger.on {
        On::Cron { schedule, .. } => format!("cron {name} {schedule}"),
        On::Watch { .. } => format!("watch {name}"),
        On::Event(_) => format!("event {name}"),
        On::Model(model, alias) => {
            format!("model {name} {model}@{}", alias.as_ref().map_or("", AliasName::as_str))
        }
        On::Run { pipeline, .. } => format!("run {name} {pipeline}"),
    }
}

/// The marks with which triggers begin that were not there: those of runs begin now; and what is not there any more, or not enabled, has
/// seen nothing when it comes back. Of a file that cannot be read nothing is known.
pub(super) fn beginnings(pipelines: &Pipelines, state: &State, now: Timestamp) -> Marks {
    let mut marks = Marks::new();
    let mut wanted = std::collections::BTreeSet::new();
    for (file, _, trigger) in pipelines.triggers() {
        let mark = mark_of(file, trigger);
        if matches!(trigger.on, On::Run { .. }) && state.mark(&mark).is_none() {
            marks.push((mark.clone(), now.to_string()));
        }
        wanted.insert(mark);
    }
    let unreadable: Vec<&str> =
        pipelines.iter().filter(|(_, own)| own.mistake.is_some()).map(|(file, _)| file).collect();
    for mark in state.marks().filter(|mark| !wanted.contains(*mark)) {
        if !unreadable.iter().any(|file| mark.contains(&format!(" {file}#"))) {
            marks.push((mark.to_owned(), String::new()));
        }
    }
    marks
}

/// If a mark is so much later than now, the clock was wrong when it was written.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_hours(25);

/// The times that came since it was last looked.
pub(super) fn due(pipelines: &Pipelines, state: &State, now: Timestamp) -> Came {
    let mut came = Came::default();
    for (file, own, trigger) in pipelines.triggers() {
        let On::Cron { schedule, catch_up, jitter: most, deadline } = &trigger.on else { continue };
        let mark = mark_of(file, trigger);
        let last = state.mark(&mark).and_then(|mark| mark.parse::<Timestamp>().ok());
        let Some(last) = last.filter(|last| last.duration_since(now) < WRONG_CLOCK) else {
            came.marks.push((mark, now.to_string()));
            continue;
        };
        let Missed { due, skipped } = missed(schedule, last, now, *catch_up, *deadline);
        if due.is_empty() && skipped == 0 {
            continue;
        }
        if skipped > 0 {
            came.skipped.push((named(file, trigger), skipped));
        }
        for due in due {
            let happened = Happened {
                id: due.to_string(),
                source: format!("/schedules/{}", named(file, trigger)),
                kind: "tidemill.schedule.due",
                subject: Some(schedule.to_string()),
                time: due,
                data: json!({ "due": due, "cron": schedule.text(), "timezone": schedule.zone() }),
            };
            let before = came.arrivals.len();
            came.take((file, own), trigger, Cause::Schedule, &happened, now);
            if let Some(arrival) = came.arrivals.get_mut(before) {
                let name = named(file, trigger);
                arrival.not_before = most.map(|most| add(due, jitter(&name, due, most)));
                arrival.not_after = deadline.map(|deadline| add(due, deadline));
            }
        }
        came.marks.push((mark, now.to_string()));
    }
    came
}

fn add(time: Timestamp, more: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(more).ok().and_then(|more| time.checked_add(more).ok()).unwrap_or(Timestamp::MAX)
}

/// When the next time comes.
pub(super) fn next_due(pipelines: &Pipelines, now: Timestamp) -> Option<Timestamp> {
    let schedules = pipelines.triggers().filter_map(|(_, _, trigger)| match &trigger.on {
        On::Cron { schedule, .. } => schedule.next_after(now),
        _ => None,
    });
    schedules.min()
}

/// The versions that were registered and the moves of aliases since it was last looked.
pub(super) fn registered(
    pipelines: &Pipelines,
    registry: &Registry,
    state: &State,
    now: Timestamp,
) -> Result<Came, RegistryError> {
    let mut came = Came::default();
    for (file, own, trigger) in pipelines.triggers() {
        let On::Model(model, alias) = &trigger.on else { continue };
        let mark = mark_of(file, trigger);
        let all = match alias {
            None => happened::versions(registry, model)?,
            Some(alias) => happened::moves(registry, model, alias)?,
        };
        let newest = all.keys().next_back().copied().unwrap_or(0);
        let Some(seen) = state.mark(&mark).and_then(|mark| mark.parse::<u64>().ok()) else {
            came.marks.push((mark, newest.to_string()));
            continue;
        };
        for happened in all.range(seen + 1..).map(|(_, happened)| happened) {
            came.take((file, own), trigger, Cause::Model, happened, now);
        }
        if newest != seen {
            came.marks.push((mark, newest.to_string()));
        }
    }
    Ok(came)
}

/// What the end of a run leads to: of which pipeline, how, and when.
pub(super) fn ended(
    pipelines: &Pipelines,
    state: &State,
    run: &RunId,
    (pipeline, outcome, at): (&PipelineName, Outcome, Timestamp),
    now: Timestamp,
) -> Came {
    let mut came = Came::default();
    for (file, own, trigger) in pipelines.triggers() {
        let On::Run { pipeline: wanted, succeeded, failed } = &trigger.on else { continue };
        let counts = if outcome == Outcome::Succeeded { *succeeded } else { *failed };
        // A pipeline that waited for itself would run for ever.
        if wanted != pipeline || !counts || own.name == *pipeline {
            continue;
        }
        // What ended before the trigger was there is no news.
        let since = state.mark(&mark_of(file, trigger)).and_then(|mark| mark.parse::<Timestamp>().ok());
        if since.is_none_or(|since| at < since) {
            continue;
        }
        let happened = happened::run_ended(run, pipeline, outcome, at);
        came.take((file, own), trigger, Cause::Run, &happened, now);
    }
    came
}
