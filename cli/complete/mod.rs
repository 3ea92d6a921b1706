//! Completion of a command line that is being typed: the shell sets `COMPLETE` and calls this program at each press of the Tab
//! key.
//!
//! It must be fast and silent: nothing is checked, opened for writing or made, and what cannot be known gives no
//! candidates. Which names an argument takes is told by the name of its value (`STEP`, `RUN`, …), so a new command has
//! completion without a line here.

mod bash;
mod candidates;
mod typed;

use std::env;
use std::process::ExitCode;

use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, PathCompleter};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

use crate::help;

/// The variable that asks for completion, and names the shell.
pub(crate) const VARIABLE: &str = "COMPLETE";
/// The shells that are known.
pub(crate) const SHELLS: &[&dyn EnvCompleter] = &[&bash::Bash, &Elvish, &Fish, &Powershell, &Zsh];

/// Completes, if that is what is asked for.
pub(crate) fn main() -> Option<ExitCode> {
    env::var_os(VARIABLE).filter(|shell| !shell.is_empty() && shell != "0")?;
    let folder = env::current_dir().ok();
    let completion =
        CompleteEnv::with_factory(|| attach(help::command())).var(VARIABLE).shells(Shells(SHELLS));
    // Whoever presses Tab wants candidates; a word about why there are none would tear the line apart.
    completion.try_complete(env::args_os(), folder.as_deref()).ok();
    Some(ExitCode::SUCCESS)
}

/// Gives every argument of a command, and of those below it, its candidates.
fn attach(command: Command) -> Command {
    command.mut_args(with_candidates).mut_subcommands(attach)
}

fn with_candidates(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let completer = match name.as_deref() {
        Some("PIPELINE") => ArgValueCompleter::new(candidates::pipelines),
        Some("STEP") => ArgValueCompleter::new(candidates::steps),
        Some("STEP.OUTPUT") => ArgValueCompleter::new(candidates::outputs),
        Some("RUN") => ArgValueCompleter::new(candidates::runs),
        Some("NAME=VALUE") => ArgValueCompleter::new(candidates::params),
        Some("MODEL") => ArgValueCompleter::new(candidates::models),
        Some("ALIAS") => ArgValueCompleter::new(candidates::aliases),
        Some("CODE") => ArgValueCompleter::new(candidates::codes),
        Some("VERSION") => ArgValueCompleter::new(candidates::versions),
        Some("DIR") => ArgValueCompleter::new(PathCompleter::dir()),
        Some("FILE" | "PATH") => ArgValueCompleter::new(PathCompleter::any()),
        _ => return arg,
    };
    arg.add(completer)
}
