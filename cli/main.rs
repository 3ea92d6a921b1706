//! The `tidemill` command: people. Arguments in, sentences and exit codes out.
//!
//! A command reads its arguments, calls one verb of the engine, and hands the value to [`ui`]. May not know: how anything is
//! done.

mod args;
mod command;
mod complete;
mod context;
mod dvc;
mod error;
mod exit;
mod help;
mod manual;
mod page;
mod runtime;
mod scarcity;
mod shell;
mod starter;
mod trace;
mod ui;

use std::env;
use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Reading a large pipeline is a million small allocations: with this allocator it takes two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A shell that completes a line waits for nothing else.
    if let Some(completed) = complete::main() {
        return completed;
    }
    let mut arguments = env::args_os().skip(1);
    // What the engine calls itself starts at once: no parsing, no runtime.
    match arguments.next().as_deref().and_then(|first| first.to_str()) {
        Some("warden") => tidemill_engine::process::warden_main(),
        Some("step") => command::step::main(arguments.next()),
        Some("worker") => command::worker::main().into(),
        first => {
            if first == Some("daemon") {
                // It waits for most of its life. Said wherever else it stands on the line, it is heard later.
                tidemill_engine::trigger::take_small_pages();
            }
            for_people().into()
        }
    }
}

fn for_people() -> Exit {
    scarcity::install();
    let cli = match Cli::parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version too come as errors, on standard output. That nobody reads them is no failure.
            answer.print().ok();
            return match (answer.use_stderr(), asks_for_details()) {
                (false, _) => Exit::Done,
                (true, true) => Exit::PlanFailed,
                (true, false) => Exit::Usage,
            };
        }
    };
    let context = match Context::new(&cli.global) {
        Ok(context) => context,
        Err(error) => {
            // Where it would go and how it would look is part of what is not known.
            ui::sink::tell(&error.text(ui::style::Paint::Plain, 0));
            return if asks_for_details() { Exit::PlanFailed } else { error.exit() };
        }
    };
    let done = trace::start(&context, cli.global.verbose).and_then(|()| dispatch(&context, &cli.command));
    done.unwrap_or_else(|error| {
        error.tell(&context.ui, context.width);
        if asks_for_details() { Exit::PlanFailed } else { error.exit() }
    })
}

/// Whether a script asks by exit code if there is something to do: then every error has another code than that answer.
fn asks_for_details() -> bool {
    env::args_os().any(|argument| argument == "--detailed-exitcode")
}

fn dispatch(context: &Context, command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => command::init::run(context, args),
        Command::Run(args) => command::run::run(context, args),
        Command::Watch(args) => command::watch::run(context, args),
        Command::Daemon(args) => command::daemon::run(context, args),
        Command::Tick(args) => command::tick::run(context, args),
        Command::Triggers(args) => command::triggers::run(context, args),
        Command::Outbox(args) => command::outbox::run(context, args),
        Command::Plan(args) => command::plan::run(context, args),
        Command::Status(args) => command::status::run(context, args),
        Command::Attach(args) => command::attach::run(context, args),
        Command::Cancel(args) => command::cancel::run(context, args),
        Command::Explain(args) => command::explain::run(context, args),
        Command::Check(args) => command::check::run(context, args),
        Command::ExplainError(args) => command::explain_error::run(context, args),
        Command::Graph(args) => command::graph::run(context, args),
        Command::Debug(args) => command::debug::run(context, args),
        Command::Verify(args) => command::verify::run(context, args),
        Command::Log(args) => command::log::run(context, args),
        Command::Runs(args) => command::runs::run(context, args),
        Command::Show(args) => command::show::run(context, args),
        Command::Plots(args) => command::plots::run(context, args),
        Command::Report(args) => command::report::run(context, args),
        Command::Metrics(args) => command::metrics::run(context, args),
        Command::Params(args) => command::params::run(context, args),
        Command::Get(args) => command::get::run(context, args),
        Command::Push(args) => command::push::run(context, args),
        Command::Pull(args) => command::pull::run(context, args),
        Command::Store(args) => command::store::run(context, args),
        Command::Executors(args) => command::executors::run(context, args),
        Command::Cache(args) => command::cache::run(context, args),
        Command::Doctor(args) => command::doctor::run(context, args),
        Command::Models(args) => command::models::run(context, args),
        Command::Serve(args) => command::serve::run(context, args),
        Command::Schema(args) => command::schema::run(context, args),
        Command::Completions(args) => command::completions::run(context, args),
        Command::Man(args) => command::man::run(context, args),
    }
}
