//! `tidemill plan`.

use std::num::NonZero;

use tidemill_engine::graph::Graph;
use tidemill_engine::{Plan, Project, Selection};

use crate::args::{PipelineArgs, SelectionArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
pub(super) use crate::ui::plan::Form;
use crate::ui::plan::{self, Planned};

/// Show what a run would do, step by step, and why.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill plan" => "say what a run would do, step by step, and why",
    "tidemill plan --set ridge.alpha=1.0" => "the same for another value of a parameter",
    "tidemill plan --detailed-exitcode --quiet" => "for a script: the exit code is 2 if a run would execute something",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// How many steps may run at once, for the forecast; as many as there are cores if this is not given.
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// List every step: no combinations of a matrix in one line, no cached steps as a number.
    #[arg(long)]
    pub(crate) all: bool,
    /// Exit with 0 if there is nothing to do, 1 on an error, 2 if a run would execute something.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// How many steps may run at once.
    pub(super) jobs: Option<NonZero<usize>>,
    /// Whether steps that are alike are listed one by one.
    pub(super) form: Form,
}

/// Shows the plan.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    let shown = Shown { jobs: args.jobs, form: if args.all { Form::Whole } else { Form::Folded } };
    let plan = show(context, &project, &graph, &args.selection.selection(), shown)?;
    let would_run = plan.would_run();
    // The process ends now: taking a million steps apart would only keep the reader waiting.
    std::mem::forget((graph, plan));
    match args.detailed_exitcode && would_run {
        true => Ok(Exit::WouldRun),
        false => Ok(Exit::Done),
    }
}

/// Plans, and prints the plan with its forecast.
pub(super) fn show(
    context: &Context,
    project: &Project,
    graph: &Graph,
    selection: &Selection,
    Shown { jobs, form }: Shown,
) -> Result<Plan, CliError> {
    let mut plan = runtime::block_on(tidemill_engine::plan(project, graph, selection))??;
    context.tell_store(project);
    let forecast = tidemill_engine::forecast(project, graph, selection, &mut plan, jobs.map(NonZero::get))?;
    let planned = Planned { plan: &plan, forecast: &forecast };
    context.ui.result(&planned, || plan::draw(&planned, form, context.ui.out.paint))?;
    Ok(plan)
}
