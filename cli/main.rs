//! The `tidemill` command: people. Arguments in, sentences and exit codes out.
//!
//! A command reads its arguments, calls one verb of the engine, and hands the value to [`ui`]. May not know: how anything is
//! done.

mod args;
mod command;
mod context;
mod error;
mod exit;
mod runtime;
mod trace;
mod ui;

use std::env;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    // What the engine calls itself starts at once: no parsing, no runtime.
    match arguments.next().as_deref().and_then(|first| first.to_str()) {
        Some("warden") => tidemill_engine::process::warden_main(),
        Some("step") => command::step::main(arguments.next()),
        _ => for_people().into(),
    }
}

fn for_people() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version too come as errors, on standard output. That nobody reads them is no failure.
            answer.print().ok();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let context = match Context::new(&cli.global) {
        Ok(context) => context,
        Err(error) => {
            // Where it would go and how it would look is part of what is not known.
            ui::sink::tell(&error.text(ui::style::Paint::Plain, 0));
            return error.exit();
        }
    };
    let done = trace::start(&context, cli.global.verbose).and_then(|()| dispatch(&context, &cli.command));
    done.unwrap_or_else(|error| {
        error.tell(&context.ui, context.width);
        match &cli.command {
            Command::Plan(args) if args.detailed_exitcode => Exit::PlanFailed,
            _ => error.exit(),
        }
    })
}

fn dispatch(context: &Context, command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => command::run::run(context, args),
        Command::Plan(args) => command::plan::run(context, args),
        Command::Check(args) => command::check::run(context, args),
        Command::ExplainError(args) => command::explain_error::run(context, args),
        Command::Graph(args) => command::graph::run(context, args),
        Command::Log(args) => command::log::run(context, args),
        Command::Runs(args) => command::runs::run(context, args),
        Command::Show(args) => command::show::run(context, args),
        Command::Get(args) => command::get::run(context, args),
        Command::Cache(args) => command::cache::run(context, args),
        Command::Models(args) => command::models::run(context, args),
        Command::Serve(args) => command::serve::run(context, args),
        Command::Schema(args) => command::schema::run(context, args),
    }
}
