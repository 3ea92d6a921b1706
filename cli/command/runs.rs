//! `tidemill runs`.

use serde::Serialize;
use tidemill_engine::Project;
use tidemill_engine::project::{self, ProjectError};
use tidemill_engine::record::{
    Condition, Found, History, OfPipeline, Query, RecordError, RunLine, RunRecord, Sort, column_names,
    standing,
};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::runs::draw;
use crate::ui::sink::{Form, Loudness};

/// List the runs of the project, newest first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill runs" => "list the last 20 runs",
    "tidemill runs diabetes --limit 5 --json" => "the last five of one pipeline, as JSON",
])]
pub(crate) struct Args {
    /// Only runs of this pipeline: its file, its folder or its name.
    #[arg(value_name = "PIPELINE")]
    pub(crate) pipeline: Option<String>,
    /// Only runs that fulfil this, as in `--where 'evaluate.rmse < 56'`. Of several, all must hold.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) conditions: Vec<String>,
    /// Sort by a column, a metric or a parameter; `COLUMN:desc` for the largest first.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) sort: Option<String>,
    /// Show these columns, with commas between them, beside the run's id.
    #[arg(long, value_name = "COLUMNS")]
    pub(crate) columns: Option<String>,
    /// How many to list.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

/// So many journals take a moment to read.
const MANY: usize = 2000;

#[derive(Serialize)]
struct Runs<'a> {
    total: usize,
    matched: usize,
    runs: &'a [RunLine],
}

/// Lists the runs.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let unread = history.unread()?;
    if unread > MANY && context.ui.loudness > Loudness::Quiet {
        context.ui.tell(&format!("reading the journals of {unread} runs, once\n"));
    }
    let found = select(context, &project, &history, args)?;
    let runs = Runs { total: found.total, matched: found.matched, runs: &found.runs };
    context.ui.result(&runs, || draw(&found))?;
    let shown = found.runs.len();
    if shown < found.matched && context.ui.form == Form::Text && context.ui.loudness > Loudness::Quiet {
        context.ui.tell(&format!("{shown} of {} runs; -n N shows more\n", found.matched));
    }
    Ok(Exit::Done)
}

fn select(context: &Context, project: &Project, history: &History, args: &Args) -> Result<Found, CliError> {
    let conditions: Result<Vec<_>, _> = args.conditions.iter().map(|text| Condition::parse(text)).collect();
    let named = args.pipeline.as_deref().map(|name| (name, file_of(context, project, name)));
    let of = |(name, file): &(&str, Result<String, ProjectError>)| OfPipeline {
        name: (*name).to_owned(),
        file: file.as_ref().ok().cloned(),
    };
    let found = history.select(&Query {
        pipeline: named.as_ref().map(of),
        conditions: conditions?,
        sort: args.sort.as_deref().map(Sort::parse),
        columns: args.columns.as_deref().map(column_names),
        limit: args.limit,
    });
    match (found, named) {
        // It is neither a pipeline of the project nor of its history: what can be found is told.
        (Err(RecordError::UnknownPipeline { .. }), Some((_, Err(error)))) => Err(error.into()),
        (found, _) => Ok(found?),
    }
}

/// The file that a pipeline's runs are recorded with; none if it is gone, and then its name must do.
fn file_of(context: &Context, project: &Project, pipeline: &str) -> Result<String, ProjectError> {
    let located = project::locate(&context.folder, Some(pipeline))?;
    Ok(project.relative(&located.file).to_string())
}

/// How a run ended, or that it did not.
pub(crate) fn outcome(run: &RunRecord) -> &'static str {
    standing(run.outcome, run.alive)
}
