//! `tidemill run`.

use std::fs;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::event::Subscriber;
use tidemill_engine::graph::Graph;
use tidemill_engine::name::RunId;
use tidemill_engine::outbox;
use tidemill_engine::trigger::Arrival;
use tidemill_engine::{Cancellation, Project, RunOptions, RunSummary};

use super::tell_run::{self, Failure};
use super::{detach, plan};
use crate::args::{Output, PaceArgs, PipelineArgs, SelectionArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::board::Board;
use crate::ui::events::Events;
use crate::ui::failure::{self, Again, Telling};
use crate::ui::plain::{Lines, Place};
use crate::ui::progress;
use crate::ui::sink::{Form, Loudness};
use crate::ui::summary::{self, End};
use crate::ui::{Ui, json};

/// Run a pipeline: only the steps whose inputs, parameters or command changed are executed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill run" => "run the pipeline of this folder: only what changed is executed",
    "tidemill run diabetes --set ridge.alpha=1.0" => "run the pipeline of this name with another value of a parameter",
    "tidemill run --from train --until evaluate" => "execute only train, evaluate and what lies between them",
    "tidemill run --detach" => "start it in the background: it goes on when the terminal is closed",
    "tidemill run --keep-going --jobs 4" => "four steps at a time, and on with the others if one fails",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    /// Say what would run, and why, and run nothing: the same as `plan`.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Start the run in the background, and print its id: `attach` watches it, `cancel` stops it.
    #[arg(long, conflicts_with_all = ["dry_run", "output"])]
    pub(crate) detach: bool,
    /// The id that the run gets: for who starts it in the background.
    #[arg(long, value_name = "RUN", hide = true)]
    pub(crate) as_run: Option<String>,
    /// The arrival that the run is for: for who answers triggers.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) arrival: Option<Utf8PathBuf>,
    /// How to show the run while it goes on. On a terminal live, else plain.
    #[arg(long, value_name = "FORM", value_enum, conflicts_with_all = ["quiet", "json", "dry_run"])]
    pub(crate) output: Option<Output>,
}

/// Runs the pipeline.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let output = output(context, args.output)?;
    let context = match output {
        Output::Quiet | Output::Json => &context.with_loudness(Loudness::Quiet),
        Output::Plain | Output::Live => context,
    };
    match (execute(context, args, output), output) {
        // Who reads lines gets a line.
        (Err(error), Output::Json) => {
            context.ui.print(&json::line(&error.json()))?;
            Ok(error.exit())
        }
        // Who answers triggers keeps what is said, in a line.
        (Err(error), _) if args.arrival.is_some() => {
            context.ui.tell(&format!("{}\n", in_a_line(&error, args)));
            Ok(error.exit())
        }
        (done, _) => done,
    }
}

/// Why no run could begin, without where its parameters were read from.
fn in_a_line(error: &CliError, args: &Args) -> String {
    let text = match error {
        CliError::Pipeline(diagnostics) => {
            let mistakes = diagnostics.items.iter().map(|item| match &item.help {
                Some(help) => format!("{} ({help})", item.message),
                None => item.message.clone(),
            });
            mistakes.collect::<Vec<_>>().join("; ")
        }
        error => error.to_string(),
    };
    let files = args.pipeline.params.files.iter();
    files.fold(text, |text, file| text.replace(&format!("{file}: "), ""))
}

/// How a run is to be shown.
pub(super) fn output(context: &Context, wanted: Option<Output>) -> Result<Output, CliError> {
    let Ui { err, loudness, .. } = context.ui;
    match wanted {
        Some(Output::Quiet) if loudness == Loudness::Detailed => {
            Err(CliError::usage("--output quiet and -v contradict each other".to_owned()))
        }
        Some(Output::Live) if !context.can_draw => {
            context.ui.tell("note: standard error is no terminal to draw on; progress is plain lines\n");
            Ok(Output::Plain)
        }
        Some(output) => Ok(output),
        None if loudness == Loudness::Quiet => Ok(Output::Quiet),
        // Who asks for more wants to keep it.
        None if err.terminal && loudness == Loudness::Normal => Ok(Output::Live),
        None => Ok(Output::Plain),
    }
}

