//! `tidemill plots`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tidemill_engine::name::RunId;
use tidemill_engine::record::{History, RunRecord};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::page;
use crate::page::plots::Plots;

/// Put all plots of a run into one HTML page, or those of several runs side by side.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill plots" => "put the plots of the last run into plots.html",
    "tidemill plots last 20261120-235501 -o both.html" => "put those of two runs side by side",
])]
pub(crate) struct Args {
    /// The runs: their ids, the beginnings of them, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) runs: Vec<String>,
    /// Only the plots of this step.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// Where to put the page; `-` writes it to standard output. An older page there is replaced, any other file is not.
    #[arg(short, long, value_name = "FILE", default_value = "plots.html")]
    pub(crate) output: Utf8PathBuf,
}

#[derive(Serialize)]
struct Written<'a> {
    path: &'a Utf8Path,
    runs: Vec<&'a RunId>,
    plots: usize,
}

/// Makes the page.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let mut records: Vec<RunRecord> = Vec::new();
    for run in &args.runs {
        let record = history.find(run)?;
        if !records.iter().any(|known| known.run == record.run) {
            records.push(record);
        }
    }
    let plots = Plots::of(&project, &records, args.step.as_deref())?;
    let runs: Vec<&RunId> = records.iter().map(|record| &record.run).collect();
    if plots.count() == 0 {
        return Err(none(&runs, args.step.as_deref()));
    }
    if let Some(path) = page::write(context, &args.output, &plots.html()?)? {
        let written = Written { path: &path, runs, plots: plots.count() };
        context.ui.result(&written, || format!("{path}\n"))?;
    }
    Ok(Exit::Done)
}

fn none(runs: &[&RunId], step: Option<&str>) -> CliError {
    let names: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
    let of = step.map(|step| format!(" of step {step:?}")).unwrap_or_default();
    CliError::Usage {
        message: format!("there is no plot{of} in run {}", names.join(", ")),
        hint: Some("an output is a plot if its step says so: `outputs.curve = { path = \"curve.csv\", kind = \"plot\" }`".to_owned()),
    }
}
