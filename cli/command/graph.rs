//! `tidemill graph`.

use serde::Serialize;
use tidemill_engine::graph::{self, Graph, StepIndex};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Draw the steps of a pipeline and what they depend on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// How to draw it.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Layers of text.
    #[default]
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// The language of Graphviz.
    Dot,
}

#[derive(Serialize)]
struct Drawn<'a> {
    pipeline: &'a str,
    steps: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    step: &'a str,
    stage: Option<&'a str>,
    needs: Vec<&'a str>,
}

/// Draws the graph.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (_, graph) = context.load(&args.pipeline)?;
    let format = match args.format {
        Format::Text => graph::Format::Text,
        Format::Mermaid => graph::Format::Mermaid,
        Format::Dot => graph::Format::Dot,
    };
    context.ui.result(&drawn(&graph), || {
        let drawing = graph::render(&graph, format);
        format!("{}\n", drawing.trim_end())
    })?;
    Ok(Exit::Done)
}

fn drawn(graph: &Graph) -> Drawn<'_> {
    let id = |index: StepIndex| graph.step(index).id.as_str();
    let node = |index: StepIndex| Node {
        step: id(index),
        stage: graph.step(index).stage.as_deref(),
        needs: graph.upstream(index).into_iter().map(id).collect(),
    };
    let steps = (0..graph.steps.len()).map(StepIndex::new).map(node).collect();
    Drawn { pipeline: graph.pipeline.as_str(), steps }
}
