//! `tidemill store`.

use std::time::Duration;

use serde::Serialize;
use tidemill_engine::policy::parse_duration;
use tidemill_engine::store::{Garbage, Unused};
use tidemill_engine::{Project, exchange, garbage};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::{clean, count, duration, size, time};
use crate::ui::transfer::Watch;

/// Look at the store of the team, and keep it small.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill store status" => "say whether the store can be reached, how it is used, and what it holds",
    "tidemill store gc --dry-run" => "say what nobody has used for long and would be removed",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with a store.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say whether it can be reached, how it is used, and what it holds.
    #[command(after_long_help = examples![
        "tidemill store status" => "count results and contents, by level of trust",
    ])]
    Status,
    /// Remove results that nobody has used for long, and their contents.
    #[command(after_long_help = examples![
        "tidemill store gc --dry-run" => "say what would be removed, and remove nothing",
        "tidemill store gc --keep-for 365d" => "remove what was neither written nor used within a year",
    ])]
    Gc(GcArgs),
}

/// What a collection of garbage in the store keeps.
#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Keep results that were written or used within this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "90d")]
    keep_for: Duration,
    /// Say what would be removed, and remove nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// So many results are listed.
const LISTED: usize = 10;

/// A collection of garbage in the store, planned or done.
#[derive(Serialize)]
struct Collection {
    removed: bool,
    #[serde(flatten)]
    garbage: Garbage,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    match &args.command {
        Command::Status => status(context, &project)?,
        Command::Gc(args) => gc(context, &project, args)?,
    }
    Ok(Exit::Done)
}

fn status(context: &Context, project: &Project) -> Result<(), CliError> {
    let store = exchange::store(project)?;
    let status = store.store.status()?;
    context.ui.result(&status, || {
        let mut text = format!(
            "{}\n  id      {}\n  writes  {}\n",
            status.address,
            status.id,
            match (store.store.settings().writes(), store.push) {
                (false, _) => format!("nothing ({})", status.access),
                (true, true) => format!("as {}, after each step", status.level),
                (true, false) => format!("as {}, by `tidemill push` only", status.level),
            },
        );
        for level in &status.levels {
            let trusted = if level.trusted { "believed" } else { "not believed here" };
            text.push_str(&format!(
                "  {:<6}  {} results, {} packs ({}), {trusted}\n",
                level.level.word(),
                level.results,
                level.packs,
                size(level.bytes),
            ));
        }
        text
    })?;
    Ok(())
}

fn gc(context: &Context, project: &Project, args: &GcArgs) -> Result<(), CliError> {
    let store = &exchange::store(project)?.store;
    let keep = garbage::roots_in_store(project, args.keep_for)?;
    let watch = Watch::start(context, store.progress().clone(), "collecting");
    let garbage = match args.dry_run {
        true => store.garbage(&keep),
        false => store.collect_garbage(&keep),
    };
    watch.stop();
    let collection = Collection { removed: !args.dry_run, garbage: garbage? };
    context.ui.result(&collection, || text(&collection, args.keep_for))?;
    Ok(())
}

fn text(collection: &Collection, keep_for: Duration) -> String {
    let Collection { removed, garbage } = collection;
    let mut text = format!(
        "{} {} and {} ({}) of the level {}; {} and {} ({}) stay\n",
        if *removed { "removed" } else { "would remove" },
        count(garbage.results.len(), "result"),
        count(garbage.packs, "pack"),
        size(garbage.bytes),
        garbage.level,
        count(garbage.kept_results, "result"),
        count(garbage.kept_packs, "pack"),
        size(garbage.kept_bytes),
    );
    if !garbage.results.is_empty() {
        let unused = duration(u64::try_from(keep_for.as_millis()).unwrap_or(u64::MAX));
        text.push_str(&format!("what goes was neither written nor used for {unused}, the oldest first:\n"));
    }
    for Unused { key, pipeline, step, written, .. } in garbage.results.iter().take(LISTED) {
        let what = match step.as_str() {
            "" => "what cannot be read".to_owned(),
            step => format!("{} of {}", clean(step), clean(pipeline)),
        };
        text.push_str(&format!("  {what} ({}), written {}\n", key.short(), time(*written)));
    }
    if let Some(more) = garbage.results.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more, all with `--json`\n"));
    }
    for path in &garbage.damaged {
        text.push_str(&format!("  damaged: {path}\n"));
    }
    text
}
