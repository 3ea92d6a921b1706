//! Looks up what `${…}` names, and tells what it cannot name and what was probably meant.

use std::collections::BTreeMap;

use crate::name::{AxisName, InputName, InvalidName, OutputName, StepName};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::params::Parameters;
use super::shell::Scanner;
use super::suggest;
use super::template::{Malformed, Name, Part, Piece, Reference, RunWord, Template, split};
use super::tree::{self, Node, Span};

/// The first word of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Params,
    Matrix,
    Inputs,
    Outputs,
    Run,
    Secrets,
    /// The name of a step.
    Steps,
}

/// Parameters and matrix values: what is known before anything runs.
pub(crate) const EARLY: &[Family] = &[Family::Params, Family::Matrix];
/// What a command may refer to.
pub(crate) const COMMAND: &[Family] =
    &[Family::Params, Family::Inputs, Family::Outputs, Family::Matrix, Family::Run];
/// What a variable of the process may refer to.
pub(crate) const VARIABLE: &[Family] =
    &[Family::Params, Family::Inputs, Family::Outputs, Family::Matrix, Family::Run, Family::Secrets];
/// What an input may refer to.
pub(crate) const SOURCE: &[Family] = &[Family::Params, Family::Matrix, Family::Steps];

const WORDS: [(&str, Family); 6] = [
    ("params", Family::Params),
    ("matrix", Family::Matrix),
    ("inputs", Family::Inputs),
    ("outputs", Family::Outputs),
    ("run", Family::Run),
    ("secrets", Family::Secrets),
];

/// The names in a step that references can name.
#[derive(Debug, Default)]
pub(crate) struct StepNames {
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) axes: Vec<String>,
    /// Whether it has outputs that nobody knows, since its built-in step is unknown: any name may be one then.
    pub(crate) any_output: bool,
    /// Whether `${run.…}` may be used: the step is not cached, or an effect.
    pub(crate) may_know_run: bool,
}

/// All names of a file.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    pub(crate) source: &'a str,
    /// Where its lines end; looked up for every step, so not counted each time.
    pub(crate) newlines: Vec<usize>,
    pub(crate) params: &'a Parameters,
    pub(crate) steps: BTreeMap<String, StepNames>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) names: &'a Names<'a>,
    pub(crate) step: &'a str,
    /// The field, for messages.
    pub(crate) field: &'static str,
    pub(crate) families: &'static [Family],
}

