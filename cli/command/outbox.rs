//! `tidemill outbox`.

use jiff::Timestamp;
use serde_json::json;
use tidemill_engine::outbox::{Entry, Outbox, OutboxError};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::table::{Column, Table};
use crate::ui::telling::why;
use crate::ui::text::time;

/// Look at what is to be told to people and programs: what waits, and what could not be told.
///
/// The daemon tells it, else `tidemill tick`, and each run tells of itself when it ends.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill outbox list" => "what waits, what could not be told, and why",
    "tidemill outbox retry" => "have all that could not be told tried again",
    "tidemill outbox drop 1f0c" => "forget the entry whose id begins so",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with it.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// What waits, what could not be told, and why.
    #[command(after_long_help = examples!["tidemill outbox list" => "all that is in the outbox of the project"])]
    List,
    /// Have what could not be told tried again, as if it were new: one, or all of it.
    #[command(after_long_help = examples![
        "tidemill outbox retry" => "all that could not be told",
        "tidemill outbox retry 1f0c" => "the one whose id begins so",
    ])]
    Retry(RetryArgs),
    /// Forget something: it is not told.
    #[command(after_long_help = examples!["tidemill outbox drop 1f0c" => "the one whose id begins so"])]
    Drop(DropArgs),
}

/// Which.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// The id, or its beginning. Without it, all that could not be told.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// Which.
#[derive(Debug, clap::Args)]
pub(crate) struct DropArgs {
    /// The id, or its beginning.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let outbox = Outbox::below(context.project()?.state());
    match &args.command {
        Command::List => list(context, &outbox),
        Command::Retry(args) => retry(context, &outbox, args.id.as_deref()),
        Command::Drop(args) => {
            let all = [outbox.waiting()?, outbox.dead()?].concat();
            let entry = find(&all, &args.id)?;
            outbox.forget(entry.id)?;
            context.ui.result(&json!({ "id": entry.id }), || format!("{} is not told\n", entry.id))?;
            Ok(Exit::Done)
        }
    }
}

fn list(context: &Context, outbox: &Outbox) -> Result<Exit, CliError> {
    let (waiting, dead) = (outbox.waiting()?, outbox.dead()?);
    context.ui.result(&json!({ "waiting": waiting, "dead": dead }), || {
        if waiting.is_empty() && dead.is_empty() {
            return "all has been told\n".to_owned();
        }
        let mut table =
            Table::new(&["ID", "WRITTEN", "TO", "WHAT", "TRIES", "NEXT", "WHY NOT YET"].map(Column::Text));
        let mut row = |entry: &Entry, next: String| {
            table.row([
                format!("{:.8}", entry.id.to_string()),
                time(entry.at),
                entry.to.to_string(),
                entry.title(),
                entry.attempts.to_string(),
                next,
                why(entry).to_owned(),
            ]);
        };
        waiting.iter().for_each(|entry| row(entry, time(entry.next)));
        dead.iter().for_each(|entry| row(entry, "never".to_owned()));
        table.render(0)
    })?;
    Ok(Exit::Done)
}

fn retry(context: &Context, outbox: &Outbox, id: Option<&str>) -> Result<Exit, CliError> {
    let dead = outbox.dead()?;
    let chosen = match id {
        Some(id) => vec![find(&dead, id)?],
        None => dead.iter().collect(),
    };
    let now = Timestamp::now();
    for entry in &chosen {
        outbox.retry(entry, now)?;
    }
    let ids: Vec<_> = chosen.iter().map(|entry| entry.id).collect();
    context.ui.result(&json!({ "ids": ids }), || match ids.len() {
        0 => "nothing is dead\n".to_owned(),
        1 => "1 entry is tried again by the daemon, or by the next `tidemill tick`\n".to_owned(),
        more => format!("{more} entries are tried again by the daemon, or by the next `tidemill tick`\n"),
    })?;
    Ok(Exit::Done)
}

/// The entry whose id begins so.
fn find<'a>(entries: &'a [Entry], id: &str) -> Result<&'a Entry, CliError> {
    let mut found = entries.iter().filter(|entry| !id.is_empty() && entry.id.to_string().starts_with(id));
    let text = id.to_owned();
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(OutboxError::NotFound { text }.into()),
        (Some(_), Some(_)) => Err(OutboxError::Ambiguous { text }.into()),
    }
}
