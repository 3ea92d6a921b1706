//! `tidemill cache quarantine`.

use serde::Serialize;
use tidemill_engine::quarantine::{self, Listed, Request};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::quarantine::{given_back, list, planned};

/// Take out bad results and all that was derived from them, and tell which models and deployments rest on them.
///
/// A step whose result was taken out runs again. A result is derived if it read, by its recipe, what a bad one made and no other
/// one did. Nothing is deleted: `--undo` gives it back, and `cache gc` removes the contents.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("what").required(true).args(["run", "key", "digest", "undo", "list"])),
    after_long_help = examples![
        "tidemill cache quarantine --run 20261120-235501 --dry-run" => "show what that run made, what was derived from it, and what rests on it",
        "tidemill cache quarantine --run 20261120-235501 --reason 'the GPU of ward 3 was faulty'" => "take it out; the next run makes it again",
        "tidemill cache quarantine --digest 3a36f629314e" => "take out all that has this content or read it, such as a bad data file",
        "tidemill cache quarantine --undo 1" => "give back what the first quarantine took out",
    ]
)]
pub(crate) struct Args {
    /// What this run made: its id, the beginning of it, or `last`. What it only took from the cache stays.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The results of this key, or of its first digits.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The results that have this content as an output, also in a folder, and those that read it; its first digits will do.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Give back what this quarantine took out.
    #[arg(long, value_name = "NUMBER")]
    undo: Option<u64>,
    /// List what was quarantined.
    #[arg(long, conflicts_with_all = ["reason", "dry_run"])]
    list: bool,
    /// Why; it is shown where the steps run again.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Say what would be taken out, and change nothing.
    #[arg(short = 'n', long, conflicts_with = "undo")]
    dry_run: bool,
}

#[derive(Serialize)]
struct All {
    quarantines: Vec<Listed>,
}

/// Takes out, gives back or lists.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let paint = context.ui.out.paint;
    if let Some(number) = args.undo {
        let undone = quarantine::undo(&project, number, &args.reason)?;
        context.ui.result(&undone, || given_back(&undone))?;
        return Ok(Exit::Done);
    }
    let request = match (&args.run, &args.key, &args.digest) {
        (Some(run), ..) => Request::Run(run.clone()),
        (_, Some(key), _) => Request::Key(key.clone()),
        (.., Some(digest)) => Request::Digest(digest.clone()),
        (None, None, None) => {
            let all = All { quarantines: quarantine::list(&project)? };
            context.ui.result(&all, || list(&all.quarantines))?;
            return Ok(Exit::Done);
        }
    };
    match args.dry_run {
        true => {
            let assessment = quarantine::assess(&project, &request)?;
            context.ui.result(&assessment, || planned(&assessment, None, paint))?;
        }
        false => {
            let done = quarantine::quarantine(&project, &request, &args.reason)?;
            context.ui.result(&done, || planned(&done.assessment, Some(&done), paint))?;
        }
    }
    Ok(Exit::Done)
}
