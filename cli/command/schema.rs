//! `tidemill schema`.

use std::fs;

use camino::Utf8PathBuf;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::starter;

/// Print the JSON Schema of pipeline files, for editors.
///
/// An editor with a TOML language server (Even Better TOML, taplo, Tombi) completes, explains and checks a pipeline file whose
/// first line names the schema: `#:schema pipeline.schema.json`. The path is relative to the pipeline file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill schema --output pipeline.schema.json" => "write it beside a pipeline file, in place of an older one",
    "tidemill schema" => "print it",
])]
pub(crate) struct Args {
    /// Write it to this file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

/// Prints or writes the schema.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let Some(output) = &args.output else {
        context.ui.print(&starter::schema())?;
        return Ok(Exit::Done);
    };
    let path = context.folder.join(output);
    fs::write(&path, starter::schema()).map_err(CliError::file("write", &path))?;
    context.ui.print(&format!("{}\n", context.relative(&path)))?;
    Ok(Exit::Done)
}
