//! Places that must not meet: outputs and inputs in a step's folder, published files and inputs in the project.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_cache::RelPath;

use crate::name::{InputName, OutputName};
use crate::spec::{Code, Diagnostic, Problems, Span, StepSpec};

use super::path::{clash, folded, matches};
use super::{Input, Output, Source};

/// Tells outputs of one step that meet each other or an input.
pub(super) fn check_step(
    step: &StepSpec<'_>,
    inputs: &BTreeMap<InputName, Input>,
    outputs: &BTreeMap<OutputName, Output>,
    problems: &mut Problems,
) {
    let output_span = |name: &OutputName| {
        step.outputs.iter().find(|output| output.name == *name).map_or(&step.span, |output| &output.path.span)
    };
    let input_span = |name: &InputName| {
        step.inputs.iter().find(|input| input.name == *name).map_or(&step.span, |input| &input.span)
    };
    let places: Vec<(&OutputName, String)> =
        outputs.iter().map(|(name, output)| (name, folded(&output.path))).collect();
    for (index, (name, place)) in places.iter().enumerate() {
        for (other, _) in places[..index].iter().filter(|(_, other)| clash(place, other)) {
            let message = format!("the outputs `{other}` and `{name}` meet: one is written into the other");
            problems.add(
                Diagnostic::new(Code::OutputClash, message)
                    .at(output_span(name), "this")
                    .at(output_span(other), "and this")
                    .help("give each output a file or folder of its own, none inside another"),
            );
        }
        for (input, source) in inputs {
            if !meets(place, input, &source.source) {
                continue;
            }
            let message = format!("the output `{name}` is written where the input `{input}` lies");
            problems.add(
                Diagnostic::new(Code::OutputClash, message)
                    .at(output_span(name), "written here")
                    .at(input_span(input), "read from here")
                    .help("inputs stay as they are while a step runs: write to another path, for example `out/…`"),
            );
        }
    }
}

/// Whether a place in the step's folder meets an input: project files lie at their own path, all else in `inputs/<name>`.
fn meets(place: &str, name: &InputName, source: &Source) -> bool {
    match source {
        Source::Project(path) => clash(place, &folded(path)),
        Source::Glob(pattern) => matches(pattern, place),
        _ => clash(place, &format!("inputs/{name}")),
    }
}

/// What is published and read in the project.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// By folded path: the path as written and the place of the words in the file.
    published: BTreeMap<String, (String, Span)>,
    read: BTreeMap<String, Span>,
    globs: BTreeMap<String, Span>,
    told: BTreeSet<String>,
}

impl Project {
    /// Takes an input.
    pub(super) fn read(&mut self, source: &Source, span: &Span) {
        match source {
            Source::Project(path) => {
                self.read.entry(folded(path)).or_insert_with(|| span.clone());
            }
            Source::Glob(pattern) => {
                self.globs.entry(pattern.clone()).or_insert_with(|| span.clone());
            }
            _ => {}
        }
    }

    /// Takes the inputs that were collected elsewhere, after these.
    pub(super) fn take_reads(&mut self, other: Self) {
        for (place, span) in other.read {
            self.read.entry(place).or_insert(span);
        }
        for (pattern, span) in other.globs {
            self.globs.entry(pattern).or_insert(span);
        }
    }

    /// Takes a published output; tells if it meets one before.
    pub(super) fn publish(&mut self, path: &RelPath, span: &Span, problems: &mut Problems) {
        let place = folded(path);
        if let Some((_, (other, first))) = nested(&self.published, &place) {
            let message = if *other == path.as_str() {
                format!("two outputs are published to `{path}`")
            } else {
                format!("outputs are published to `{path}` and `{other}`, which meet")
            };
            let diagnostic = Diagnostic::new(Code::PublishClash, message);
            let help = if first == span {
                "each combination of the matrix publishes: put a value into the path, such as `${matrix.fold}`"
            } else {
                "publish each to a path of its own, none inside another"
            };
            let diagnostic = diagnostic.at(span, "published here");
            let diagnostic = if first == span { diagnostic } else { diagnostic.at(first, "and here") };
            // Told once per pair of places, not once per combination.
            if self.told.insert(format!("{first:?} {span:?}")) {
                problems.add(diagnostic.help(help));
            }
            return;
        }
        self.published.insert(place, (path.to_string(), span.clone()));
    }

    /// Tells published outputs that would change an input, once all are known.
    pub(super) fn check(&self, file: Option<&str>, problems: &mut Problems) {
        for (place, (written, span)) in &self.published {
            if file.is_some_and(|file| clash(place, &file.to_lowercase())) {
                let message = format!("publishing to `{written}` would overwrite the pipeline itself");
                problems.add(Diagnostic::new(Code::PublishInput, message).at(span, ""));
            }
            let glob = self.globs.iter().find(|(pattern, _)| matches(pattern, place));
            let read = nested(&self.read, place).map(|(_, span)| span).or(glob.map(|(_, span)| span));
            if let Some(read) = read {
                let message = format!("publishing to `{written}` would change an input");
                problems.add(
                    Diagnostic::new(Code::PublishInput, message)
                        .at(span, "published here")
                        .at(read, "read here")
                        .help("publish to a path that no step reads, for example in a folder `out`"),
                );
            }
        }
    }
}

/// An entry whose place is the same, inside or around this one.
fn nested<'a, T>(places: &'a BTreeMap<String, T>, place: &str) -> Option<(&'a String, &'a T)> {
    let around = place.match_indices('/').map(|(end, _)| &place[..end]).chain([place]);
    around.into_iter().find_map(|path| places.get_key_value(path)).or_else(|| {
        let inside = format!("{place}/");
        places.range(inside.clone()..).next().filter(|(path, _)| path.starts_with(&inside))
    })
}
