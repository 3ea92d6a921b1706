//! `tidemill push`.

use tidemill_engine::exchange::{self, Sent};
use tidemill_engine::store::Pushing;

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::text::{clean, count, size};
use crate::ui::transfer::Watch;

/// Send results to the store of the team: those of the pipeline as it is now.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill push" => "send what the pipeline of this folder has made and the store lacks",
    "tidemill push --step train" => "send the results of one step only",
    "tidemill push --all" => "send every result that the cache holds, of all pipelines and parameters",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Send the results of this step only. It is named as in the pipeline file, or with its matrix values.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Vec<String>,
    /// Send all results that the cache holds.
    #[arg(long, conflicts_with_all = ["pipeline", "step", "set", "files"])]
    pub(crate) all: bool,
}

/// Sends the results.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = match args.all {
        true => (context.project()?, None),
        false => context.load(&args.pipeline).map(|(project, graph)| (project, Some(graph)))?,
    };
    let progress = exchange::store(&project)?.store.progress().clone();
    let watch = Watch::start(context, progress.clone(), "sending");
    let sent = runtime::with_signals(context.ui, |cancel| {
        let (project, graph) = (&project, &graph);
        async move {
            let pushing = Pushing::default();
            let work = async {
                match graph {
                    Some(graph) => exchange::push(project, graph, &args.step, &pushing).await,
                    None => exchange::push_all(project, &pushing).await,
                }
            };
            let mut work = std::pin::pin!(work);
            tokio::select! {
                sent = &mut work => sent,
                () = cancel.at_least(tidemill_engine::execute::Urgency::Terminate) => {
                    pushing.stop();
                    work.await
                }
            }
        }
    });
    watch.stop();
    let sent: Sent = sent??;
    let transfer = progress.transfer();
    context.ui.result(&sent, || {
        let Sent { pushed, not_made } = &sent;
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let mut text = format!("{} sent ({})", count(number(pushed.results), "result"), size(transfer.sent));
        if pushed.there > 0 {
            text.push_str(&format!(", {} there already", pushed.there));
        }
        text.push('\n');
        for (step, reason) in &pushed.left {
            text.push_str(&format!("  not sent: {} ({})\n", clean(step), clean(reason)));
        }
        if !not_made.is_empty() {
            let names: Vec<String> = not_made.iter().map(|step| clean(step.as_str())).collect();
            text.push_str(&format!("  not made yet: {}\n", names.join(", ")));
        }
        text
    })?;
    Ok(if sent.pushed.left.is_empty() { Exit::Done } else { Exit::Infrastructure })
}
