//! `tidemill store`.

use tidemill_engine::exchange;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::size;

/// Look at the store of the team.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill store status" => "say whether the store can be reached, how it is used, and what it holds",
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
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let store = exchange::store(&project)?;
    let Command::Status = args.command;
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
    Ok(Exit::Done)
}
