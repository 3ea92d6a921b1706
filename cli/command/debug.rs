//! `tidemill debug`.

use serde::Serialize;
use tidemill_engine::debug::{self, DebugFolder, Ending, Which};
use tidemill_engine::execute::{self, Kept, Origin};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::shell;
use crate::ui::debug::{facts, list, notes, welcome};
use crate::ui::sink::{Form, Loudness};

/// Look into a step: a shell in its own folder, with the variables that it gets. If its last attempt failed, the folder is as the
/// step left it; else it is made with the step's inputs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill debug train" => "open a shell in the step's folder: as its failed attempt left it, else with its inputs",
    "tidemill debug train --fresh -- sh ../run.sh" => "run the step's own command in a new folder with its inputs",
    "tidemill debug --list" => "list the folders of failed attempts that are kept",
])]
pub(crate) struct Args {
    /// The step, with matrix values if it has any: `train[fold=1]`.
    #[arg(value_name = "STEP", required_unless_present = "list")]
    pub(crate) step: Option<String>,
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Make a folder with the inputs as they are now, also if that of a failed attempt is kept.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Leave the folder there, also if it was made just now.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Start nothing: print the folder, the command and the names of the variables, and leave the folder there.
    #[arg(long, conflicts_with = "command")]
    pub(crate) print: bool,
    /// Let what is started there reach everything, also what the step may not.
    #[arg(long)]
    pub(crate) no_fence: bool,
    /// List the folders that are kept.
    #[arg(long, conflicts_with_all = ["step", "fresh", "keep", "print", "command"])]
    pub(crate) list: bool,
    /// What to run there in place of a shell; its exit code is this command's.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Serialize)]
struct Listing {
    kept: Vec<Kept>,
}

/// Opens the folder.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let Some(step) = args.step.as_deref().filter(|_| !args.list) else {
        let listing = Listing { kept: execute::kept(&context.project()?) };
        context.ui.result(&listing, || list(&listing.kept, &context.folder))?;
        return Ok(Exit::Done);
    };
    check(context, args)?;
    let (project, graph) = context.load(&args.pipeline)?;
    let which = if args.fresh { Which::Fresh } else { Which::FailedIfAny };
    let open = runtime::block_on(debug::open(&project, &graph, step, which))??;
    let ending = match open.origin == Origin::Fresh && !args.keep && !args.print {
        true => Ending::Remove,
        false => Ending::Stay,
    };
    let done = match args.print {
        true => context.ui.result(&open, || facts(&open)).map(|()| Exit::Done).map_err(CliError::from),
        false => look_around(context, args, &open),
    };
    let folder = open.folder.clone();
    open.close(&project, ending);
    if args.command.is_empty() && !args.print && folder.exists() {
        context.ui.tell(&format!("the folder stays: {}\n", context.relative(&folder)));
    }
    done
}

/// Whether there is something to do and someone to do it.
fn check(context: &Context, args: &Args) -> Result<(), CliError> {
    if context.ui.form == Form::Json && !args.print {
        return Err(CliError::Usage {
            message: "a shell or command has no JSON form".to_owned(),
            hint: Some("`--print --json` tells the folder, the command and the variables".to_owned()),
        });
    }
    if args.command.is_empty() && !args.print && !context.is_typed_at() {
        return Err(CliError::Usage {
            message: "there is no terminal for a shell".to_owned(),
            hint: Some("name a command, as in `tidemill debug STEP -- ls`, or use `--print`".to_owned()),
        });
    }
    Ok(())
}

fn look_around(context: &Context, args: &Args, open: &DebugFolder) -> Result<Exit, CliError> {
    let fence = open.fence().filter(|_| !args.no_fence);
    let paint = context.ui.err.paint;
    let is_quiet = context.ui.loudness == Loudness::Quiet;
    if !args.command.is_empty() {
        if !is_quiet {
            context.ui.tell(&notes(open, paint));
        }
        return Ok(Exit::Of(shell::run(&args.command, open.variables(), &open.folder, fence)?));
    }
    if !is_quiet {
        context.ui.tell(&welcome(open, fence.is_some(), paint, &context.folder));
    }
    let mut variables = open.variables().clone();
    // Without it a shell cannot edit a line. The script beside the folder takes it away again.
    if let Some(term) = context.variable("TERM") {
        variables.insert("TERM".to_owned(), term.to_owned());
    }
    let shell = context.variable("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("sh").to_owned();
    shell::run(&[shell], &variables, &open.folder, fence)?;
    Ok(Exit::Done)
}