/// The project and the file of its pipeline. Who answers triggers says which project it is: the folder that it starts this in.
fn place(context: &Context, args: &Args) -> Result<(Project, Utf8PathBuf), CliError> {
    let (Some(_), Some(file)) = (&args.arrival, &args.pipeline.pipeline) else {
        return context.place(&args.pipeline);
    };
    Ok((context.project_at(context.folder.clone())?, context.folder.join(file)))
}

fn execute(context: &Context, args: &Args, output: Output) -> Result<Exit, CliError> {
    let (project, file) = place(context, args)?;
    let told = Failure { context, project: &project, file: &file };
    // Of what a trigger starts, the one that answers triggers tells.
    let cause = Some(context.cause()).filter(|_| !args.dry_run && args.arrival.is_none());
    let graph = context.load_at(&project, &file, &args.pipeline);
    let graph = graph.inspect_err(|error| told.tell(cause, error))?;
    if args.dry_run {
        let selection = args.selection.selection();
        let shown = plan::Shown { jobs: args.pace.jobs, form: plan::Form::Folded };
        plan::show(context, &project, &graph, &selection, shown)?;
        return Ok(Exit::Done);
    }
    if args.detach {
        return detach::start(context, &project);
    }
    let id = args.as_run.as_deref().map(RunId::new).transpose();
    let arrival = args.arrival.as_ref().map(|path| arrival(&context.folder.join(path))).transpose()?;
    let started_by = arrival.as_ref().map_or(context.cause(), |arrival| arrival.cause);
    let options = RunOptions {
        id: id.map_err(|error| CliError::usage(error.to_string()))?,
        triggered: arrival.map(|arrival| arrival.triggered()),
        ..args.pace.options(started_by, &args.selection)
    };
    let subscribers: Vec<Box<dyn Subscriber>> =
        progress(context, &graph, output).into_iter().chain(outbox::subscriber(&project)).collect();
    let summary = runtime::with_signals(context.ui, |cancel: Cancellation| {
        tidemill_engine::run(&project, graph, options, subscribers, cancel)
    })?;
    let summary = summary.map_err(CliError::from).inspect_err(|error| told.tell(cause, error))?;
    let shown = tell(context, &args.pipeline, output, &summary);
    tell_run::ended(context, &project, &file, &summary.run);
    shown?;
    Ok(summary.outcome.into())
}

/// What was noted of what the run is for.
fn arrival(path: &Utf8Path) -> Result<Arrival, CliError> {
    let bytes = fs::read(path).map_err(CliError::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| CliError::file("read", path)(error.into()))
}

/// Tells how a run has ended.
pub(super) fn tell(
    context: &Context,
    pipeline: &PipelineArgs,
    output: Output,
    summary: &RunSummary,
) -> Result<(), CliError> {
    let again = Again::new(pipeline.pipeline.as_deref(), &pipeline.params);
    let telling = Telling { paint: context.ui.err.paint, folder: &context.folder, again };
    context.ui.tell(&failure::draw(&summary.recap, &telling));
    match (output, context.ui.form) {
        (Output::Json, _) => context.ui.print(&json::line(summary))?,
        (_, Form::Json) => context.ui.print(&json::render(summary))?,
        (Output::Quiet, Form::Text) => {}
        (Output::Plain | Output::Live, Form::Text) => context.ui.print(&draw(context, summary))?,
    }
    Ok(())
}

fn draw(context: &Context, summary: &RunSummary) -> String {
    let RunSummary { run, outcome, counts, wall_ms, recap } = summary;
    let end = End { run, outcome: *outcome, wall_ms: *wall_ms, counts: *counts };
    summary::draw(recap, Some(&end), context.ui.out.paint, context.width)
}

/// Who shows a run while it goes on.
pub(super) fn progress(context: &Context, graph: &Graph, output: Output) -> Option<Box<dyn Subscriber>> {
    let Ui { err, loudness, .. } = context.ui;
    let lines = |place| Lines::new(graph, place, err.paint, loudness);
    match output {
        Output::Quiet => None,
        Output::Json => Some(Box::new(Events::new(context.ui))),
        Output::Plain => Some(Box::new(progress::Log::new(lines(Place::Log)))),
        Output::Live => {
            let board = Board::new(err.paint, Instant::now());
            Some(Box::new(progress::Live::start(lines(Place::Screen), board)))
        }
    }
}
