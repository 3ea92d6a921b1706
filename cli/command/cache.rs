//! `tidemill cache`.

use serde::Serialize;
use tidemill_cache::{Cache, CacheStats, GcPlan, GcReport};
use tidemill_engine::repeats::Repeats;
use tidemill_engine::{Project, artifact, execute};

use super::{cache_quarantine, cache_verify};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::{count, size};

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
    /// Remove what no kept run, no registered model and no effect refers to.
    #[command(after_long_help = examples![
        "tidemill cache gc --dry-run" => "say what would be removed",
        "tidemill cache gc --keep-runs 5" => "keep what the five newest runs refer to",
    ])]
    Gc(GcArgs),
}

/// What a garbage collection keeps.
#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Keep what the newest N runs refer to.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) keep_runs: usize,
    /// Say what would be removed, and remove nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    match &args.command {
        Command::Stats => stats(context, project.cache())?,
        Command::Verify(args) => return cache_verify::run(context, args),
        Command::Quarantine(args) => return cache_quarantine::run(context, args),
        Command::Gc(args) => gc(context, &project, args)?,
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

/// A garbage collection, planned and perhaps done.
#[derive(Serialize)]
struct Collection {
    plan: GcPlan,
    removed: Option<GcReport>,
    /// How many step folders that `debug` opens go, or went, too.
    folders: usize,
}

fn gc(context: &Context, project: &Project, args: &GcArgs) -> Result<(), CliError> {
    let plan = project.cache().gc_plan(&artifact::gc_roots(project, args.keep_runs)?)?;
    let (removed, folders) = match args.dry_run {
        true => (None, execute::kept(project).len()),
        false => (Some(project.cache().gc(&plan)?), execute::remove_kept(project)),
    };
    let collection = Collection { plan, removed, folders };
    let folders = match folders {
        0 => String::new(),
        folders => format!(", {} kept for debug", count(folders, "step folder")),
    };
    if !args.dry_run {
        Repeats::below(project.state()).forget(&collection.plan.results)?;
    }
    context.ui.result(&collection, || match &collection {
        Collection { plan, removed: None, .. } => format!(
            "would remove {} contents ({}), {} results, {} recipes{folders}; {} contents stay\n",
            plan.objects.len(),
            size(plan.bytes),
            plan.results.len(),
            plan.recipes.len(),
            plan.kept,
        ),
        Collection { plan, removed: Some(removed), .. } => format!(
            "removed {} contents ({}), {} results, {} recipes{folders}; {} contents stay\n",
            removed.objects,
            size(removed.bytes),
            removed.results,
            removed.recipes,
            plan.kept,
        ),
    })?;
    Ok(())
}