impl Scope<'_> {
    /// The text with its references looked up; none if one of them is wrong.
    pub(crate) fn template(&self, node: &Node, problems: &mut Problems) -> Option<Template> {
        let text = node.text()?;
        let (pieces, wrong) = split(text);
        wrong.iter().for_each(|wrong| problems.add(self.malformed(node, text, wrong)));
        let mut parts = Vec::with_capacity(pieces.len());
        let mut sound = wrong.is_empty();
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(Part::Text(text)),
                Piece::Reference { words, place } => {
                    let span = tree::inside(self.names.source, &node.span, text, &place);
                    match self.name(&words, &span) {
                        Ok(name) => parts.push(Part::Reference(Reference { span, name })),
                        Err(diagnostic) => {
                            problems.add(*diagnostic);
                            sound = false;
                        }
                    }
                }
            }
        }
        sound.then(|| Template { span: node.span.clone(), parts })
    }

    /// Like [`Scope::template`] for a command that a shell reads.
    pub(crate) fn command(&self, node: &Node, problems: &mut Problems) -> Option<Template> {
        let template = self.template(node, problems)?;
        let mut scanner = Scanner::new();
        let mut sound = true;
        for part in &template.parts {
            match part {
                Part::Text(text) => scanner.text(text),
                Part::Reference(reference) => {
                    if let Some(place) = scanner.reference() {
                        let (where_, help) = place.words();
                        let message = format!("a reference cannot stand {where_}");
                        let diagnostic = Diagnostic::new(Code::QuotedReference, message);
                        problems.add(diagnostic.at(&reference.span, where_).help(help));
                        sound = false;
                    }
                }
            }
        }
        sound.then_some(template)
    }

    fn malformed(&self, node: &Node, text: &str, wrong: &Malformed) -> Diagnostic {
        let (place, message) = match wrong {
            Malformed::Open(place) => (place, "this `${` is never closed"),
            Malformed::Content(place) => (place, "this is no reference"),
        };
        Diagnostic::new(Code::MalformedReference, message)
            .at(&tree::inside(self.names.source, &node.span, text, place), "")
            .help("references look like `${params.name}`; write `$${` for a literal `${`")
    }

    fn name(&self, words: &[String], span: &Span) -> Result<Name, Box<Diagnostic>> {
        let first = words.first().map_or("", String::as_str);
        let rest = words[1..].join(".");
        let family =
            WORDS.iter().find(|(word, _)| *word == first).map_or(Family::Steps, |(_, family)| *family);
        if family == Family::Steps && !self.names.steps.contains_key(first) {
            return Err(self.unknown_start(first, &rest, span));
        }
        if !self.families.contains(&family) {
            return Err(self.not_here(family, first, &rest, span));
        }
        if rest.is_empty() {
            let message = format!("`${{{first}}}` names no single thing");
            let help = format!("write `${{{first}.name}}`");
            return Err(Box::new(Diagnostic::new(Code::UnknownReference, message).at(span, "").help(help)));
        }
        self.member(family, first, &rest, span)
    }

    fn member(&self, family: Family, first: &str, rest: &str, span: &Span) -> Result<Name, Box<Diagnostic>> {
        let own = self.names.steps.get(self.step);
        let known = |list: fn(&StepNames) -> &Vec<String>| own.map_or(&[][..], |names| list(names));
        let unknown = |what: &str, help: Option<String>| {
            let message = format!("there is no {what} `{rest}`");
            Box::new(Diagnostic::new(Code::UnknownReference, message).at(span, "unknown").maybe_help(help))
        };
        let among = |names: &[String], what: &str, plural: &str| {
            if names.iter().any(|name| name == rest) {
                return Ok(());
            }
            let advice = suggest::advice(rest, plural, names.iter().map(String::as_str));
            Err(unknown(
                what,
                advice.or_else(|| names.is_empty().then(|| format!("no {plural} are declared"))),
            ))
        };
        let invalid =
            |error: InvalidName| Box::new(Diagnostic::new(Code::InvalidName, error.to_string()).at(span, ""));
        match family {
            Family::Params if self.names.params.values.contains_key(rest) => Ok(Name::Param(rest.to_owned())),
            Family::Params => Err(unknown("parameter", self.names.params.advice(rest))),
            Family::Matrix => {
                among(known(|names| &names.axes), "matrix axis", "axes")?;
                AxisName::new(rest).map(Name::Axis).map_err(invalid)
            }
            Family::Inputs => {
                among(known(|names| &names.inputs), "input", "inputs")?;
                InputName::new(rest).map(Name::Input).map_err(invalid)
            }
            Family::Outputs => {
                if !own.is_some_and(|names| names.any_output) {
                    among(known(|names| &names.outputs), "output", "outputs")?;
                }
                OutputName::new(rest).map(Name::Output).map_err(invalid)
            }
            Family::Run => self.run_word(rest, span),
            Family::Secrets if super::shape::is_variable(rest) => Ok(Name::Secret(rest.to_owned())),
            Family::Secrets => Err(unknown("secret", None)),
            Family::Steps => {
                let producer = self.names.steps.get(first);
                if let Some(producer) = producer.filter(|producer| !producer.any_output) {
                    among(&producer.outputs, &format!("output of `{first}` called"), "outputs")?;
                }
                match (StepName::new(first), OutputName::new(rest)) {
                    (Ok(step), Ok(output)) => Ok(Name::Artifact(step, output)),
                    (Err(error), _) | (_, Err(error)) => Err(invalid(error)),
                }
            }
        }
    }

    fn run_word(&self, word: &str, span: &Span) -> Result<Name, Box<Diagnostic>> {
        let found = match word {
            "id" => RunWord::Id,
            "commit" => RunWord::Commit,
            "time" => RunWord::Time,
            _ => {
                let help = suggest::advice(word, "words", ["id", "commit", "time"]);
                let diagnostic = Diagnostic::new(Code::UnknownReference, format!("a run has no `{word}`"));
                return Err(Box::new(diagnostic.at(span, "unknown").maybe_help(help)));
            }
        };
        if self.names.steps.get(self.step).is_some_and(|names| names.may_know_run) {
            return Ok(Name::Run(found));
        }
        let diagnostic = Diagnostic::new(
            Code::ReferenceNotHere,
            "a cached step cannot know its run: its results would differ in every run",
        );
        Err(Box::new(diagnostic.at(span, "").help("set `cache = false`, or `effect = true`")))
    }

    fn unknown_start(&self, first: &str, rest: &str, span: &Span) -> Box<Diagnostic> {
        let steps = self.names.steps.keys().map(String::as_str).filter(|_| !rest.is_empty());
        let words = WORDS.iter().map(|(word, _)| *word).filter(|_| !rest.is_empty());
        let help = match suggest::nearest(first, words.chain(steps)) {
            Some(near) => format!("did you mean `${{{near}.{rest}}}`?"),
            None if rest.is_empty() && self.names.params.values.contains_key(first) => {
                format!("parameters are written `${{params.{first}}}`")
            }
            None if rest.is_empty() => {
                format!("for a variable of the shell write `$${{{first}}}`")
            }
            None => "references begin with a step, `params`, `inputs`, `outputs` or `matrix`".to_owned(),
        };
        let what = if rest.is_empty() { "nothing is called" } else { "there is no step" };
        let diagnostic = Diagnostic::new(Code::UnknownReference, format!("{what} `{first}`"));
        Box::new(diagnostic.at(span, "unknown").help(help))
    }

    fn not_here(&self, family: Family, first: &str, rest: &str, span: &Span) -> Box<Diagnostic> {
        let message = format!("`{}` cannot refer to `{first}.{rest}`", self.field);
        let help = match family {
            Family::Steps if self.families.contains(&Family::Inputs) => {
                format!("add `inputs.{rest} = \"${{{first}.{rest}}}\"` and refer to `${{inputs.{rest}}}`")
            }
            Family::Secrets => {
                "secrets can only be named in `env`, so that they reach no command line".to_owned()
            }
            _ => {
                let words = WORDS.iter().filter(|(_, family)| self.families.contains(family));
                format!("it may refer to {}", suggest::list(words.map(|(word, _)| *word)))
            }
        };
        Box::new(Diagnostic::new(Code::ReferenceNotHere, message).at(span, "").help(help))
    }
}
