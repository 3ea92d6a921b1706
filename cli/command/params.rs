//! `tidemill params`.

use tidemill_engine::record::{History, Measure, RunParams, opponents, params_diff};

use super::comparing::DiffArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::comparison;

/// Show the parameters of a run, or compare those of several runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_long_help = examples![
    "tidemill params" => "show the parameters of the last run, and which were set for it",
    "tidemill params diff" => "compare the last run with the one before it",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// What can be done with parameters.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Compare runs: the last with the one before it of the same pipeline, one with the last, or those that are named.
    #[command(after_long_help = examples![
        "tidemill params diff" => "compare the last run with the one before it of the same pipeline",
        "tidemill params diff 20261120-235501 last --markdown" => "compare two runs, as a table for a pull request",
    ])]
    Diff(DiffArgs),
}

/// Shows or compares the parameters.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    match &args.command {
        None => {
            let params = RunParams::of(&history.find(&args.run)?);
            context.ui.result(&params, || comparison::params(&params))?;
        }
        Some(Command::Diff(args)) => {
            let records = opponents(&history, &args.runs, Measure::Params)?;
            let diff = params_diff(&records, args.rows());
            context.ui.result(&diff, || comparison::params_diff(&diff, args.style()))?;
            args.tell_unchanged(context, diff.unchanged);
        }
    }
    Ok(Exit::Done)
}
