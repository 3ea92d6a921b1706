//! `tidemill cancel`.

use std::time::Duration;

use serde::Serialize;
use tidemill_engine::name::RunId;
use tidemill_engine::record::History;
use tidemill_engine::remote::{self, Cancelled};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;

/// Stop a run: what runs of it here and on executors is ended, and that it has ended is waited for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill cancel last" => "stop the newest run",
    "tidemill cancel 20261130-2" => "the run whose id begins so; of one whose process is dead, what it has left on executors",
])]
pub(crate) struct Args {
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// How often it is looked whether the run has ended.
const OFTEN: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Answer {
    run: RunId,
    /// Whether its process lived and was asked to stop.
    was_alive: bool,
    #[serde(flatten)]
    cancelled: Cancelled,
}

/// Stops the run.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let run = history.find(&args.run)?.run;
    let was_alive = history.stop(&run)?;
    while history.is_alive(&run) {
        std::thread::sleep(OFTEN);
    }
    let cancelled = runtime::block_on(remote::cancel(&project, &run))?;
    let answer = Answer { run, was_alive, cancelled };
    context.ui.result(&answer, || text(&answer))?;
    Ok(if answer.cancelled.failed.is_empty() { Exit::Done } else { Exit::Infrastructure })
}

fn text(answer: &Answer) -> String {
    let Answer { run, was_alive, cancelled: Cancelled { ended, followed, failed } } = answer;
    let mut text = match (was_alive, ended.is_empty() && followed.is_empty() && failed.is_empty()) {
        (true, _) => format!("run {run} was stopped\n"),
        (false, true) => format!("run {run} has ended, and left nothing on executors\n"),
        (false, false) => format!("run {run} has ended before\n"),
    };
    for (steps, what) in
        [(ended, "ended on its executor"), (followed, "followed by another run, so it goes on")]
    {
        for step in steps {
            text.push_str(&format!("  {step}: {what}\n"));
        }
    }
    for (executor, reason) in failed {
        text.push_str(&format!("  {executor}: {reason}\n"));
    }
    text
}
