//! `tidemill tick`.

use std::num::NonZero;
use std::sync::Arc;

use serde_json::json;
use tidemill_engine::Project;
use tidemill_engine::event::Outcome;
use tidemill_engine::execute::Urgency;
use tidemill_engine::outbox;
use tidemill_engine::trigger::{Dispatcher, Fate, Options, Ticked};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::sink::Loudness;
use crate::ui::{Ui, telling, triggering};

/// Answer the triggers that are due now, wait for their runs, and end: for machines that have a scheduler already.
///
/// What is due is what came since the last tick: times of schedules, changes of what is read, models, runs of other pipelines; and what is
/// to be told to people and programs. Called
/// from cron, a systemd timer or a CI job; where a daemon runs there is nothing for it to do.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill tick" => "start the runs that are due, and wait for them",
    "tidemill tick --runs 1" => "one after the other",
])]
pub(crate) struct Args {
    /// How many runs may go on at once.
    #[arg(long, value_name = "N", default_value_t = RUNS)]
    pub(crate) runs: NonZero<usize>,
}

/// So many runs go on at once, if nothing else is said.
pub(crate) const RUNS: NonZero<usize> = NonZero::new(4).expect("four is not zero");

/// Answers what is due.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let ui = context.ui;
    let options = Options { limit: args.runs.get() };
    let dispatcher =
        Dispatcher::open(project.clone(), options, Arc::new(move |told| triggering::tell(ui, "", told)))?;
    let listener = telling::listener(ui, "", false);
    let (fates, interrupted) = runtime::with_signals(context.ui, |cancel| async move {
        // What waits to be told does not wait for the runs, nor they for it.
        let both = async {
            let stop = cancel.at_least(Urgency::Terminate);
            let (fates, ()) = tokio::join!(dispatcher.tick(stop), tell_waiting(ui, &project, &listener));
            tokio::select! {
                () = tell_waiting(ui, &project, &listener) => {}
                () = cancel.at_least(Urgency::Terminate) => {}
            }
            fates
        };
        let fates = tokio::select! {
            fates = both => fates,
            // Its runs have been told to stop; whoever comes next sees how they ended.
            () = cancel.at_least(Urgency::Kill) => Ok(Ticked::default()),
        };
        (fates, cancel.urgency() >= Urgency::Terminate)
    })?;
    let Ticked { fates, mistakes } = fates?;
    let answer: Vec<_> = fates.iter().map(|(run, fate)| json!({ "run": run, "result": fate })).collect();
    let is_quiet = context.ui.loudness == Loudness::Quiet;
    context.ui.result(&answer, || match fates.is_empty() && !interrupted && !is_quiet {
        true => "nothing was due\n".to_owned(),
        false => String::new(),
    })?;
    Ok(match exit(&fates) {
        _ if interrupted => Exit::Interrupted,
        // Who is called by a clock has nobody who reads along.
        Exit::Done if mistakes > 0 => Exit::Usage,
        exit => exit,
    })
}

/// Tells people and programs what waits for them. That it cannot be told is no failure of the tick.
async fn tell_waiting(ui: Ui, project: &Project, listener: &outbox::Listener) {
    let told = match outbox::look(project) {
        Ok(()) => outbox::deliver(project, None, listener).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        ui.tell(&format!("warning: not all is told that waits: {error}\n"));
    }
}

/// The worst that happened.
fn exit(fates: &[(tidemill_engine::name::RunId, Fate)]) -> Exit {
    let of = |fate: &Fate| match fate {
        Fate::Ended { outcome: Outcome::Succeeded, .. } | Fate::Dropped { .. } => Exit::Done,
        Fate::Ended { outcome, .. } => Exit::from(*outcome),
        Fate::NotBegun { .. } => Exit::Usage,
        Fate::Lost { .. } => Exit::Infrastructure,
    };
    fates.iter().map(|(_, fate)| of(fate)).find(|exit| exit.code() != 0).unwrap_or(Exit::Done)
}
