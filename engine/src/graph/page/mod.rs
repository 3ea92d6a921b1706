//! A graph as one HTML page that needs nothing else: the picture, and beside it what is known of the step that the reader
//! chooses. Pointing at a step shows what it depends on and what depends on it. Without scripts all steps are listed below.
//!
//! The page allows nothing to be fetched, and no script but its own, which is named by its hash.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::measure::escaped;
use super::outline::{Node, Outline, Port};
use super::picture::{Card, Picture};
use super::state::{States, states_of};
use super::svg::{Audience, Look};
use crate::name::StepId;
use crate::record::RunRecord;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The SHA-256 of the script, as a browser wants it.
const SCRIPT_HASH: &str = "sha256-t/qx9egVF4zVW7l0LcK1OFc4P6S+4mlREkpvDCsFlDU=";
/// More combinations of a matrix than this are not listed one by one.
const MOST_LISTED: usize = 200;

/// What is known of the steps beside the graph.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Where the states come from, in a sentence.
    pub source: Option<String>,
    /// How the steps stand.
    pub states: States,
    /// The keys of the steps.
    pub keys: BTreeMap<StepId, String>,
    /// Why they stand so.
    pub reasons: BTreeMap<StepId, String>,
}

impl Facts {
    /// What a run's record says.
    #[must_use]
    pub fn of_run(run: &RunRecord) -> Self {
        let mut facts = Self { states: states_of(run), ..Self::default() };
        facts.source =
            Some(format!("The run {}, begun {}.", run.run, run.started.strftime("%Y-%m-%d %H:%M UTC")));
        for step in &run.steps {
            facts.keys.extend(step.key.map(|key| (step.step.clone(), key.to_string())));
            facts.reasons.extend(step.reason.clone().map(|reason| (step.step.clone(), reason)));
        }
        facts
    }
}

impl Outline {
    /// The graph as an HTML page.
    #[must_use]
    pub fn html(&self, facts: &Facts, look: &Look) -> String {
        let picture = Picture::to_look_at(self, &facts.states, look.matrices);
        let (svg, width) = self.draw(&picture, &Look { audience: Audience::Page, ..*look });
        let name = escaped(self.pipeline.as_str());
        let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        let _ = writeln!(
            out,
            r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src '{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'">"#
        );
        out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        let _ = writeln!(out, "<title>{name}: steps</title>\n<style>\n{STYLE}</style>\n</head>\n<body>");
        let _ = writeln!(out, "<header>\n<h1>{name}</h1>");
        for text in self.description.iter().chain(&facts.source) {
            let _ = writeln!(out, "<p>{}</p>", escaped(text));
        }
        out.push_str("<p class=\"hint\">Point at a step to see what it depends on and what depends on it; choose it for more.</p>\n");
        let _ = writeln!(
            out,
            "</header>\n<main>\n<div class=\"picture\" style=\"--wide:{width:.0}px\">\n{svg}</div>\n<div class=\"steps\" aria-live=\"polite\">"
        );
        for card in &picture.cards {
            section(&mut out, card, facts);
        }
        let _ = write!(out, "</div>\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
        out
    }
}

fn section(out: &mut String, card: &Card<'_>, facts: &Facts) {
    let count = if card.is_stack() { format!(" ×{}", card.steps.len()) } else { String::new() };
    let _ = writeln!(out, "<section>\n<h2>{}{count}</h2>", escaped(&card.name));
    if let Some(description) = card.node.and_then(|node| node.description.as_ref()) {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escaped(description));
    }
    out.push_str("<dl>\n");
    let mut entry = |term: &str, html: &str| {
        if !html.is_empty() {
            let _ = writeln!(out, "<dt>{term}</dt><dd>{html}</dd>");
        }
    };
    entry("state", &escaped(&card.told().join(", ")));
    if let [step] = card.steps.as_slice() {
        entry("why", &facts.reasons.get(*step).map(|reason| escaped(reason)).unwrap_or_default());
        entry("key", &facts.keys.get(*step).map(|key| code(key)).unwrap_or_default());
    }
    if let Some(node) = card.node {
        node_entries(node, &mut entry);
        // The outline keeps one command for all combinations.
        let first = node.instances.first().filter(|_| node.command.is_some() && node.instances.len() > 1);
        entry(
            "",
            &first
                .map(|first| format!("the command is that of {}", code(first.as_str())))
                .unwrap_or_default(),
        );
    }
    if card.is_stack() {
        entry("steps", &combinations(card, facts));
    }
    out.push_str("</dl>\n</section>\n");
}

fn node_entries(node: &Node, entry: &mut impl FnMut(&str, &str)) {
    let action = match &node.command {
        Some(command) => format!("<pre>{}</pre>", lines(command)),
        None => escaped(&node.action),
    };
    entry(if node.command.is_some() { "command" } else { "does" }, &action);
    entry("stage", &node.stage.as_deref().map(escaped).unwrap_or_default());
    let axes = node.axes.iter().map(|axis| (axis.name.to_string(), axis.values.join(", ")));
    entry("matrix", &list(axes.map(|(name, values)| format!("{}: {}", escaped(&name), escaped(&values)))));
    entry("inputs", &list(node.inputs.iter().map(port)));
    entry("outputs", &list(node.outputs.iter().map(port)));
    entry("gate", &list(node.gate.iter().map(|condition| code(condition))));
    entry("changes", &node.effect.as_deref().map(escaped).unwrap_or_default());
    entry("cache", if node.cache || node.effect.is_some() { "" } else { "its results are not kept" });
    let left_out = node.left_out.values().next().map(|condition| format!("{} is false", code(condition)));
    entry("left out", &left_out.unwrap_or_default());
    entry("file", &format!("line {}", node.line));
}

fn port(port: &Port) -> String {
    let kind =
        port.kind.map(|kind| format!(" <span class=\"soft\">{}</span>", kind.word())).unwrap_or_default();
    format!("{} {}{kind}", escaped(&port.name), code(&port.place))
}

/// Each combination of a matrix with what is known of it.
fn combinations(card: &Card<'_>, facts: &Facts) -> String {
    let one = |step: &&StepId| {
        let mut text = code(step.as_str());
        if let Some(state) = facts.states.get(*step) {
            let _ = write!(text, " {}", state.word());
        }
        if let Some(reason) = facts.reasons.get(*step).filter(|reason| !reason.is_empty()) {
            let _ = write!(text, " <span class=\"soft\">{}</span>", escaped(reason));
        }
        if let Some(key) = facts.keys.get(*step) {
            let _ = write!(
                text,
                " <span class=\"soft\">{}</span>",
                code(&key.chars().take(12).collect::<String>())
            );
        }
        text
    };
    let rest = card.steps.len().saturating_sub(MOST_LISTED);
    let more = (rest > 0).then(|| format!("and {rest} more"));
    // What matters most comes first.
    let mut steps = card.steps.clone();
    steps.sort_by_key(|step| facts.states.get(*step));
    list(steps.iter().take(MOST_LISTED).map(one).chain(more))
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// A text of several lines.
fn lines(text: &str) -> String {
    text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>")).collect();
    if items.is_empty() { String::new() } else { format!("<ul>{}</ul>", items.join("")) }
}
