//! `tidemill completions`.

use std::env;

use clap_complete::env::Shells;

use crate::complete;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;

/// Print the script that lets a shell complete commands, steps, runs, models and more
///
/// The script asks `tidemill` at each press of the Tab key, so the names are those of the project that you are in. Load it where
/// your shell starts:
///
///   bash        source <(tidemill completions bash)                      in ~/.bashrc
///   zsh         source <(tidemill completions zsh)                       in ~/.zshrc, after compinit
///   fish        tidemill completions fish | source                       in ~/.config/fish/config.fish
///   elvish      eval (tidemill completions elvish | slurp)               in ~/.config/elvish/rc.elv
///   powershell  tidemill completions powershell | Out-String | iex       in $PROFILE
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = examples![
        "tidemill completions bash" => "print the script for bash",
        "tidemill completions zsh" => "print the script for zsh",
    ]
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    pub(crate) shell: String,
}

/// Prints the script.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let shells = Shells(complete::SHELLS);
    let shell = shells.completer(&args.shell).ok_or_else(|| CliError::usage("there is no such shell"))?;
    let mut script = Vec::new();
    shell.write_registration(complete::VARIABLE, "tidemill", "tidemill", &program(context), &mut script)?;
    context.ui.copy(&mut script.as_slice())?;
    Ok(Exit::Done)
}

/// How the script finds this program: as it was called now, from wherever it will be called.
fn program(context: &Context) -> String {
    match env::args().next() {
        Some(called) if called.contains('/') => context.started_in.join(called).to_string(),
        _ => "tidemill".to_owned(),
    }
}
