//! What a step reads, as it is written: a path, references to outputs, a collected matrix, a registered model.

use crate::name::{AliasName, InputName, ModelName};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::{ArtifactSpec, InputSpec, SourceSpec};
use super::reference::{SOURCE, Scope};
use super::step::StepReader;
use super::suggest;
use super::template::{Name, Template};
use super::tree::{Entry, Kind, Node, Span};

/// The inputs of a step; what is wrong is told and left out.
pub(crate) fn read(reader: &StepReader<'_, '_>, step: &Entry, problems: &mut Problems) -> Vec<InputSpec> {
    let scope = reader.scope(step, "inputs", SOURCE);
    let entries = step.value.get("inputs").map_or(&[][..], Node::entries);
    let mut inputs = Vec::new();
    for entry in entries {
        let optional = entry.value.get("optional").and_then(Node::bool).unwrap_or(false);
        let source = match &entry.value.kind {
            Kind::Table(_) => from_table(&scope, entry, problems),
            _ => from_value(&scope, &entry.value, problems),
        };
        if let (Ok(name), Some(source)) = (InputName::new(&entry.key), source) {
            inputs.push(InputSpec { name, span: entry.value.span.clone(), source, optional });
        }
    }
    inputs
}

fn from_table(scope: &Scope<'_>, entry: &Entry, problems: &mut Problems) -> Option<SourceSpec> {
    let given: Vec<&Entry> = entry
        .value
        .entries()
        .iter()
        .filter(|entry| ["path", "collect", "model"].contains(&entry.key.as_str()))
        .collect();
    match given.as_slice() {
        [one] => match one.key.as_str() {
            "path" => from_value(scope, &one.value, problems),
            "collect" => collect(scope, &one.value, problems),
            _ => rival(&one.value, problems),
        },
        [] => {
            let message = format!("the input `{}` says not where it comes from", entry.key);
            let help = "give `path`, `collect` or `model`: `{ path = \"data/extra.csv\", optional = true }`";
            problems.add(Diagnostic::new(Code::MissingField, message).at(&entry.key_span, "").help(help));
            None
        }
        [first, second, ..] => {
            let message = format!("the input `{}` comes from two places", entry.key);
            problems.add(
                Diagnostic::new(Code::TwoSources, message)
                    .at(&first.key_span, "from here")
                    .at(&second.key_span, "and from here")
                    .help("make two inputs of them"),
            );
            None
        }
    }
}

fn from_value(scope: &Scope<'_>, node: &Node, problems: &mut Problems) -> Option<SourceSpec> {
    if let Kind::List(items) = &node.kind {
        return several(scope, node, items, problems);
    }
    let template = scope.template(node, problems)?;
    match artifact(&template) {
        Some(artifact) => Some(SourceSpec::Artifact(artifact)),
        None if names_artifact(&template) => {
            problems.add(not_alone(&template.span));
            None
        }
        None => Some(SourceSpec::Path(template)),
    }
}

fn several(scope: &Scope<'_>, node: &Node, items: &[Node], problems: &mut Problems) -> Option<SourceSpec> {
    if items.is_empty() {
        problems.add(Diagnostic::new(Code::EmptyList, "the list of this input is empty").at(&node.span, ""));
        return None;
    }
    let templates: Vec<Option<Template>> = items.iter().map(|item| scope.template(item, problems)).collect();
    let templates: Vec<Template> = templates.into_iter().collect::<Option<_>>()?;
    let artifacts: Vec<ArtifactSpec> = templates.iter().filter_map(artifact).collect();
    if artifacts.len() == templates.len() {
        return Some(SourceSpec::Several(artifacts));
    }
    let path = templates.iter().find(|template| artifact(template).is_none())?;
    let diagnostic = if names_artifact(path) {
        not_alone(&path.span)
    } else {
        Diagnostic::new(Code::ListOfPaths, "a list can only hold references to outputs of steps")
            .at(&path.span, "this is a path")
            .help("give each path an input of its own, or use a glob: `inputs.data = \"data/*.csv\"`")
    };
    problems.add(diagnostic);
    None
}

fn collect(scope: &Scope<'_>, node: &Node, problems: &mut Problems) -> Option<SourceSpec> {
    let template = scope.template(node, problems)?;
    if let Some(artifact) = artifact(&template) {
        return Some(SourceSpec::Collect(artifact));
    }
    let diagnostic = Diagnostic::new(Code::Collect, "`collect` takes one reference to an output");
    problems.add(diagnostic.at(&node.span, "").help("for example `{ collect = \"${train.model}\" }`"));
    None
}

fn rival(node: &Node, problems: &mut Problems) -> Option<SourceSpec> {
    let text = node.text()?;
    let parsed = match text.split_once('@') {
        Some((name, alias)) => match (ModelName::new(name), AliasName::new(alias)) {
            (Ok(name), Ok(alias)) => Ok(SourceSpec::Rival(name, alias)),
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        },
        None => Err(format!("`{text}` names no alias")),
    };
    match parsed {
        Ok(rival) => Some(rival),
        Err(message) => {
            let diagnostic = Diagnostic::new(Code::Model, message).at(&node.span, "");
            problems.add(diagnostic.help("write a model and its alias: `diabetes@champion`"));
            None
        }
    }
}

fn artifact(template: &Template) -> Option<ArtifactSpec> {
    let reference = template.only()?;
    match &reference.name {
        Name::Artifact(step, output) => {
            Some(ArtifactSpec { step: step.clone(), output: output.clone(), span: reference.span.clone() })
        }
        _ => None,
    }
}

fn names_artifact(template: &Template) -> bool {
    template.references().any(|reference| matches!(reference.name, Name::Artifact(..)))
}

fn not_alone(span: &Span) -> Diagnostic {
    Diagnostic::new(Code::ReferenceNotAlone, "a reference to an output cannot be a part of a path")
        .at(span, "text around the reference")
        .help(format!(
            "the reference alone is the input; for several, write a list of {}",
            suggest::list(["${step.output}"])
        ))
}
