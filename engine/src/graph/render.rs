//! A graph as a drawing: layers of text for a terminal, a Mermaid flowchart, the language of Graphviz.
//!
//! Drawings are by step name: the combinations of a matrix are folded into one, `train[2]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Graph, StepIndex};

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Layers of text for a terminal.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// The language of Graphviz.
    Dot,
}

/// The drawing, with a newline at its end.
#[must_use]
pub fn render(graph: &Graph, format: Format) -> String {
    let folded = Folded::new(graph);
    match format {
        Format::Text => folded.text(),
        Format::Mermaid => folded.mermaid(),
        Format::Dot => folded.dot(),
    }
}

/// A graph by step name.
struct Folded<'a> {
    graph: &'a Graph,
    /// In the order of the file.
    steps: Vec<Node<'a>>,
}

struct Node<'a> {
    name: &'a str,
    count: usize,
    left_out: usize,
    effect: bool,
    /// How many steps lie before it on the longest way.
    layer: usize,
    /// The steps that it depends on, by place, and the outputs that it reads of them; none for order only.
    upstream: BTreeMap<usize, BTreeSet<&'a str>>,
}

impl<'a> Folded<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut steps: Vec<Node<'a>> = Vec::new();
        for step in &graph.steps {
            let place = *places.entry(step.name.as_str()).or_insert(steps.len());
            if place == steps.len() {
                steps.push(Node {
                    name: step.name.as_str(),
                    count: 0,
                    left_out: 0,
                    effect: step.effect.is_some(),
                    layer: 0,
                    upstream: BTreeMap::new(),
                });
            }
            steps[place].count += 1;
            steps[place].left_out += usize::from(step.left_out.is_some());
        }
        let place_of = |index: StepIndex| places[graph.step(index).name.as_str()];
        for index in &graph.order {
            let step = graph.step(*index);
            let place = place_of(*index);
            for need in &step.needs {
                steps[place].upstream.entry(place_of(*need)).or_default();
            }
            for (producer, output) in step.inputs.values().flat_map(|input| input.source.producers()) {
                steps[place].upstream.entry(place_of(producer)).or_default().insert(output.as_str());
            }
            let before = steps[place].upstream.keys().map(|upstream| steps[*upstream].layer + 1).max();
            steps[place].layer = before.unwrap_or(0);
        }
        Self { graph, steps }
    }

    fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.graph.pipeline, count(self.graph.steps.len(), "step"));
        let width = self.steps.iter().map(|step| step.label().chars().count()).max().unwrap_or(0);
        let layers = self.steps.iter().map(|step| step.layer + 1).max().unwrap_or(0);
        let digits = layers.to_string().len();
        for layer in 0..layers {
            let mut number = (layer + 1).to_string();
            for step in self.steps.iter().filter(|step| step.layer == layer) {
                let mut line = format!("{number:>digits$}  {:<width$}", step.label());
                let sources: Vec<String> =
                    step.upstream.iter().map(|(upstream, outputs)| self.source(*upstream, outputs)).collect();
                if !sources.is_empty() {
                    let _ = write!(line, "  ← {}", sources.join(", "));
                }
                line.push_str(&step.remarks());
                out.push_str(line.trim_end());
                out.push('\n');
                number.clear();
            }
        }
        out
    }

    fn source(&self, upstream: usize, outputs: &BTreeSet<&str>) -> String {
        let label = self.steps[upstream].label();
        if outputs.is_empty() { format!("{label} (order only)") } else { label }
    }

    fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for (place, step) in self.steps.iter().enumerate() {
            let label = mermaid_text(&step.label());
            let (open, close) = if step.effect { ("([", "])") } else { ("[", "]") };
            let _ = writeln!(out, "    s{place}{open}\"{label}\"{close}");
        }
        for (place, step) in self.steps.iter().enumerate() {
            for (upstream, outputs) in &step.upstream {
                let _ = match outputs.is_empty() {
                    true => writeln!(out, "    s{upstream} -.-> s{place}"),
                    false => {
                        writeln!(out, "    s{upstream} -->|\"{}\"| s{place}", mermaid_text(&joined(outputs)))
                    }
                };
            }
        }
        out
    }

    fn dot(&self) -> String {
        let mut out = format!("digraph {} {{\n    rankdir=LR;\n", dot_text(self.graph.pipeline.as_str()));
        out.push_str("    node [shape=box, style=rounded];\n");
        for step in &self.steps {
            let shape = if step.effect { ", shape=ellipse" } else { "" };
            let _ = writeln!(out, "    {} [label={}{shape}];", dot_text(step.name), dot_text(&step.label()));
        }
        for step in &self.steps {
            for (upstream, outputs) in &step.upstream {
                let (from, to) = (dot_text(self.steps[*upstream].name), dot_text(step.name));
                let _ = match outputs.is_empty() {
                    true => writeln!(out, "    {from} -> {to} [style=dashed];"),
                    false => writeln!(out, "    {from} -> {to} [label={}];", dot_text(&joined(outputs))),
                };
            }
        }
        out.push_str("}\n");
        out
    }
}

impl Node<'_> {
    fn label(&self) -> String {
        if self.count > 1 { format!("{}[{}]", self.name, self.count) } else { self.name.to_owned() }
    }

    fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        if self.effect {
            remarks.push("effect".to_owned());
        }
        match self.left_out {
            0 => {}
            all if all == self.count => remarks.push("left out".to_owned()),
            some => remarks.push(format!("{some} left out")),
        }
        if remarks.is_empty() { String::new() } else { format!("  · {}", remarks.join(", ")) }
    }
}

fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn joined(outputs: &BTreeSet<&str>) -> String {
    outputs.iter().copied().collect::<Vec<_>>().join(", ")
}

/// A text between quotes of Mermaid, where entities stand for what has a meaning.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A quoted text of Graphviz.
fn dot_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
