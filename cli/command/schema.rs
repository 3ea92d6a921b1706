//! `tidemill schema`.

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Print the JSON Schema of pipeline files, for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints the schema.
pub(crate) fn run(context: &Context, _args: &Args) -> Result<Exit, CliError> {
    context.ui.print(&format!("{:#}\n", tidemill_engine::spec::schema()))?;
    Ok(Exit::Done)
}
