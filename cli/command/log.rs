//! `tidemill log`.

use serde::Serialize;
use tidemill_engine::artifact::{self, LogText};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::sink::Form;
use crate::ui::text::clean;

/// Print what a step said: the log of its last attempt, or of the attempt that made its cached result.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill log train" => "print what train said in the last run",
    "tidemill log 'train[fold=1]' --run 20261120-235" => "one combination of a matrix, in an earlier run",
    "tidemill log train --path" => "print where the log is",
])]
pub(crate) struct Args {
    /// The step, with matrix values if it has any: `train[fold=1]`.
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    /// The run: its id, the beginning of it, or `last`.
    #[arg(long, value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// Print where the log is instead of what it holds.
    #[arg(long)]
    pub(crate) path: bool,
}

#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    log: &'a LogText,
    text: String,
}

/// Prints the log.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let log = artifact::log_of(&project, Some(&args.run), &args.step)?;
    if args.path && context.ui.form == Form::Text {
        let path = log.path.as_deref().ok_or_else(|| CliError::Usage {
            message: format!(
                "{} was cached in that run, so its log is in the cache and not in a file",
                log.step
            ),
            hint: Some(format!("`tidemill log {}` prints it; run {} made it", log.step, log.run)),
        })?;
        context.ui.print(&format!("{}\n", context.relative(path)))?;
        return Ok(Exit::Done);
    }
    let text = || String::from_utf8_lossy(&log.text);
    match (context.ui.form, context.ui.out.terminal) {
        (Form::Json, _) => {
            context.ui.result(&Said { log: &log, text: text().into_owned() }, String::new)?;
        }
        // Whoever redirects a log wants its bytes; a terminal must not be steered by them.
        (Form::Text, false) => context.ui.copy(&mut log.text.as_slice())?,
        (Form::Text, true) => {
            context.ui.print(&text().lines().map(|line| clean(line) + "\n").collect::<String>())?;
        }
    }
    Ok(Exit::Done)
}
