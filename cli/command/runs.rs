//! `tidemill runs`.

use serde::Serialize;
use tidemill_engine::Project;
use tidemill_engine::project;
use tidemill_engine::record::{History, RunRecord};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::ui::table::{Column, Table};
use crate::ui::text::{duration, time};

/// List the runs of the project, newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs of this pipeline: its file, its folder or its name.
    #[arg(value_name = "PIPELINE")]
    pub(crate) pipeline: Option<String>,
    /// How many to list.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Serialize)]
struct Runs {
    runs: Vec<RunRecord>,
}

/// Lists the runs.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let runs = match &args.pipeline {
        None => history.list(Some(args.limit))?,
        Some(pipeline) => {
            let file = file_of(context, &project, pipeline);
            let mut runs = history.list(None)?;
            runs.retain(|run| run.pipeline.as_str() == pipeline || Some(&run.file) == file.as_ref());
            runs.truncate(args.limit);
            runs
        }
    };
    let runs = Runs { runs };
    context.ui.result(&runs, || draw(&runs.runs))?;
    Ok(Exit::Done)
}

/// The file that a pipeline's runs are recorded with; none if it is gone, and then its name must do.
fn file_of(context: &Context, project: &Project, pipeline: &str) -> Option<String> {
    let located = project::locate(&context.folder, Some(pipeline)).ok()?;
    Some(project.relative(&located.file).to_string())
}

fn draw(runs: &[RunRecord]) -> String {
    if runs.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::Text("RUN"),
        Column::Text("STARTED"),
        Column::Text("PIPELINE"),
        Column::Text("OUTCOME"),
        Column::Number("EXECUTED"),
        Column::Number("CACHED"),
        Column::Number("FAILED"),
        Column::Number("TIME"),
    ]);
    for run in runs {
        table.row([
            run.run.to_string(),
            time(run.started),
            run.pipeline.to_string(),
            outcome(run).to_owned(),
            run.counts.executed.to_string(),
            run.counts.cached.to_string(),
            run.counts.failed.to_string(),
            duration(run.wall_ms),
        ]);
    }
    table.render(0)
}

/// How a run ended, or that it did not.
pub(super) fn outcome(run: &RunRecord) -> &'static str {
    use tidemill_engine::event::Outcome;
    match (run.outcome, run.alive) {
        (Some(Outcome::Succeeded), _) => "done",
        (Some(Outcome::StepFailed), _) => "failed",
        (Some(Outcome::GateClosed), _) => "gate closed",
        (Some(Outcome::InfrastructureFailed), _) => "machine failed",
        (Some(Outcome::Interrupted), _) => "interrupted",
        (None, true) => "running",
        (None, false) => "died",
    }
}
