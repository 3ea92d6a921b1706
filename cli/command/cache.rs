//! `tidemill cache`.

use serde::Serialize;
use tidemill_cache::{Cache, CacheStats, GcPlan, GcReport, VerifyReport};
use tidemill_engine::{Project, artifact, execute};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::{clean, count, size};

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
        Command::Verify => return verify(context, project.cache()),
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
