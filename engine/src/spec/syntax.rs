//! What is no TOML, in words for someone who does not know TOML by heart.

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::tree::Span;

/// Tells what is wrong: the parser's messages with their places.
pub(super) fn tell(text: &str, wrong: &[(&str, Span)], problems: &mut Problems) {
    // One line that reads like YAML says what the others would.
    if let Some((key, span)) = wrong.iter().find_map(|(_, span)| yaml_key(text, span)) {
        let diagnostic = Diagnostic::new(Code::Syntax, "this reads like YAML, and pipelines are TOML");
        let diagnostic = diagnostic.at(&span, "a key of YAML");
        problems.add(diagnostic.help(format!("a table is `[{key}]`, a value is `{key} = \"text\"`")));
        return;
    }
    for (message, span) in wrong {
        problems.add(one(text, message, span));
    }
}

fn one(text: &str, message: &str, span: &Span) -> Diagnostic {
    let told =
        |message: &str, span: &Span, label: &str| Diagnostic::new(Code::Syntax, message).at(span, label);
    let line = line_of(text, span);
    if message.starts_with("unclosed table") {
        let header = line.split('#').next().unwrap_or_default().trim();
        return told("the header of a table does not end", span, "`]` is missing")
            .help(format!("write `{header}]`"));
    }
    if message.starts_with("invalid multi-line") {
        let quotes = if message.contains("basic") { "\"\"\"" } else { "'''" };
        let end = span.start.min(text.len());
        let start = text[..end].rfind(quotes).unwrap_or(end);
        let span = start..start + quotes.len().min(text.len() - start);
        return told("a text in triple quotes does not end", &span, "it begins here")
            .help(format!("put {quotes} after its last line"));
    }
    if message.starts_with("invalid basic string, expected `\"`")
        || message.starts_with("invalid literal string, expected `'`")
    {
        return told("a text does not end on its line", span, "the closing quote is missing")
            .help("close it, or put a text of several lines into triple quotes");
    }
    if message.starts_with("string values must be quoted") {
        return told("a text stands without quotes", span, "put quotes around this")
            .help("for example `name = \"value\"`");
    }
    if message.starts_with("key with no value") {
        return told("a name has no value", span, "`=` is missing").help("write `name = value`");
    }
    told(message, span, "the syntax is wrong here")
}

fn line_of<'a>(text: &'a str, span: &Span) -> &'a str {
    let start = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// The key of a line such as `name: value`, with its place.
fn yaml_key<'a>(text: &'a str, span: &Span) -> Option<(&'a str, Span)> {
    let line = line_of(text, span);
    let (key, rest) = line.split_once(':')?;
    let (indent, key) = (key.len() - key.trim_start().len(), key.trim());
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let start = text[..span.start].rfind('\n').map_or(0, |end| end + 1) + indent;
    (is_key && (rest.is_empty() || rest.starts_with(' '))).then(|| (key, start..start + key.len() + 1))
}
