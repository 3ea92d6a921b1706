//! `tidemill run`.

use std::collections::BTreeSet;
use std::num::NonZero;

use tidemill_engine::event::Subscriber;
use tidemill_engine::graph::Graph;
use tidemill_engine::name::RunId;
use tidemill_engine::registry::{Registry, RegistryError};
use tidemill_engine::{Cancellation, Project, RunOptions};

use super::plan;
use crate::args::{PipelineArgs, SelectionArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::runtime;
use crate::ui::plain::Lines;
use crate::ui::progress::Progress;
use crate::ui::report::{Collected, Report};
use crate::ui::sink::{Form, Loudness};
use crate::ui::summary::{self, Live};
use crate::ui::{Ui, failure, json};

/// Run a pipeline: only the steps whose inputs, parameters or command changed are executed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// How many steps may run at once; as many as there are cores if this is not given.
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Go on with independent steps after one failed.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Say what would run, and why, and run nothing: the same as `plan`.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// Runs the pipeline.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    let selection = args.selection.selection();
    if args.dry_run {
        plan::show(context, &project, &graph, &selection)?;
        return Ok(Exit::Done);
    }
    let options = RunOptions {
        selection,
        jobs: args.jobs.map(NonZero::get),
        keep_going: args.keep_going,
        ..RunOptions::new(context.cause())
    };
    let collected = Collected::default();
    let subscribers: Vec<Box<dyn Subscriber>> =
        vec![Box::new(progress(context, &graph)), Box::new(collected.clone())];
    let targets = targets(&graph);
    let summary = runtime::with_signals(context.ui, |cancel: Cancellation| {
        tidemill_engine::run(&project, graph, options, subscribers, cancel)
    })??;
    let report = collected.take();
    context.ui.tell(&failure::draw(&report, context.ui.err.paint, &context.folder));
    match (context.ui.form, context.ui.loudness) {
        (Form::Json, _) => context.ui.print(&json::render(&summary))?,
        (Form::Text, Loudness::Quiet) => {}
        (Form::Text, _) => print_summary(context.ui, &report, &live(&project, &targets, &summary.run)?)?,
    }
    Ok(summary.outcome.into())
}

fn progress(context: &Context, graph: &Graph) -> Progress {
    let Ui { err, loudness, .. } = context.ui;
    let lines = Lines::new(graph, err.paint, loudness);
    // What is said of the inside of a run would tear the rewritten line apart.
    match err.terminal && loudness == Loudness::Normal {
        true => Progress::live(lines, context.width),
        false => Progress::plain(lines),
    }
}

fn print_summary(ui: Ui, report: &Report, live: &[Live]) -> Result<(), CliError> {
    Ok(ui.print(&summary::draw(report, live, ui.out.paint))?)
}

/// The targets of the pipeline's effects.
fn targets(graph: &Graph) -> BTreeSet<String> {
    graph.steps.iter().filter_map(|step| step.effect.as_ref()).map(|effect| effect.target.clone()).collect()
}

/// What the endpoints that this pipeline deploys to should serve.
fn live(project: &Project, targets: &BTreeSet<String>, run: &RunId) -> Result<Vec<Live>, RegistryError> {
    let registry = Registry::at(project.state());
    let mut live = Vec::new();
    for endpoint in registry.endpoints()? {
        if !targets.contains(&format!("endpoints/{endpoint}")) {
            continue;
        }
        if let Some((_, desired)) = registry.desired(&endpoint)? {
            live.push(Live {
                endpoint: endpoint.to_string(),
                model: desired.model.to_string(),
                version: desired.version,
                smoke_rows: desired.smoke.rows,
                new: desired.run == run.as_str(),
            });
        }
    }
    Ok(live)
}
