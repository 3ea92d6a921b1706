//! `tidemill graph`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tidemill_engine::graph::{self, Facts, Look, Matrices, Outline, States, Wanted};
use tidemill_engine::name::RunId;
use tidemill_engine::project;
use tidemill_engine::record::{History, RunRecord};
use tidemill_engine::{Project, Selection, artifact};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::graph::paint_lines;
use crate::ui::json;
use crate::ui::sink::{Form, Loudness};
use crate::ui::style::Paint;
use crate::ui::text::clean;

/// Draw the steps of a pipeline and what they depend on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill graph" => "draw the steps and what they give each other as text",
    "tidemill graph diabetes --format mermaid" => "the same for a page in Markdown",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// How to draw it. Without this, what the name of the output file ends with decides, else it is text.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write the drawing to this file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// Show how the steps stand: `plan` for what a run would do now, `last` or a run's id for what it did. The graph of a run
    /// is drawn as it was then.
    #[arg(long, value_name = "plan|RUN")]
    pub(crate) state: Option<String>,
    /// Draw every combination of a matrix for itself.
    #[arg(long)]
    pub(crate) all: bool,
    /// Which way the arrows go; whichever reads better if nothing is said. Not for text.
    #[arg(long, value_enum, value_name = "DIRECTION")]
    pub(crate) direction: Option<Direction>,
    /// Draw only this step.
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,
    /// Draw only this step and those that depend on it.
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Vec<String>,
    /// Draw only this step and those that it depends on.
    #[arg(long, value_name = "STEP")]
    pub(crate) until: Vec<String>,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Lines for a terminal.
    Text,
    /// A Mermaid flowchart, as GitHub and GitLab show it.
    Mermaid,
    /// The language of Graphviz.
    Dot,
    /// A picture that stands alone.
    Svg,
    /// A page with the picture, and what is known of each step.
    Html,
}

/// Which way the arrows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Direction {
    /// From left to right.
    Right,
    /// From top to bottom.
    Down,
}

#[derive(Serialize)]
struct Drawn<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    /// The run whose states these are.
    run: Option<&'a RunId>,
    /// How the steps stand; nothing if it was not asked for.
    states: &'a States,
}

/// Draws the graph.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (outline, facts, run) = shown(context, args)?;
    let outline = outline.part(&args.wanted())?;
    let drawn = Drawn { outline: &outline, run: run.as_ref(), states: &facts.states };
    let Some(path) = &args.output else {
        let width = if context.ui.out.terminal { context.width } else { usize::MAX };
        let paint = context.ui.out.paint;
        context.ui.result(&drawn, || args.draw(&outline, &facts, paint, width))?;
        return Ok(Exit::Done);
    };
    let text = match context.ui.form {
        Form::Json => json::render(&drawn),
        Form::Text => args.draw(&outline, &facts, Paint::Plain, usize::MAX),
    };
    write(&context.folder.join(path), &text)?;
    if context.ui.loudness > Loudness::Quiet {
        context.ui.tell(&format!("wrote {}\n", clean(path.as_str())));
    }
    Ok(Exit::Done)
}

/// The outline to draw, what is known of its steps, and the run that it belongs to.
fn shown(context: &Context, args: &Args) -> Result<(Outline, Facts, Option<RunId>), CliError> {
    let text = match args.state.as_deref() {
        None | Some("plan") => {
            let (project, graph) = context.load(&args.pipeline)?;
            let facts = match args.state {
                None => Facts::default(),
                Some(_) => {
                    let all = Selection::default();
                    runtime::block_on(tidemill_engine::plan(&project, &graph, &all))??.facts()
                }
            };
            return Ok((Outline::of(&graph), facts, None));
        }
        Some(text) => text,
    };
    let (project, record) = run_of(context, args, text)?;
    let facts = Facts::of_run(&record);
    let outline = match artifact::outline_of(&project, &record)? {
        Some(outline) => outline,
        None => {
            context.ui.tell("note: the graph of that run is not kept; this is the pipeline as it is now\n");
            Outline::of(&context.load(&args.pipeline)?.1)
        }
    };
    Ok((outline, facts, Some(record.run)))
}

/// The run that is meant; if a pipeline is named, it is one of this pipeline.
fn run_of(context: &Context, args: &Args, text: &str) -> Result<(Project, RunRecord), CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let Some(pipeline) = &args.pipeline.pipeline else {
        let record = history.find(text)?;
        return Ok((project, record));
    };
    let located = project::locate(&context.folder, Some(pipeline))?;
    let file = project.relative(&located.file).as_str();
    let is_of = |record: &RunRecord| record.file == file;
    if text != "last" {
        let record = history.find(text)?;
        return match is_of(&record) {
            true => Ok((project, record)),
            false => {
                Err(CliError::usage(format!("run {} is of the pipeline {}", record.run, record.pipeline)))
            }
        };
    }
    for id in history.ids()? {
        let record = history.find(id.as_str())?;
        if is_of(&record) {
            return Ok((project, record));
        }
    }
    Err(CliError::usage(format!("the pipeline {pipeline} has not run yet")))
}

fn write(path: &Utf8Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(CliError::file("write", path))
}

impl Args {
    fn format(&self) -> Format {
        let ending = self.output.as_deref().and_then(Utf8Path::extension);
        self.format.unwrap_or(match ending {
            Some("svg") => Format::Svg,
            Some("html" | "htm") => Format::Html,
            Some("mmd" | "mermaid") => Format::Mermaid,
            Some("dot" | "gv") => Format::Dot,
            _ => Format::Text,
        })
    }

    fn draw(&self, outline: &Outline, facts: &Facts, paint: Paint, width: usize) -> String {
        let (look, states) = (self.look(), &facts.states);
        match self.format() {
            Format::Text => paint_lines(&graph::lines(outline, states, look.matrices, width), paint),
            Format::Mermaid => outline.mermaid(states, &look),
            Format::Dot => outline.dot(states, &look),
            Format::Svg => outline.svg_with(states, &look),
            Format::Html => outline.html(facts, &look),
        }
    }

    fn look(&self) -> Look {
        Look {
            direction: self.direction.map(|direction| match direction {
                Direction::Right => graph::Direction::Right,
                Direction::Down => graph::Direction::Down,
            }),
            matrices: if self.all { Matrices::Unfolded } else { Matrices::Folded },
            ..Look::default()
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted { only: self.only.clone(), from: self.from.clone(), until: self.until.clone() }
    }
}
