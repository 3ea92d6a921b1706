//! `tidemill cache`.

use tidemill_cache::{Cache, CacheStats, VerifyReport};

use super::{cache_gc, cache_pin};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::{clean, size};

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
    /// Read everything in it again, and remove what is damaged: it is made again when it is needed.
    #[command(after_long_help = examples![
        "tidemill cache verify" => "read everything again; the exit code is 4 if something was damaged",
    ])]
    Verify,
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
        Command::Verify => return verify(context, project.cache()),
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

/// Damage is the machine's failure, also if it was removed: a script is to notice.
fn verify(context: &Context, cache: &Cache) -> Result<Exit, CliError> {
    let report = cache.verify()?;
    let VerifyReport { objects, bytes, recipes, results, damaged } = &report;
    context.ui.result(&report, || {
        let mut text =
            format!("read {objects} contents ({}), {recipes} recipes, {results} results: ", size(*bytes));
        text.push_str(&match damaged.len() {
            0 => "all as they should be\n".to_owned(),
            number => format!("{number} damaged and removed\n"),
        });
        for damage in damaged {
            text.push_str(&format!("  {}\n", clean(context.relative(&damage.path).as_str())));
        }
        text
    })?;
    Ok(if report.damaged.is_empty() { Exit::Done } else { Exit::Infrastructure })
}
