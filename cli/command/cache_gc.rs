//! `tidemill cache gc`.

use std::time::Duration;

use serde::Serialize;
use tidemill_cache::{GcPlan, GcReport, Key, PlannedResult, Why};
use tidemill_engine::policy::{self, Policy};
use tidemill_engine::repeats::Repeats;
use tidemill_engine::{Project, execute, garbage};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::text::{clean, count, size, time};

/// What a garbage collection keeps.
#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Keep what the newest N runs refer to [default: 20, or `keep_runs` of the project file].
    #[arg(long, value_name = "N")]
    pub(crate) keep_runs: Option<usize>,
    /// Keep results that are no older, such as `30d` [default: `keep_for` of the project file].
    #[arg(long, value_name = "TIME", value_parser = policy::parse_duration)]
    pub(crate) keep_for: Option<Duration>,
    /// Of the other results keep those used last, up to this size of the whole cache, such as `200GiB` [default: `max_size` of
    /// the project file].
    #[arg(long, value_name = "SIZE", value_parser = policy::parse_size)]
    pub(crate) max_size: Option<u64>,
    /// Say what would be removed, and remove nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// So many results are listed.
const LISTED: usize = 10;

/// A garbage collection, planned and perhaps done.
#[derive(Serialize)]
struct Collection {
    plan: GcPlan,
    removed: Option<GcReport>,
    /// How many step folders that `debug` opens go, or went, too.
    folders: usize,
}

/// Collects garbage.
pub(crate) fn gc(context: &Context, project: &Project, args: &GcArgs) -> Result<(), CliError> {
    let GcArgs { keep_runs, keep_for, max_size, dry_run } = *args;
    let policy = Policy { keep_runs, keep_for, max_size }.or(project.policy());
    let plan = project.cache().gc_plan(&garbage::roots(project, policy)?)?;
    let (removed, folders) = match dry_run {
        true => (None, execute::kept(project).len()),
        false => (Some(project.cache().gc(&plan)?), execute::remove_kept(project)),
    };
    let collection = Collection { plan, removed, folders };
    if !dry_run {
        let keys: Vec<Key> = collection.plan.results.iter().map(|result| result.key).collect();
        Repeats::below(project.state()).forget(&keys)?;
    }
    context.ui.result(&collection, || text(&collection, policy))?;
    Ok(())
}

fn text(collection: &Collection, policy: Policy) -> String {
    let Collection { plan, removed, folders } = collection;
    let folders = match folders {
        0 => String::new(),
        folders => format!(", {} kept for debug", count(*folders, "step folder")),
    };
    let mut text = match removed {
        None => {
            format!(
                "would remove {} contents ({}), {} results, {} recipes{folders}; {} contents stay\n",
                plan.objects.len(),
                size(plan.bytes),
                plan.results.len(),
                plan.recipes.len(),
                plan.kept,
            ) + &largest(&plan.results)
        }
        Some(removed) => format!(
            "removed {} contents ({}), {} results, {} recipes{folders}; {} contents stay\n",
            removed.objects,
            size(removed.bytes),
            removed.results,
            removed.recipes,
            plan.kept,
        ),
    };
    let waiting = plan.waiting_bytes + removed.map_or(0, |removed| removed.waiting_bytes);
    match removed {
        None if plan.users > 0 && !plan.objects.is_empty() => {
            let users = count(plan.users, "process");
            text.push_str(&format!(
                "{users} may still need them: they would be set aside until those have ended, and removed by the next gc\n"
            ));
        }
        _ if waiting > 0 => text.push_str(&format!(
            "{} are set aside for runs that are going on; the next gc removes them when those have ended\n",
            size(waiting)
        )),
        _ => {}
    }
    match policy.max_size {
        Some(limit) if plan.protected_bytes > limit => text.push_str(&format!(
            "what must stay has {} alone, more than {}: keep fewer runs or days, or unpin something\n",
            size(plan.protected_bytes),
            size(limit),
        )),
        Some(limit) => {
            text.push_str(&format!("what stays has {} of {}\n", size(plan.kept_bytes), size(limit)));
        }
        None => {}
    }
    text
}

/// The results that free most, each with why it goes.
fn largest(results: &[PlannedResult]) -> String {
    let mut text = String::new();
    for PlannedResult { key, pipeline, step, used, bytes, why } in results.iter().take(LISTED) {
        let what = match (pipeline.as_str(), step.as_str()) {
            ("", "") => "unreadable".to_owned(),
            (pipeline, step) => format!("{} of {}", clean(step), clean(pipeline)),
        };
        let used = used.map(|used| format!(", last used {}", time(used))).unwrap_or_default();
        let why = match why {
            Why::Unreferenced => "nothing that is kept refers to it",
            Why::Old => "older than what is kept, and nothing else refers to it",
            Why::NoRoom => "what was used later fills the cache",
            Why::Damaged => "it cannot be read",
        };
        text.push_str(&format!("  {:>10}  {what} ({}){used}: {why}\n", size(*bytes), key.short()));
    }
    if let Some(more) = results.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more, all with `--json`\n"));
    }
    text
}
