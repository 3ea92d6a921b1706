//! What a step writes, as it is written, or as the interface of a built-in step gives it.

use crate::interface::{Interface, OutputKind};
use crate::name::OutputName;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::OutputSpec;
use super::reference::{EARLY, Scope};
use super::step::StepReader;
use super::suggest;
use super::template::Template;
use super::tree::{Entry, Node};

/// The outputs of a step; what is wrong is told and left out.
pub(crate) fn read(
    reader: &StepReader<'_, '_>,
    step: &Entry,
    interface: Option<&Interface>,
    problems: &mut Problems,
) -> Vec<OutputSpec> {
    let scope = reader.scope(step, "outputs", EARLY);
    let entries = step.value.get("outputs").map_or(&[][..], Node::entries);
    match interface {
        Some(interface) => of_builtin(&scope, step, entries, interface, problems),
        // Whatever the unknown built-in step would write: its name was told to be wrong, and its outputs are unknown.
        None if step.value.get("uses").is_some() => Vec::new(),
        None => entries.iter().filter_map(|entry| declared(&scope, entry, problems)).collect(),
    }
}

fn declared(scope: &Scope<'_>, entry: &Entry, problems: &mut Problems) -> Option<OutputSpec> {
    let node = &entry.value;
    let path = if node.text().is_some() { Some(node) } else { node.get("path") };
    if path.is_none() && !node.entries().is_empty() {
        let message = format!("the output `{}` has no `path`", entry.key);
        let help = "say where the step writes it, for example `path = \"model.onnx\"`";
        problems.add(Diagnostic::new(Code::MissingField, message).at(&entry.key_span, "").help(help));
    }
    let word = node.get("kind").and_then(Node::text);
    let path = scope.template(path?, problems);
    let publish = publish(scope, node, problems);
    let kind = word.and_then(kind).unwrap_or(OutputKind::File);
    let per_rank = node.get("per_rank").filter(|node| node.bool() == Some(true));
    if let Some(node) = per_rank.filter(|_| kind != OutputKind::Dir) {
        let message = format!("the output `{}` is no folder, so it cannot have one for each rank", entry.key);
        let diagnostic = Diagnostic::new(Code::PerRank, message).at(&node.span, "");
        problems.add(diagnostic.help("declare it with `kind = \"dir\"`"));
    }
    Some(OutputSpec {
        name: OutputName::new(&entry.key).ok()?,
        path: path?,
        kind,
        optional: node.get("optional").and_then(Node::bool).unwrap_or(false),
        publish,
        per_rank: per_rank.is_some(),
    })
}

fn of_builtin(
    scope: &Scope<'_>,
    step: &Entry,
    entries: &[Entry],
    interface: &Interface,
    problems: &mut Problems,
) -> Vec<OutputSpec> {
    for entry in entries {
        if !interface.outputs.iter().any(|port| port.name == entry.key) {
            let message = format!("the built-in `{}` has no output `{}`", interface.name, entry.key);
            let names = interface.outputs.iter().map(|port| port.name);
            let diagnostic = Diagnostic::new(Code::UnknownOutput, message).at(&entry.key_span, "unknown");
            problems.add(diagnostic.maybe_help(suggest::advice(&entry.key, "outputs", names)));
        }
        for fixed in ["kind", "optional", "per_rank"].iter().filter_map(|name| entry.value.entry(name)) {
            let message = format!("`{}` of a built-in step's output is fixed", fixed.key);
            let diagnostic =
                Diagnostic::new(Code::FixedOutput, message).at(&fixed.key_span, "leave this away");
            problems.add(diagnostic.help("only `publish` and `path` can be said"));
        }
    }
    let port = |port: &crate::interface::OutputPort| {
        let entry = entries.iter().find(|entry| entry.key == port.name);
        let node = entry.map(|entry| &entry.value);
        let span = entry.map_or(&step.key_span, |entry| &entry.key_span);
        let path = node.and_then(|node| if node.text().is_some() { Some(node) } else { node.get("path") });
        Some(OutputSpec {
            name: OutputName::new(port.name).ok()?,
            path: match path {
                Some(path) => scope.template(path, problems)?,
                None => Template::plain(port.path, span),
            },
            kind: port.kind,
            optional: port.optional,
            publish: node.and_then(|node| publish(scope, node, problems)),
            per_rank: false,
        })
    };
    interface.outputs.iter().filter_map(port).collect()
}

fn publish(scope: &Scope<'_>, node: &Node, problems: &mut Problems) -> Option<Template> {
    node.get("publish").and_then(|publish| scope.template(publish, problems))
}

fn kind(word: &str) -> Option<OutputKind> {
    use OutputKind::{Dir, File, Metrics, Model, Plot, Report};
    [File, Dir, Metrics, Plot, Model, Report].into_iter().find(|kind| kind.word() == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::field::KINDS;

    #[test]
    fn every_word_of_the_language_is_a_kind() {
        assert!(KINDS.iter().all(|word| kind(word).is_some()));
    }
}
