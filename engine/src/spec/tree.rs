//! The TOML of a file as a tree in which every key and value knows its place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::Value;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::{duplicate, syntax};

/// From byte to byte in the text of the file.
pub(crate) type Span = Range<usize>;

/// Deeper values are refused: they could not be read back from a recipe.
const DEEPEST: usize = 32;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A member of a table, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub(crate) fn bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The whole number, if it is one and not negative.
    pub(crate) fn count(&self) -> Option<u32> {
        match self.kind {
            Kind::Int(number) => u32::try_from(number).ok(),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The members of a table; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The member of a table.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == name)
    }

    /// The value of a member of a table.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// What it is, for people.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Text(_) => "a text",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Bool(_) => "true or false",
            Kind::Date(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The value without places; dates become text.
    pub(crate) fn value(&self) -> Value {
        match &self.kind {
            Kind::Text(text) | Kind::Date(text) => Value::text(text),
            Kind::Int(number) => Value::Int(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Kind::Table(entries) => {
                Value::map(entries.iter().map(|entry| (entry.key.as_str(), entry.value.value())))
            }
        }
    }
}

/// The tree of a TOML document; none if its syntax is wrong. Of a name that stands twice, the first place counts.
pub(crate) fn document(text: &str, problems: &mut Problems) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let span = table.span();
    let mut wrong = Problems::default();
    let tree = Node { span, kind: table_kind(table.into_inner(), 0, &mut wrong) };
    // A table that stands twice repeats all its keys: only its header is told.
    let mut twice: Option<usize> = None;
    let mut wrong_syntax = Vec::new();
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let repeated =
            error.message() == "duplicate key" || error.message().starts_with("cannot extend value");
        let header = text[..span.start].rsplit('\n').next().is_some_and(|line| line.starts_with('['));
        if repeated && twice.is_some_and(|header| !text[header..span.start].contains("\n[")) {
            continue;
        }
        twice = (repeated && header).then_some(span.start);
        if repeated {
            problems.add(duplicate::diagnostic(text, &span, &tree));
            continue;
        }
        wrong_syntax.push((error.message(), span));
    }
    if !wrong_syntax.is_empty() {
        syntax::tell(text, &wrong_syntax, problems);
        return None;
    }
    problems.append(wrong);
    Some(tree)
}

/// The tree of one TOML value, as `--set` takes it; none if the text is not exactly one.
pub(crate) fn single_value(text: &str) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut problems = Problems::default();
    let node = node(value.span(), value.into_inner(), 0, &mut problems);
    problems.is_empty().then_some(node)
}

fn node(span: Span, value: DeValue<'_>, depth: usize, problems: &mut Problems) -> Node {
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Boolean(truth) => Kind::Bool(truth),
        DeValue::Datetime(date) => Kind::Date(date.to_string()),
        DeValue::Integer(number) => {
            Kind::Int(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                let message = format!("the number `{number}` does not fit into 64 bits");
                problems.add(Diagnostic::new(Code::Number, message).at(&span, ""));
                0
            }))
        }
        DeValue::Float(number) => Kind::Float(match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => {
                let message = format!("`{number}` is not a finite number");
                problems.add(Diagnostic::new(Code::Number, message).at(&span, ""));
                0.0
            }
        }),
        DeValue::Array(_) | DeValue::Table(_) if depth >= DEEPEST => {
            problems.add(Diagnostic::new(Code::TooDeep, "this is nested too deeply").at(&span, ""));
            Kind::Bool(false)
        }
        DeValue::Array(items) => Kind::List(
            items.into_iter().map(|item| node(item.span(), item.into_inner(), depth + 1, problems)).collect(),
        ),
        DeValue::Table(table) => table_kind(table, depth, problems),
    };
    Node { span, kind }
}

fn table_kind(table: DeTable<'_>, depth: usize, problems: &mut Problems) -> Kind {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            value: node(value.span(), value.into_inner(), depth + 1, problems),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Kind::Table(entries)
}

/// The place in the file of a part of a text value, however the text is quoted there.
pub(crate) fn inside(source: &str, node: &Span, text: &str, part: &Range<usize>) -> Span {
    let (Some(raw), Some(needle)) = (source.get(node.clone()), text.get(part.clone())) else {
        return node.clone();
    };
    let before = text[..part.start].matches(needle).count();
    let found = raw.match_indices(needle).nth(before).map(|(at, _)| node.start + at);
    match found {
        Some(start) if !needle.is_empty() => start..start + needle.len(),
        _ => node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_places_and_the_order_of_the_file() {
        let text = "[b]\nx = 1\n[a]\ny = 2026-11-20\nz.w = [1.5, \"s\"]\n";
        let mut problems = Problems::default();
        let tree = document(text, &mut problems).unwrap();
        assert!(problems.is_empty());
        let names: Vec<&str> = tree.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let date = tree.get("a").and_then(|a| a.get("y")).unwrap();
        assert_eq!((date.value(), &text[date.span.clone()]), (Value::text("2026-11-20"), "2026-11-20"));
        assert_eq!(&text[tree.entry("a").unwrap().key_span.clone()], "a");
    }

    #[test]
    fn a_part_of_a_text_is_found_behind_quotes_and_escapes() {
        let source = r#"run = "echo \"x\" ${a.b} ${a.b}""#;
        let text = "echo \"x\" ${a.b} ${a.b}";
        let second = text.rfind("${").unwrap()..text.len();
        let span = inside(source, &(6..source.len()), text, &second);
        assert_eq!(&source[span.clone()], "${a.b}");
        assert_eq!(span.end, source.len() - 1);
    }

    #[test]
    fn numbers_that_no_key_can_hold_are_refused() {
        let mut problems = Problems::default();
        document("a = 99999999999999999999\nb = nan\nc = inf\n", &mut problems).unwrap();
        assert_eq!(problems.into_diagnostics("", "").items.len(), 3);
    }

    #[test]
    fn depth_is_limited() {
        let text = format!("a = {}1{}", "[".repeat(60), "]".repeat(60));
        let mut problems = Problems::default();
        document(&text, &mut problems);
        assert_eq!(problems.into_diagnostics("", "").items.len(), 1);
    }
}
