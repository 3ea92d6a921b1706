//! What is wrong with a pipeline file, as data: code, message, marked places, help. Drawn by whoever shows it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::LabeledSpan;
use serde::Serialize;

use super::code::Code;
use super::source::Source;

/// All mistakes of one pipeline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// The file, as it is shown.
    pub source_name: String,
    /// Its text, which the spans point into.
    #[serde(skip)]
    pub source_text: String,
    /// The mistakes, sorted by place.
    pub items: Vec<Diagnostic>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Which rule is broken.
    pub code: Code,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The places, the main one first.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

/// A marked place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// From byte to byte in the text of the file.
    pub span: Range<usize>,
    /// What is to be said about it; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A mistake without a place yet.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: Vec::new(), help: None }
    }

    /// With a marked place.
    #[must_use]
    pub fn at(mut self, span: &Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { span: span.clone(), text: text.into() });
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With advice, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    fn span(&self) -> Option<&Range<usize>> {
        self.labels.first().map(|label| &label.span)
    }

    fn place(&self) -> usize {
        self.span().map_or(0, |span| span.start)
    }
}

impl Diagnostics {
    /// The mistakes as reports that miette can draw, each with the source.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let source = Arc::new(Source::new(&self.source_name, &self.source_text));
        let report =
            |diagnostic: &Diagnostic| Report { diagnostic: diagnostic.clone(), source: Arc::clone(&source) };
        self.items.iter().map(report).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.items.as_slice() {
            [one] => write!(f, "{}: {}", self.source_name, one.message),
            items => write!(f, "{}: {} mistakes", self.source_name, items.len()),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// More mistakes than these are not told: a wide matrix can repeat one many times in other words.
const MOST: usize = 1000;

/// Collects mistakes while a file is read, so that all of them are told at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Diagnostic>);

impl Problems {
    /// Takes a mistake; one that was told already (of another matrix combination, say) is not told twice.
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        let told = |other: &Diagnostic| {
            // What follows from a wrong type at the very same place needs no words.
            other.code == Code::WrongType && !other.labels.is_empty() && other.span() == diagnostic.span()
        };
        if self.0.len() < MOST && !self.0.contains(&diagnostic) && !self.0.iter().any(told) {
            self.0.push(diagnostic);
        }
    }

    /// Takes all mistakes that were collected elsewhere.
    pub(crate) fn append(&mut self, other: Self) {
        other.0.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, sorted by place.
    pub(crate) fn into_diagnostics(mut self, source_name: &str, source_text: &str) -> Diagnostics {
        self.0.sort_by_key(Diagnostic::place);
        Diagnostics {
            source_name: source_name.to_owned(),
            source_text: source_text.to_owned(),
            items: self.0,
        }
    }
}

/// One mistake with the text that it is about, for miette.
#[derive(Debug, Clone)]
pub struct Report {
    diagnostic: Diagnostic,
    source: Arc<Source>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (!self.diagnostic.labels.is_empty()).then_some(&*self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let mut first = true;
        let spans = self.diagnostic.labels.iter().map(move |label| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            if std::mem::take(&mut first) {
                LabeledSpan::new_primary_with_span(text, label.span.clone())
            } else {
                LabeledSpan::new_with_span(text, label.span.clone())
            }
        });
        Some(Box::new(spans))
    }
}
