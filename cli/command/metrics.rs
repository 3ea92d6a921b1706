//! `tidemill metrics`.

use tidemill_engine::record::{History, Measure, RunMetrics, metrics_diff, opponents};

use super::comparing::DiffArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::comparison;

/// Show the metrics of a run, or compare those of several runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_long_help = examples![
    "tidemill metrics" => "show the metrics of the last run",
    "tidemill metrics diff" => "compare the last run with the one before it",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// What can be done with metrics.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Compare runs: the last with the one before it of the same pipeline, one with the last, or those that are named.
    #[command(after_long_help = examples![
        "tidemill metrics diff" => "compare the last run with the one before it of the same pipeline",
        "tidemill metrics diff 20261120-235501 last --markdown" => "compare two runs, as a table for a pull request",
    ])]
    Diff(DiffArgs),
}

/// Shows or compares the metrics.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    match &args.command {
        None => {
            let metrics = RunMetrics::of(&history.find(&args.run)?);
            context.ui.result(&metrics, || comparison::metrics(&metrics))?;
        }
        Some(Command::Diff(args)) => {
            let records = opponents(&history, &args.runs, Measure::Metrics)?;
            let diff = metrics_diff(&records, args.rows());
            context.ui.result(&diff, || comparison::metrics_diff(&diff, args.style()))?;
            args.tell_unchanged(context, diff.unchanged);
        }
    }
    Ok(Exit::Done)
}
