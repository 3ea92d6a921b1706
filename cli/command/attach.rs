//! `tidemill attach`.

use std::time::{Duration, Instant};

use tidemill_engine::event::{Event, Stamped};
use tidemill_engine::name::RunId;
use tidemill_engine::record::{Follower, History, Recap, RunRecord};
use tidemill_engine::{Cancellation, Project};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::failure::{self, Again, Telling};
use crate::ui::plain::{Lines, Place};
use crate::ui::summary::{self, End};

/// Watch a run that goes on elsewhere: in the background, in another terminal, in a CI job. Ctrl-C ends the watching, not the run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill attach" => "watch the newest run to its end",
    "tidemill attach 20261130-2" => "watch the run whose id begins so",
])]
pub(crate) struct Args {
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// How often it is looked whether there is something new.
const OFTEN: Duration = Duration::from_millis(200);

/// Watches the run.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let run = history.find(&args.run)?.run;
    watch(context, &project, &run)
}

/// Tells of a run what has happened, and what happens, until it ends.
pub(crate) fn watch(context: &Context, project: &Project, run: &RunId) -> Result<Exit, CliError> {
    let history = History::below(project.state());
    let mut told = Told { follower: history.follow(run), lines: None, finished: None };
    let done = runtime::with_signals(context.ui, async |cancel: Cancellation| {
        loop {
            // Of a run that does not live the journal is complete; so this is asked first.
            let alive = history.is_alive(run);
            told.more(context)?;
            if told.finished.is_some() || !alive {
                return Ok::<bool, CliError>(true);
            }
            tokio::select! {
                () = tokio::time::sleep(OFTEN) => {}
                () = cancel.at_least(tidemill_engine::execute::Urgency::Terminate) => return Ok(false),
            }
        }
    })??;
    if !done {
        context.ui.tell(&format!("run {run} goes on; `tidemill attach {run}` watches it again\n"));
        return Ok(Exit::Interrupted);
    }
    finish(context, &history.find(run.as_str())?, &history.events(run)?)
}

/// What is told while one watches.
struct Told {
    follower: Follower,
    lines: Option<Lines>,
    finished: Option<Instant>,
}

impl Told {
    fn more(&mut self, context: &Context) -> Result<(), CliError> {
        for stamped in self.follower.more()? {
            if let Event::RunStarted { steps, .. } = &stamped.event {
                let longest = if *steps == 1 { 0 } else { USUAL };
                let lines =
                    Lines::of_width(*steps, longest, Place::Log, context.ui.err.paint, context.ui.loudness);
                self.lines = Some(lines);
            }
            if let Event::RunFinished { .. } = stamped.event {
                self.finished = Some(Instant::now());
            }
            if let Some(lines) = &mut self.lines {
                context.ui.tell(&lines.of(&stamped));
            }
        }
        Ok(())
    }
}

/// How wide the column of steps is: their ids are not known before they are told of.
const USUAL: usize = 16;

fn finish(context: &Context, record: &RunRecord, events: &[Stamped]) -> Result<Exit, CliError> {
    let recap = Recap::of(events);
    let Some(outcome) = record.outcome else {
        let message = format!(
            "run {} ended without a word: its process was killed, or its machine went down",
            record.run
        );
        let hint = Some(
            "`tidemill run` goes on with what it has left, and takes up what runs on executors".to_owned(),
        );
        context.ui.tell(&CliError::Usage { message, hint }.text(context.ui.err.paint, context.width));
        return Ok(Exit::Infrastructure);
    };
    let telling = Telling { paint: context.ui.err.paint, folder: &context.folder, again: Again::of(record) };
    context.ui.tell(&failure::draw(&recap, &telling));
    let end = End { run: &record.run, outcome, wall_ms: record.wall_ms, counts: record.counts };
    context.ui.result(record, || summary::draw(&recap, Some(&end), context.ui.out.paint, context.width))?;
    Ok(outcome.into())
}
