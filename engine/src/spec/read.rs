//! Text to [`Spec`]: the tree is held against the language, then read step by step.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::interface::Interface;
use crate::keep::Keep;
use crate::name::PipelineName;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::field::PIPELINE_FILE;
use super::model::Spec;
use super::params::Parameters;
use super::parts::parts;
use super::reference::{Names, StepNames};
use super::step::StepReader;
use super::tree::{self, Entry, Kind, Node};
use super::{LoadRequest, notify, shape, suggest, trigger};

/// Larger files are refused.
pub(crate) const LARGEST: usize = 64 * 1024 * 1024;

/// The checked pipeline; none if its text is no TOML. What is wrong in it is left out and told.
pub(crate) fn read<'a>(request: &LoadRequest<'a>, problems: &mut Problems) -> Option<Spec<'a>> {
    if request.text.len() > LARGEST {
        problems.add(Diagnostic::new(Code::TooLarge, "the file is larger than 64 MiB"));
        return None;
    }
    let tree = tree::document(request.text, problems)?;
    let top = Entry { key: String::new(), key_span: 0..0, value: tree };
    shape::check(&top.value, PIPELINE_FILE, &top, problems);
    let tree = &top.value;
    let params = Parameters::read(tree.get("params"), request, problems);
    let environments: Vec<&str> = keys(tree.get("environments"));
    let steps = tree.get("steps").map_or(&[][..], Node::entries);
    let names = Names {
        source: request.text,
        newlines: request.text.match_indices('\n').map(|(place, _)| place).collect(),
        params: &params,
        steps: steps.iter().map(|entry| (entry.key.clone(), names_of(&entry.value, request))).collect(),
    };
    let reader = StepReader { names: &names, request, environments: &environments };
    let steps = steps.iter().filter_map(|entry| reader.step(entry, problems)).collect();
    let pipeline = tree.get("pipeline");
    // It is read for its mistakes: who tells reads it by itself.
    drop(notify::notify(tree.get("notify"), request.text, problems));
    Some(Spec {
        name: pipeline.and_then(|pipeline| pipeline_name(pipeline, problems)),
        description: pipeline.and_then(|table| table.get("description")?.text().map(str::to_owned)),
        keep: pipeline.and_then(|table| Keep::named(table.get("keep")?.text()?)).unwrap_or_default(),
        folder: request.file.parent().unwrap_or(Utf8Path::new("/")).to_owned(),
        parts: parts(request.text, tree),
        triggers: trigger::triggers(tree.get("triggers"), problems),
        steps,
        params,
    })
}

fn pipeline_name(table: &Node, problems: &mut Problems) -> Option<PipelineName> {
    let node = table.get("name")?;
    match PipelineName::new(node.text()?) {
        Ok(name) => Some(name),
        Err(error) => {
            let help = node.text().and_then(suggest::plain).map(|plain| format!("for example `{plain}`"));
            let diagnostic = Diagnostic::new(Code::InvalidName, error.to_string()).at(&node.span, "");
            problems.add(diagnostic.maybe_help(help));
            None
        }
    }
}

fn keys(table: Option<&Node>) -> Vec<&str> {
    table.map_or(&[][..], Node::entries).iter().map(|entry| entry.key.as_str()).collect()
}

fn names_of(step: &Node, request: &LoadRequest<'_>) -> StepNames {
    let owned = |field: &str| keys(step.get(field)).into_iter().map(str::to_owned).collect();
    let mut names = StepNames {
        inputs: owned("inputs"),
        outputs: owned("outputs"),
        axes: owned("matrix"),
        any_output: false,
        may_know_run: step.get("cache").and_then(Node::bool) == Some(false)
            || step.get("effect").is_some_and(|effect| effect.bool() != Some(false)),
    };
    match interface(step, request) {
        Some(interface) => {
            names.outputs = interface.outputs.iter().map(|port| port.name.to_owned()).collect();
        }
        None => names.any_output = step.get("uses").is_some(),
    }
    names
}

/// The interface that a step's table names.
pub(crate) fn interface<'a>(step: &Node, request: &LoadRequest<'a>) -> Option<&'a Interface> {
    // A step with a command too is told to be wrong; what its built-in would need is of no help then.
    let uses = step.get("uses").filter(|_| step.get("run").is_none());
    uses.and_then(Node::text).and_then(|uses| request.catalog.interface(uses))
}

/// Tells names that stand twice in lists of variables.
pub(crate) fn check_once<'a>(lists: impl IntoIterator<Item = &'a Node>, what: &str, problems: &mut Problems) {
    let mut seen: BTreeMap<&str, &Node> = BTreeMap::new();
    for node in lists.into_iter().flat_map(Node::items) {
        let Kind::Text(text) = &node.kind else { continue };
        if let Some(first) = seen.insert(text, node) {
            let diagnostic = Diagnostic::new(Code::Twice, format!("{what} `{text}` is named twice"));
            let diagnostic = diagnostic.at(&node.span, "again here").at(&first.span, "first here");
            problems.add(diagnostic.help("keep one of them"));
        }
    }
}

/// An unknown name of something that the file or the catalog lists.
pub(crate) fn unknown_name<'a>(
    node: &Node,
    what: &str,
    plural: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let name = node.text().unwrap_or_default();
    Diagnostic::new(Code::UnknownName, format!("there is no {what} `{name}`"))
        .at(&node.span, "unknown")
        .maybe_help(suggest::advice(name, plural, known))
}
