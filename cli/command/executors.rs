//! `tidemill executors`.

use serde::Serialize;
use tidemill_engine::Cancellation;
use tidemill_engine::trial::{self, Found, Trial};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::text::{clean, duration};

/// Look at the executors of the project: where steps may run beside this machine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill executors list" => "name them, and what each is",
    "tidemill executors test gpu" => "hand a tiny step to one, and say what works, what does not, and why",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with executors.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Name them, and what each is.
    #[command(after_long_help = examples!["tidemill executors list" => "name them, and what each is"])]
    List,
    /// Hand a tiny step to one, and say what works, what does not, and why.
    #[command(after_long_help = examples![
        "tidemill executors test gpu" => "hand a tiny step to the executor gpu",
        "tidemill executors test gpu --gpus 1" => "one that asks for a GPU",
    ])]
    Test(TestArgs),
}

/// How an executor is tried.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// The executor.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How many GPUs the tiny step asks for.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) gpus: u32,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    kind: &'a str,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    match &args.command {
        Command::List => {
            let executors = project.executors();
            let listed: Vec<Listed<'_>> =
                executors.names().map(|name| Listed { name, kind: executors.kind(name) }).collect();
            let wide = listed.iter().map(|one| one.name.len()).max().unwrap_or(0).max("local".len());
            context.ui.result(&listed, || {
                let line = |name: &str, what: &str| format!("{name:<wide$}  {what}\n");
                let ours: String = listed.iter().map(|one| line(one.name, one.kind)).collect();
                line("local", "this machine") + &ours
            })?;
            Ok(Exit::Done)
        }
        Command::Test(TestArgs { name, gpus }) => {
            let trial = runtime::with_signals(context.ui, |cancel: Cancellation| async move {
                trial::of(&project, name, *gpus, &cancel).await
            })?;
            context.ui.result(&trial, || text(&trial))?;
            Ok(if trial.works() { Exit::Done } else { Exit::Infrastructure })
        }
    }
}

fn text(trial: &Trial) -> String {
    let mut text = String::new();
    for Found { what, works, said, took_ms } in &trial.found {
        let mark = if *works { "ok" } else { "no" };
        text.push_str(&format!("{mark:<4}{what:<12}{:>9}  {}\n", duration(*took_ms), clean(said)));
    }
    if let Some(help) = &trial.help {
        text.push_str(&format!("help: {}\n", clean(help)));
    }
    text
}
