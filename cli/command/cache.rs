//! `tidemill cache`.

use tidemill_cache::{Cache, CacheStats};

use super::{cache_gc, cache_pin, cache_quarantine, cache_verify};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::size;

/// Look after the cache of the project.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill cache stats" => "show how much there is",
    "tidemill cache gc --dry-run" => "show what could be removed",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with a cache.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how much it holds.
    #[command(after_long_help = examples![
        "tidemill cache stats" => "show how many contents, recipes and results there are, and their size",
    ])]
    Stats,
    Verify(cache_verify::Args),
    Quarantine(cache_quarantine::Args),
    /// Remove what no kept run, no pin, no registered model and no effect refers to.
    #[command(after_long_help = examples![
        "tidemill cache gc --dry-run" => "say what would be removed",
        "tidemill cache gc --keep-runs 5" => "keep what the five newest runs refer to",
        "tidemill cache gc --keep-for 30d" => "keep results of the last thirty days too",
        "tidemill cache gc --max-size 200GiB" => "remove what was not used for longest, until the cache fits",
    ])]
    Gc(cache_gc::GcArgs),
    /// Keep something for good, whatever `gc` removes.
    #[command(after_long_help = examples![
        "tidemill cache pin paper train" => "keep the result of the step train, as the pipeline is now",
        "tidemill cache pin paper-model train.model" => "keep one output",
        "tidemill cache pin demo last" => "keep all that the last run referred to",
    ])]
    Pin(cache_pin::PinArgs),
    /// Take a pin away.
    #[command(after_long_help = examples![
        "tidemill cache unpin paper" => "from now on `gc` may remove it",
    ])]
    Unpin(cache_pin::UnpinArgs),
    /// List the pins.
    #[command(after_long_help = examples![
        "tidemill cache pins" => "show what is pinned, by whom and since when",
    ])]
    Pins,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    match &args.command {
        Command::Stats => stats(context, project.cache())?,
        Command::Verify(args) => return cache_verify::run(context, args),
        Command::Quarantine(args) => return cache_quarantine::run(context, args),
        Command::Gc(args) => cache_gc::gc(context, &project, args)?,
        Command::Pin(args) => cache_pin::pin(context, &project, args)?,
        Command::Unpin(args) => cache_pin::unpin(context, &project, args)?,
        Command::Pins => cache_pin::list(context, &project)?,
    }
    Ok(Exit::Done)
}

fn stats(context: &Context, cache: &Cache) -> Result<(), CliError> {
    let stats = cache.stats()?;
    let CacheStats { objects, bytes, recipes, results, index_bytes } = stats;
    context.ui.result(&stats, || {
        let path = context.relative(cache.state());
        format!(
            "{path}\n  contents {objects} ({})\n  recipes  {recipes}\n  results  {results}\n  index    {}\n",
            size(bytes),
            size(index_bytes),
        )
    })?;
    Ok(())
}
