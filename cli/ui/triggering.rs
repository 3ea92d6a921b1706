//! What a dispatcher does, in lines for people: when it happened, what, and why.

use jiff::Timestamp;
use tidemill_engine::event::Outcome;
use tidemill_engine::graph::{On, Trigger};
use tidemill_engine::trigger::{Arrival, Fate, Told};

use super::sink::{Loudness, Ui};
use super::text::clean;

/// Tells what a dispatcher does.
pub(crate) fn tell(ui: Ui, project: &str, told: &Told<'_>) {
    if ui.loudness == Loudness::Quiet {
        return;
    }
    if let Some(line) = line(told) {
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        let project = if project.is_empty() { String::new() } else { format!("{project}: ") };
        ui.tell(&format!("{now}  {project}{}\n", clean(&line)));
    }
}

fn line(told: &Told<'_>) -> Option<String> {
    Some(match told {
        Told::Triggers(pipelines) => {
            let (all, names) = (pipelines.triggers().count(), pipelines.iter().count());
            let one =
                |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            format!("answers {} of {}", one(all, "trigger"), one(names, "pipeline"))
        }
        Told::Mistake { file, reason, stays: true } => {
            format!("{file} cannot be used, and stays as it was: {reason}")
        }
        Told::Mistake { file, reason, stays: false } => {
            format!("{file} cannot be used, and starts nothing: {reason}")
        }
        Told::Circle(said) => said.to_string(),
        Told::Polling { trigger, reason } => format!("{trigger}: looks again and again, for {reason}"),
        Told::Arrived(arrival) => format!("{}: {}", name(arrival), what(arrival)),
        Told::Skipped { trigger, times } => {
            format!("{trigger}: {times} times came while nobody looked, and are passed over")
        }
        Told::Lacking { trigger, lacking } => format!("{trigger}: no run: {lacking}"),
        Told::Began { arrival, run } => format!("{}: run {run} begins", name(arrival)),
        Told::Again { run } => format!("run {run} was lost with its process, and is made again"),
        Told::Settled(settled) => {
            let name = name(&settled.arrival);
            match &settled.fate {
                Fate::Ended { run, outcome } => format!("{name}: run {run} {}", ended(*outcome)),
                Fate::NotBegun { reason } => format!("{name}: no run could begin: {reason}"),
                Fate::Lost { run } => {
                    format!("{name}: run {run} was lost with its process, and is not made again")
                }
                Fate::Dropped { why } => format!("{name}: no run: {}", why.words()),
            }
        }
    })
}

/// How a run ended, in words that follow its id.
pub(crate) fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::StepFailed => "failed",
        Outcome::GateClosed => "was stopped by a gate",
        Outcome::InfrastructureFailed => "failed with its machine",
        Outcome::Interrupted => "was stopped",
    }
}

/// The trigger of an arrival, or the pipeline that somebody asked for.
pub(crate) fn name(arrival: &Arrival) -> String {
    match &arrival.trigger {
        Some(trigger) => format!("{}#{trigger}", arrival.pipeline),
        None => arrival.pipeline.to_string(),
    }
}

/// What arrived.
pub(crate) fn what(arrival: &Arrival) -> String {
    let text = |name: &str| arrival.event.get(name).and_then(serde_json::Value::as_str).unwrap_or("?");
    format!("{} {}", text("type"), text("id"))
}

/// What a trigger waits for, in a few words.
pub(crate) fn waits_for(trigger: &Trigger) -> String {
    match &trigger.on {
        On::Cron { schedule, .. } => schedule.to_string(),
        On::Watch { only, .. } if only.is_empty() => "a change of what it reads".to_owned(),
        On::Watch { only, .. } => format!("a change of {}", only.join(", ")),
        On::Event(wanted) => {
            let kinds: Vec<&str> = wanted.kinds.iter().map(|kind| kind.as_str()).collect();
            let from = if wanted.webhook.is_some() { " by webhook" } else { "" };
            match kinds.as_slice() {
                [] => format!("any event{from}"),
                kinds => format!("{}{from}", kinds.join(", ")),
            }
        }
        On::Model(model, None) => format!("a version of {model}"),
        On::Model(model, Some(alias)) => format!("a move of {model}@{alias}"),
        On::Run { pipeline, succeeded, failed } => match (succeeded, failed) {
            (true, true) => format!("an end of {pipeline}"),
            (false, _) => format!("a failure of {pipeline}"),
            _ => format!("a success of {pipeline}"),
        },
    }
}
