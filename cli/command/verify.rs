//! `tidemill verify`.

use std::num::NonZero;

use tidemill_engine::repeat::{RepeatOptions, Round, repeat};

use crate::args::{ParamArgs, PipelineArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::repeat::{draw, round};
use crate::ui::sink::{Form, Loudness};

/// Run cached steps again, to see whether they give the same bytes.
///
/// Each runs in a folder of its own, from the inputs that its result was made of; nothing of it enters the cache or the history. A step that
/// gives something else is not deterministic: `plan` and `explain` say so from then on. The exit code is 1 if a step gave
/// something else, or failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill verify" => "run every cached step once more and compare",
    "tidemill verify train --repeat 3 --tolerance 1e-9" => "run one three times; metrics may be apart by that, relatively",
    "tidemill verify 'train[fold=1]' --pipeline pipelines/diabetes" => "one combination of a step of that pipeline",
])]
pub(crate) struct Args {
    /// The steps, as in the pipeline file or with their matrix values; all if none is named. Effects and steps without a cached
    /// result are passed over.
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// How often each is run again.
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZero<u64>,
    /// Let numbers in metrics be apart by this, relatively; without it their bytes are compared like all others.
    #[arg(long, value_name = "T", value_parser = tolerance)]
    tolerance: Option<f64>,
    /// The pipeline: its file, its folder or its name. Without it, the one here, or the project's only one.
    #[arg(short, long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    #[command(flatten)]
    params: ParamArgs,
    /// How many steps may run at once; as many as there are cores if this is not given.
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let tolerance = text.parse::<f64>().ok().filter(|tolerance| (0.0..1.0).contains(tolerance));
    tolerance.ok_or_else(|| "write a number from 0 to 1, such as 1e-9".to_owned())
}

/// Runs the steps again.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let pipeline = PipelineArgs { pipeline: args.pipeline.clone(), params: args.params.clone() };
    let (project, graph) = context.load(&pipeline)?;
    let options = RepeatOptions {
        steps: args.steps.clone(),
        repeats: args.repeat.get(),
        tolerance: args.tolerance,
        jobs: args.jobs.map(NonZero::get),
    };
    let tells = context.ui.form == Form::Text && context.ui.loudness != Loudness::Quiet;
    let tell = |ended: &Round<'_>| {
        if tells {
            context.ui.tell(&round(ended, args.repeat.get()));
        }
    };
    let report = runtime::with_signals(context.ui, |cancel| async move {
        repeat(&project, graph, &options, &cancel, tell).await
    })??;
    context.ui.result(&report, || draw(&report, context.ui.out.paint))?;
    Ok(match (report.interrupted, report.is_bad()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::StepFailed,
        (false, false) => Exit::Done,
    })
}
