//! `tidemill check`.

use serde::Serialize;

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::style::Tone;
use crate::ui::text::{clean, count};

/// Check a pipeline file, and show all its mistakes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill check" => "check the pipeline of this folder",
    "tidemill check pipelines/diabetes --json" => "check that one, and give the mistakes as JSON",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

#[derive(Serialize)]
struct Checked<'a> {
    pipeline: &'a str,
    file: &'a str,
    steps: usize,
}

/// Checks the pipeline.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (_, graph) = context.load(&args.pipeline)?;
    let checked = Checked {
        pipeline: graph.pipeline.as_str(),
        file: context.relative(&graph.file).as_str(),
        steps: graph.steps.len(),
    };
    let paint = context.ui.out.paint;
    context.ui.result(&checked, || {
        let ok = paint.text(Tone::Good, "ok");
        format!("{}: {ok}, {}\n", clean(checked.file), count(checked.steps, "step"))
    })?;
    Ok(Exit::Done)
}
