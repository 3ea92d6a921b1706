//! `tidemill report`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tidemill_engine::name::RunId;
use tidemill_engine::record::History;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::page;
use crate::page::report::Report;

/// Put all that is known of a run into one HTML page: steps, times, metrics, plots, logs, and where everything came from.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill report" => "put all about the last run into report.html",
    "tidemill report 20261120-235501 -o run.html" => "put all about that run into run.html",
])]
pub(crate) struct Args {
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// Where to put the page; `-` writes it to standard output. An older page there is replaced, any other file is not.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: Utf8PathBuf,
}

#[derive(Serialize)]
struct Written<'a> {
    path: &'a Utf8Path,
    run: &'a RunId,
}

/// Makes the page.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let record = history.find(&args.run)?;
    let html = Report::of(&project, &history, &record)?.html()?;
    if let Some(path) = page::write(context, &args.output, &html)? {
        context.ui.result(&Written { path: &path, run: &record.run }, || format!("{path}\n"))?;
    }
    Ok(Exit::Done)
}
