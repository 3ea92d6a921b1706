//! `tidemill pull`.

use tidemill_engine::exchange::{self, Pulled};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::text::{clean, count, size};
use crate::ui::transfer::Watch;

/// Get the outputs of the pipeline, as it is now, from the store of the team into the cache. A run does that by itself for what it
/// needs; this gets all, for the time without a network.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill pull" => "get all outputs of the pipeline of this folder",
    "tidemill pull --step train" => "get the outputs of one step only",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Get the outputs of this step only. It is named as in the pipeline file, or with its matrix values.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Vec<String>,
}

/// Gets the outputs.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    let store = exchange::store(&project)?;
    let watch = Watch::start(context, store.store.progress().clone(), "fetching");
    let pulled = runtime::block_on(exchange::pull(&project, &graph, &args.step));
    watch.stop();
    let pulled: Pulled = pulled??;
    context.tell_store(&project);
    let transfer = store.store.progress().transfer();
    context.ui.result(&pulled, || {
        let mut text = format!("outputs of {} are here", count(pulled.steps.len(), "step"));
        let received = usize::try_from(transfer.contents_received).unwrap_or(usize::MAX);
        text.push_str(&format!("; {} fetched ({})\n", count(received, "content"), size(transfer.received)));
        for output in &pulled.lost {
            text.push_str(&format!("  not in the store: {}\n", clean(output)));
        }
        if !pulled.not_made.is_empty() {
            let names: Vec<String> = pulled.not_made.iter().map(|step| clean(step.as_str())).collect();
            text.push_str(&format!("  not made yet: {}\n", names.join(", ")));
        }
        text
    })?;
    let is_whole = pulled.lost.is_empty() && store.store.outage().is_none();
    Ok(if is_whole { Exit::Done } else { Exit::Infrastructure })
}
