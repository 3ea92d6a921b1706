//! A graph in the languages of other tools: a Mermaid flowchart, the language of Graphviz.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::layout::Direction;
use super::measure::plain;
use super::outline::Outline;
use super::picture::{Arrow, Card, Picture};
use super::state::{State, States};
use super::svg::Look;

/// How a state is painted: fill, frame, and how the frame is drawn. Letters are dark on all of them.
struct Colours {
    fill: &'static str,
    frame: &'static str,
    dashed: bool,
}

const fn colours(state: State) -> Colours {
    let (fill, frame, dashed) = match state {
        State::Failed => ("#fbe0d4", "#c2410c", false),
        State::Blocked => ("#f3deee", "#9d3f86", false),
        State::Held => ("#f8ecc8", "#8a6100", false),
        State::Running | State::Run => ("#d9ebf7", "#0072b2", false),
        State::Maybe => ("#eaf4fb", "#2f7fb8", true),
        State::Waiting => ("#eef1f4", "#66727e", true),
        State::Executed => ("#d6efe6", "#00795a", false),
        State::Cached | State::Done => ("#e6edf0", "#4f6d7a", false),
        State::Skipped => ("#f4f5f6", "#78838e", true),
    };
    Colours { fill, frame, dashed }
}

impl Outline {
    /// The graph as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self, states: &States, look: &Look) -> String {
        let picture = Picture::of(self, states, look.matrices);
        let direction = match look.direction {
            Some(Direction::Down) => "TB",
            _ => "LR",
        };
        let mut out = format!("flowchart {direction}\n");
        for (place, card) in picture.cards.iter().enumerate() {
            let label: Vec<String> = label(card).iter().map(|line| mermaid_text(line)).collect();
            let (open, close) = match card.node {
                Some(node) if node.effect.is_some() => ("([", "])"),
                _ if card.is_stack() => ("[[", "]]"),
                _ => ("[", "]"),
            };
            let class = card.state().map(|state| format!(":::is-{}", state.word())).unwrap_or_default();
            let _ = writeln!(out, "    s{place}{open}\"{}\"{close}{class}", label.join("<br/>"));
        }
        for Arrow { from, to, data } in &picture.arrows {
            let _ = match data.is_empty() {
                true => writeln!(out, "    s{from} -.-> s{to}"),
                false => writeln!(out, "    s{from} -->|\"{}\"| s{to}", mermaid_text(&data.join(", "))),
            };
        }
        let occurring: BTreeSet<State> = picture.cards.iter().filter_map(Card::state).collect();
        for state in occurring {
            let Colours { fill, frame, dashed } = colours(state);
            let dashes = if dashed { ",stroke-dasharray:5 3" } else { "" };
            let word = state.word();
            let _ = writeln!(out, "    classDef is-{word} fill:{fill},stroke:{frame},color:#1c2733{dashes}");
        }
        out
    }

    /// The graph in the language of Graphviz.
    #[must_use]
    pub fn dot(&self, states: &States, look: &Look) -> String {
        let picture = Picture::of(self, states, look.matrices);
        let direction = match look.direction {
            Some(Direction::Down) => "TB",
            _ => "LR",
        };
        let mut out = format!("digraph {} {{\n    rankdir={direction};\n", dot_text(self.pipeline.as_str()));
        out.push_str("    node [shape=box, style=\"rounded,filled\", fillcolor=\"#f7f9fb\", color=\"#8796a5\", fontname=\"Helvetica,Arial,sans-serif\"];\n");
        out.push_str("    edge [color=\"#8796a5\", fontname=\"Helvetica,Arial,sans-serif\", fontsize=10];\n");
        for card in &picture.cards {
            let _ = writeln!(out, "    {} [{}];", dot_text(&card.name), dot_attributes(card));
        }
        for Arrow { from, to, data } in &picture.arrows {
            let (from, to) = (dot_text(&picture.cards[*from].name), dot_text(&picture.cards[*to].name));
            let _ = match data.is_empty() {
                true => writeln!(out, "    {from} -> {to} [style=dashed];"),
                false => writeln!(out, "    {from} -> {to} [label={}];", dot_text(&data.join("\n"))),
            };
        }
        out.push_str("}\n");
        out
    }
}

/// The lines of a card.
fn label(card: &Card<'_>) -> Vec<String> {
    let name = match card.is_stack() {
        true => format!("{} ×{}", card.name, card.steps.len()),
        false => card.name.clone(),
    };
    let mut lines = vec![name];
    lines.extend(card.axes());
    lines.extend(Some(card.marks().join(", ")).filter(|marks| !marks.is_empty()));
    lines.extend(Some(card.told().join(", ")).filter(|states| !states.is_empty()));
    lines
}

fn dot_attributes(card: &Card<'_>) -> String {
    let mut attributes = vec![format!("label={}", dot_text(&label(card).join("\n")))];
    let is_effect = card.node.is_some_and(|node| node.effect.is_some());
    if is_effect || card.is_stack() {
        attributes.push("peripheries=2".to_owned());
    }
    if let Some(state) = card.state() {
        let Colours { fill, frame, dashed } = colours(state);
        attributes.push(format!("fillcolor=\"{fill}\", color=\"{frame}\""));
        if dashed {
            attributes.push("style=\"rounded,filled,dashed\"".to_owned());
        }
    }
    attributes.join(", ")
}

/// A text between quotes of Mermaid, where entities stand for what has a meaning.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            '\\' => out.push_str("#92;"),
            ';' => out.push_str("#59;"),
            c => out.push(c),
        }
    }
    out
}

/// A quoted text of Graphviz.
fn dot_text(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| plain(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", lines.join("\\n"))
}
