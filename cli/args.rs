//! The command line as it is typed: global flags, the commands, and what several of them share.

use std::num::NonZero;

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tidemill_engine::event::Cause;
use tidemill_engine::{Overrides, RunOptions, Selection};

use crate::command;
use crate::context::Context;
use crate::help;

/// A declarative pipeline engine for machine learning: a step whose inputs did not change is never run again.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line that this process was started with.
    ///
    /// # Errors
    /// If it is wrong, or asks for help.
    pub(crate) fn parse() -> Result<Self, clap::Error> {
        let matches = help::command().try_get_matches()?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut help::command()))
    }
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Run as if started in this folder.
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub(crate) folder: Option<Utf8PathBuf>,
    /// When to use colours: auto, always or never. `NO_COLOR` and `CLICOLOR_FORCE` are heeded too.
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true,
        global = true
    )]
    pub(crate) color: When,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more; twice and thrice for what goes on inside.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Say nothing but results and failures.
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub(crate) quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a run is shown while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines with their times.
    Plain,
    /// On a terminal: what has ended scrolls away, what runs stands below.
    Live,
    /// Every event as a line of JSON on standard output; the last line is the result.
    Json,
    /// Nothing but failures.
    Quiet,
}

/// The commands, in the order of a day's work.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(command::init::Args),
    Run(command::run::Args),
    Watch(command::watch::Args),
    Daemon(command::daemon::Args),
    Tick(command::tick::Args),
    Triggers(command::triggers::Args),
    Outbox(command::outbox::Args),
    Plan(command::plan::Args),
    Status(command::status::Args),
    Attach(command::attach::Args),
    Cancel(command::cancel::Args),
    Explain(command::explain::Args),
    Check(command::check::Args),
    ExplainError(command::explain_error::Args),
    Graph(command::graph::Args),
    Debug(command::debug::Args),
    Verify(command::verify::Args),
    Log(command::log::Args),
    Runs(command::runs::Args),
    Show(command::show::Args),
    Plots(command::plots::Args),
    Report(command::report::Args),
    Metrics(command::metrics::Args),
    Params(command::params::Args),
    Get(command::get::Args),
    Push(command::push::Args),
    Pull(command::pull::Args),
    Store(command::store::Args),
    Executors(command::executors::Args),
    Cache(command::cache::Args),
    Doctor(command::doctor::Args),
    Models(command::models::Args),
    Serve(command::serve::Args),
    Schema(command::schema::Args),
    Completions(command::completions::Args),
    Man(command::man::Args),
}

/// A pipeline and the values of its parameters.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// The pipeline: its file, its folder or its name. Without it, the one here, or the project's only one.
    #[arg(value_name = "PIPELINE")]
    pub(crate) pipeline: Option<String>,
    #[command(flatten)]
    pub(crate) params: ParamArgs,
}

/// Values of parameters.
#[derive(Debug, Clone, Args)]
pub(crate) struct ParamArgs {
    /// Set a parameter, as in `--set train.alpha=0.7`. The value is read as TOML, else as text.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Take parameters from a TOML or JSON file. Later files win, and `--set` wins over files.
    #[arg(long = "params", value_name = "FILE")]
    pub(crate) files: Vec<Utf8PathBuf>,
}

/// Which steps may execute. A step is named as in the pipeline file, or with its matrix values: `train[fold=1]`.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Run this step even if its result is known.
    #[arg(long, value_name = "STEP")]
    pub(crate) force: Vec<String>,
    /// Execute only this step.
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,
    /// Execute only this step and those that depend on it.
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Vec<String>,
    /// Execute only this step and those that it depends on.
    #[arg(long, value_name = "STEP")]
    pub(crate) until: Vec<String>,
}

/// How many steps run, and how far.
#[derive(Debug, Args)]
pub(crate) struct PaceArgs {
    /// How many steps may run at once; as many as there are cores if this is not given.
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Go on with independent steps after one failed.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
}

impl PaceArgs {
    /// A run at this pace of these steps.
    pub(crate) fn options(&self, cause: Cause, selection: &SelectionArgs) -> RunOptions {
        RunOptions {
            selection: selection.selection(),
            jobs: self.jobs.map(NonZero::get),
            keep_going: self.keep_going,
            ..RunOptions::new(cause)
        }
    }
}

impl ParamArgs {
    /// What the engine takes; files are looked for from the working folder.
    pub(crate) fn overrides(&self, context: &Context) -> Overrides {
        let params_files = self.files.iter().map(|file| context.folder.join(file)).collect();
        Overrides { set: self.set.clone(), params_files }
    }
}

impl SelectionArgs {
    /// What the engine takes.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            force: self.force.clone(),
            only: self.only.clone(),
            from: self.from.clone(),
            until: self.until.clone(),
        }
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_takes_what_the_manual_says() {
        let line = "tidemill run pipelines/diabetes --set a.b=0.5 --set c=x=y --params p.toml --jobs 2 \
                    --keep-going --force train --only train --from a --until b";
        let Command::Run(args) = parse(line).unwrap().command else { panic!("not a run") };
        let set = [("a.b", "0.5"), ("c", "x=y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(args.pipeline.params.set, set);
        assert_eq!(args.pipeline.pipeline.as_deref(), Some("pipelines/diabetes"));
        assert_eq!(args.pace.jobs.map(NonZero::get), Some(2));
        assert!(args.pace.keep_going && !args.dry_run);
        assert_eq!(args.selection.selection().until, ["b"]);
    }

    #[test]
    fn mistakes_of_the_command_line_are_noticed() {
        for line in ["tidemill run --set alpha", "tidemill run --set =1", "tidemill run --jobs 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("tidemill runs -v -q").is_err());
        assert!(parse("tidemill -C x runs --json --color never").is_ok());
    }
}
