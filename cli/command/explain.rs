//! `tidemill explain`.

use tidemill_engine::Selection;

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::explanation;

/// Explain why a step would run: what changed since the nearest earlier result, whoever made it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill explain train" => "say what changed since the nearest earlier result, and whose it was",
    "tidemill explain train --against 20261120-235501" => "compare with what that run used",
    "tidemill explain 'train[fold=1]' --set alpha=0.7" => "explain one combination, with another value of a parameter",
])]
pub(crate) struct Args {
    /// The step, as in the pipeline file or with its matrix values: `train[fold=1]`.
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Compare with this run (its id, the beginning of it, or `last`), or with this key or its first digits.
    #[arg(long, value_name = "RUN|KEY")]
    pub(crate) against: Option<String>,
    /// As if this step had to run even if its result is known.
    #[arg(long, value_name = "STEP")]
    pub(crate) force: Vec<String>,
}

/// Explains the step.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    let selection = Selection { force: args.force.clone(), ..Selection::default() };
    let explained =
        tidemill_engine::explain(&project, &graph, &selection, &args.step, args.against.as_deref());
    let explained = runtime::block_on(explained)??;
    context.ui.result(&explained, || explanation::draw(&explained, context.ui.out.paint))?;
    Ok(Exit::Done)
}
