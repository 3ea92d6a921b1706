//! `tidemill cache`.

use serde::Serialize;
use tidemill_cache::{Cache, CacheStats, GcPlan, GcReport, VerifyReport};
use tidemill_engine::{Project, artifact};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::ui::text::{clean, size};

/// Look after the cache of the project.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with a cache.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how much it holds.
    Stats,
    /// Read everything in it again, and remove what is damaged: it is made again when it is needed.
    Verify,
    /// Remove what no kept run, no registered model and no effect refers to.
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
}

fn gc(context: &Context, project: &Project, args: &GcArgs) -> Result<(), CliError> {
    let plan = project.cache().gc_plan(&artifact::gc_roots(project, args.keep_runs)?)?;
    let removed = match args.dry_run {
        true => None,
        false => Some(project.cache().gc(&plan)?),
    };
    let collection = Collection { plan, removed };
    context.ui.result(&collection, || match &collection {
        Collection { plan, removed: None } => format!(
            "would remove {} contents ({}), {} results, {} recipes; {} contents stay\n",
            plan.objects.len(),
            size(plan.bytes),
            plan.results.len(),
            plan.recipes.len(),
            plan.kept,
        ),
        Collection { plan, removed: Some(removed) } => format!(
            "removed {} contents ({}), {} results, {} recipes; {} contents stay\n",
            removed.objects,
            size(removed.bytes),
            removed.results,
            removed.recipes,
            plan.kept,
        ),
    })?;
    Ok(())
}
