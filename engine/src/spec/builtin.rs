//! A step that uses a built-in, held against the built-in's interface.

use crate::interface::Interface;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::{InputSpec, SourceSpec};
use super::suggest;
use super::tree::{Entry, Node};

/// Tells inputs that the built-in does not take, needs, or takes otherwise.
pub(crate) fn check_inputs(
    step: &Entry,
    inputs: &[InputSpec],
    interface: &Interface,
    problems: &mut Problems,
) {
    let entries = step.value.get("inputs").map_or(&[][..], Node::entries);
    for entry in entries {
        if !interface.inputs.iter().any(|port| port.name == entry.key) {
            let message = format!("the built-in `{}` has no input `{}`", interface.name, entry.key);
            let names = interface.inputs.iter().map(|port| port.name);
            let diagnostic = Diagnostic::new(Code::UnknownInput, message).at(&entry.key_span, "unknown");
            problems.add(diagnostic.maybe_help(suggest::advice(&entry.key, "inputs", names)));
        }
    }
    for port in &interface.inputs {
        if port.required && !entries.iter().any(|entry| entry.key == port.name) {
            let message = format!("the built-in `{}` needs the input `{}`", interface.name, port.name);
            let diagnostic = Diagnostic::new(Code::MissingInput, message).at(&step.key_span, "");
            problems.add(diagnostic.help(format!("{}: {}", port.name, port.doc)));
        }
        let Some(input) = inputs.iter().find(|input| input.name.as_str() == port.name) else { continue };
        let (message, help) = match (&input.source, port.many) {
            (SourceSpec::Artifact(artifact), true) => {
                let reference = format!("${{{}.{}}}", artifact.step, artifact.output);
                let help = format!("write a list, `[\"{reference}\"]`, or `{{ collect = \"{reference}\" }}`");
                (format!("the input `{}` of `{}` takes several artifacts", port.name, interface.name), help)
            }
            (SourceSpec::Several(_) | SourceSpec::Collect(_), false) => (
                format!("the input `{}` of `{}` takes one artifact", port.name, interface.name),
                "write one reference, as a text".to_owned(),
            ),
            _ => continue,
        };
        problems.add(Diagnostic::new(Code::OneOrMany, message).at(&input.span, "").help(help));
    }
}

/// Tells options that the built-in does not know or needs.
pub(crate) fn check_with(step: &Entry, interface: &Interface, problems: &mut Problems) {
    let with = step.value.entry("with");
    let entries = with.map_or(&[][..], |with| with.value.entries());
    for entry in entries {
        if !interface.with.iter().any(|field| field.name == entry.key) {
            let message = format!("the built-in `{}` has no option `{}`", interface.name, entry.key);
            let names = interface.with.iter().map(|field| field.name);
            let diagnostic = Diagnostic::new(Code::UnknownOption, message).at(&entry.key_span, "unknown");
            problems.add(diagnostic.maybe_help(suggest::advice(&entry.key, "options", names)));
        }
    }
    for field in interface.with.iter().filter(|field| field.required) {
        if entries.iter().any(|entry| entry.key == field.name) {
            continue;
        }
        let message = format!("the built-in `{}` needs the option `{}`", interface.name, field.name);
        let span = with.map_or(&step.key_span, |with| &with.key_span);
        let diagnostic = Diagnostic::new(Code::MissingOption, message).at(span, "");
        problems.add(diagnostic.help(format!("`with.{}`, {}: {}", field.name, field.kind, field.doc)));
    }
}
