//! `tidemill doctor`.

use tidemill_engine::doctor::{self, Examined, Fault};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::doctor::draw;

/// Look whether the project, its state, the cache and this machine are as they should be, and say what to do.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill doctor" => "look at everything; the exit code is 0 if there is no problem",
    "tidemill doctor --json" => "the same for a program",
])]
pub(crate) struct Args {}

/// Looks.
pub(crate) fn run(context: &Context, _args: &Args) -> Result<Exit, CliError> {
    let examined = Examined { folder: &context.folder, project: context.project_if_any()? };
    let report = runtime::block_on(doctor::examine(&examined))?;
    context.ui.result(&report, || draw(&report, context.ui.out.paint))?;
    Ok(match report.worst() {
        None => Exit::Done,
        Some(Fault::Project) => Exit::Usage,
        Some(Fault::Machine) => Exit::Infrastructure,
    })
}
