//! `tidemill status`.

use serde::Serialize;
use tidemill_engine::name::{RunId, StepId};
use tidemill_engine::record::{AttemptPlace, History};
use tidemill_engine::remote::{self, Handed, JobEnd, JobState};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::plain::fares;
use crate::ui::text::clean;

/// Say what goes on: runs that live and what they do, and what dead runs have left on executors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill status" => "which runs go on, and where their steps are",
    "tidemill status --json" => "the same for a program",
])]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Status {
    runs: Vec<Running>,
    /// What dead runs have left on executors.
    left: Vec<Handed>,
}

#[derive(Serialize)]
struct Running {
    run: RunId,
    pipeline: String,
    started: jiff::Timestamp,
    steps: Vec<RunningStep>,
}

#[derive(Serialize)]
struct RunningStep {
    step: StepId,
    elsewhere: Option<AttemptPlace>,
}

/// How many of the newest runs are looked at.
const NEWEST: usize = 100;

/// Says it.
pub(crate) fn run(context: &Context, _args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let mut runs = Vec::new();
    for id in history.recent_ids(NEWEST)? {
        if !history.is_alive(&id) {
            continue;
        }
        let record = history.find(id.as_str())?;
        let running = record.steps.into_iter().filter(|step| step.state == "running");
        let steps = running.map(|step| RunningStep {
            elsewhere: step.attempts.last().and_then(|attempt| attempt.elsewhere.clone()),
            step: step.step,
        });
        runs.push(Running {
            run: id,
            pipeline: record.pipeline.to_string(),
            started: record.started,
            steps: steps.collect(),
        });
    }
    let mut left = runtime::block_on(remote::survey(&project))?;
    left.retain(|handed| !handed.alive);
    let status = Status { runs, left };
    context.ui.result(&status, || text(&status))?;
    Ok(Exit::Done)
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    for run in &status.runs {
        text.push_str(&format!("run {} of {} goes on\n", run.run, run.pipeline));
        for RunningStep { step, elsewhere } in &run.steps {
            let place = match elsewhere {
                Some(place) => fares(&place.executor, &place.last),
                None => "on this machine".to_owned(),
            };
            text.push_str(&format!("  {step}  {}\n", clean(&place)));
        }
    }
    let mut of = None;
    for handed in &status.left {
        if of != Some(&handed.label.run) {
            of = Some(&handed.label.run);
            text.push_str(&format!(
                "run {} of {} is dead, and has left on executors\n",
                handed.label.run, handed.label.pipeline
            ));
        }
        let executor = &handed.placement.executor;
        let how = match (&handed.unknown, &handed.state) {
            (Some(reason), _) => format!("on {executor}, which cannot be asked: {reason}"),
            (None, None) => format!("on {executor}, which does not know it (any more)"),
            (None, Some(state)) => format!("on {executor}: {}", describe(state)),
        };
        text.push_str(&format!("  {}  {}\n", handed.label.step, clean(&how)));
    }
    if !status.left.is_empty() {
        text.push_str(
            "`tidemill run` takes up what it still needs of them; `tidemill cancel RUN` ends the others\n",
        );
    }
    if text.is_empty() {
        text.push_str("nothing goes on\n");
    }
    text
}

fn describe(state: &JobState) -> String {
    match state {
        JobState::Queued { reason: Some(reason) } => format!("waits ({reason})"),
        JobState::Queued { reason: None } => "waits".to_owned(),
        JobState::Running { host: Some(host) } => format!("runs at {host}"),
        JobState::Running { host: None } => "runs".to_owned(),
        JobState::Ended { end: JobEnd::Exited { code: 0 } } => {
            "done; its result waits to be taken".to_owned()
        }
        JobState::Ended { end: JobEnd::Exited { code } } => format!("ended with exit code {code}"),
        JobState::Ended { end } => format!("ended: {end:?}"),
    }
}
