//! Names that stand twice in a table, told with both places.

use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::Diagnostic;
use super::tree::{Node, Span};

/// A name that stands twice, with both places where the first one can be told.
pub(super) fn diagnostic(text: &str, span: &Span, tree: &Node) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::Duplicate, format!("`{}` stands twice", &text[span.clone()]));
    let diagnostic = match first_place(text, span, tree) {
        Some(first) => diagnostic.at(span, "again here").at(&first, "first here"),
        None => diagnostic.at(span, "again here"),
    };
    diagnostic.help("a name can stand once in a table: keep one of them")
}

/// Where the key that is repeated at this place stands for the first time.
fn first_place(text: &str, span: &Span, tree: &Node) -> Option<Span> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let line = &text[line_start..span.end];
    if line.starts_with('[') {
        return first_header(&text[..line_start], line);
    }
    let header = text[..line_start].lines().rev().find(|line| line.starts_with('['));
    let path = header.map_or(Some(Vec::new()), header_path)?.into_iter().chain(dotted(line)?);
    let mut here = tree;
    let mut found = None;
    for part in path {
        let entry = here.entry(&part)?;
        found = Some(entry.key_span.clone());
        here = &entry.value;
    }
    found.filter(|first| first.start < span.start)
}

/// Where the same header stands before.
fn first_header(before: &str, line: &str) -> Option<Span> {
    let wanted = header_path(line)?;
    let mut start = 0;
    for earlier in before.split_inclusive('\n') {
        if earlier.starts_with('[') && header_path(earlier).as_ref() == Some(&wanted) {
            let end = earlier.find(']')?;
            let last = earlier[..end].rfind(['.', '[']).map_or(0, |at| at + 1);
            return Some(start + last..start + end);
        }
        start += earlier.len();
    }
    None
}

/// The parts of a header such as `[steps.train]`.
fn header_path(line: &str) -> Option<Vec<String>> {
    dotted(line.trim_start_matches('[').split(']').next().unwrap_or_default())
}

/// The parts of a dotted key; none if it is something else, such as the inside of an inline table.
fn dotted(key: &str) -> Option<Vec<String>> {
    let key = key.trim();
    if key.is_empty() {
        return Some(Vec::new());
    }
    let line = format!("{key} = 0");
    let mut table = DeTable::parse(&line).ok()?.into_inner();
    let mut parts = Vec::new();
    loop {
        let (part, value) = table.into_iter().next()?;
        parts.push(part.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(parts),
        }
    }
}
