//! Texts with references in them: `--alpha ${params.alpha}`; `$${` is a literal `${`.

use std::ops::Range;

use crate::name::{AxisName, InputName, OutputName, StepName};

use super::tree::Span;

/// A text with its references, each known to name something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    pub(crate) span: Span,
    pub(crate) parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Reference(Reference),
}

/// A reference and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference {
    pub(crate) span: Span,
    pub(crate) name: Name,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Param(String),
    Input(InputName),
    Output(OutputName),
    Axis(AxisName),
    Run(RunWord),
    Secret(String),
    Artifact(StepName, OutputName),
}

/// What `${run.…}` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunWord {
    Id,
    Commit,
    Time,
}

impl Template {
    /// A text without references.
    pub(crate) fn plain(text: &str, span: &Span) -> Self {
        Self { span: span.clone(), parts: vec![Part::Text(text.to_owned())] }
    }

    /// The reference, if the text is exactly one.
    pub(crate) fn only(&self) -> Option<&Reference> {
        match self.parts.as_slice() {
            [Part::Reference(reference)] => Some(reference),
            _ => None,
        }
    }

    /// All references in it.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }
}

/// A part of a text before its references are looked up; places are bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Reference { words: Vec<String>, place: Range<usize> },
}

/// Text that only looks like a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// `${` without `}`.
    Open(Range<usize>),
    /// Something else than dotted names between the braces.
    Content(Range<usize>),
}

/// The pieces of a text, and the places that are wrong in it.
pub(crate) fn split(text: &str) -> (Vec<Piece>, Vec<Malformed>) {
    let mut pieces = Vec::new();
    let mut wrong = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        literal.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let at = text.len() - rest.len();
        if let Some(after) = rest.strip_prefix("$${") {
            literal.push_str("${");
            rest = after;
        } else if let Some(inner) = rest.strip_prefix("${") {
            // The next reference may begin before this one was closed.
            let closed = inner.find('}').filter(|end| !inner[..*end].contains("${"));
            let Some(end) = closed else {
                let end = inner.find("${").unwrap_or(inner.len());
                wrong.push(Malformed::Open(at..at + 2 + end));
                rest = &inner[end..];
                continue;
            };
            let place = at..at + end + 3;
            match words(&inner[..end]) {
                Some(words) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Reference { words, place });
                }
                None => wrong.push(Malformed::Content(place)),
            }
            rest = &inner[end + 1..];
        } else {
            literal.push('$');
            rest = &rest[1..];
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    (pieces, wrong)
}

fn words(inner: &str) -> Option<Vec<String>> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let words: Vec<String> = inner.trim().split('.').map(str::to_owned).collect();
    words.iter().all(|word| !word.is_empty() && word.chars().all(part)).then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(words: &[&str], place: Range<usize>) -> Piece {
        Piece::Reference { words: words.iter().map(|word| (*word).to_owned()).collect(), place }
    }

    #[test]
    fn references_stand_between_texts() {
        let pieces = split("a ${params.x.y}$ ${ run.id }").0;
        let expected = [
            Piece::Text("a ".into()),
            reference(&["params", "x", "y"], 2..15),
            Piece::Text("$ ".into()),
            reference(&["run", "id"], 17..28),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(split("$$ $${HOME}").0, [Piece::Text("$$ ${HOME}".into())]);
        assert_eq!(split("").0, [Piece::Text(String::new())]);
    }

    #[test]
    fn what_only_looks_like_a_reference_is_wrong() {
        assert_eq!(split("a ${b").1, [Malformed::Open(2..5)]);
        assert_eq!(split("${b ${c.d}").1, [Malformed::Open(0..4)]);
        assert_eq!(split("${a b} ${}").1, [Malformed::Content(0..6), Malformed::Content(7..10)]);
    }

    proptest! {
        #[test]
        fn an_escaped_text_comes_back(text in "[a${}. ]{0,40}|\\PC{0,40}") {
            let escaped = text.replace("${", "$${");
            prop_assert_eq!(split(&escaped), (vec![Piece::Text(text)], vec![]));
        }
    }
}
