//! Holds a tree against the language: unknown and missing fields, wrong types, names that are none.

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::field::{Field, Naming, RESERVED, Shape};
use super::suggest;
use super::tree::{Entry, Kind, Node, Span};
use crate::name::StepName;

/// Tells everything in this table that the language does not know.
pub(crate) fn check(node: &Node, fields: &'static [Field], owner: &Entry, problems: &mut Problems) {
    for entry in node.entries() {
        match fields.iter().find(|field| field.name == entry.key) {
            Some(field) => check_value(entry, &entry.value, &field.shape, field.example, problems),
            None => problems.add(unknown(entry, fields, owner)),
        }
    }
    for field in fields.iter().filter(|field| field.required && node.entry(field.name).is_none()) {
        let message = match owner.key.as_str() {
            "" => format!("the file has no `{}`", field.name),
            owner => format!("`{owner}` has no `{}`", field.name),
        };
        let diagnostic = Diagnostic::new(Code::MissingField, message);
        let help = format!("add {}", quoted(field.example));
        problems.add(diagnostic.at(&owner.key_span, format!("`{}` is missing", field.name)).help(help));
    }
}

fn unknown(entry: &Entry, fields: &'static [Field], owner: &Entry) -> Diagnostic {
    let place = match owner.key.as_str() {
        "" => "at the top of a pipeline file".to_owned(),
        owner => format!("in `{owner}`"),
    };
    let message = format!("there is no field `{}` {place}", entry.key);
    let names = fields.iter().map(|field| field.name);
    let is_step = owner.key.is_empty() && ["run", "uses"].iter().any(|name| entry.value.get(name).is_some());
    let help = match is_step {
        true => Some(format!("steps are tables below `steps`: write `[steps.{}]`", entry.key)),
        false => suggest::advice(&entry.key, "fields", names),
    };
    Diagnostic::new(Code::UnknownField, message).at(&entry.key_span, "unknown field").maybe_help(help)
}

fn check_value(owner: &Entry, node: &Node, shape: &'static Shape, example: &str, problems: &mut Problems) {
    match (shape, &node.kind) {
        (Shape::OneOf(shapes), _) => match shapes.iter().find(|shape| fits(node, shape)) {
            Some(shape) => check_value(owner, node, shape, example, problems),
            None => problems.add(wrong_type(owner, node, shape, example)),
        },
        (Shape::Count, Kind::Int(number)) if *number > i64::from(u32::MAX) => {
            let message = format!("`{}` is larger than {}", owner.key, u32::MAX);
            let help = format!("for example {}", quoted(example));
            problems.add(Diagnostic::new(Code::Number, message).at(&node.span, "").help(help));
        }
        (shape, _) if !fits(node, shape) => problems.add(wrong_type(owner, node, shape, example)),
        (Shape::List(item), _) => {
            node.items().iter().for_each(|node| check_value(owner, node, item, example, problems));
        }
        (Shape::Table(fields), _) => check(node, fields, owner, problems),
        (Shape::Map(naming, value), _) => {
            for entry in node.entries() {
                check_name(entry, *naming, problems);
                check_value(entry, &entry.value, value, example, problems);
            }
        }
        (Shape::Word(words), Kind::Text(text)) if !words.contains(&text.as_str()) => {
            let message = format!("`{}` cannot be `{text}`", owner.key);
            let help = suggest::advice(text, "words", words.iter().copied());
            problems.add(Diagnostic::new(Code::UnknownWord, message).at(&node.span, "").maybe_help(help));
        }
        (Shape::Duration, Kind::Text(text)) if humantime::parse_duration(text).is_err() => {
            problems.add(unreadable(owner, &node.span, "a time", "`90 s`, `2 h`, `1 day`"));
        }
        (Shape::Size, Kind::Text(text)) if text.parse::<bytesize::ByteSize>().is_err() => {
            problems.add(unreadable(owner, &node.span, "a size", "`512 MiB`, `16 GiB`"));
        }
        _ => {}
    }
}

fn unreadable(owner: &Entry, span: &Span, noun: &str, examples: &str) -> Diagnostic {
    Diagnostic::new(Code::Unreadable, format!("`{}` is not {noun}", owner.key))
        .at(span, format!("not {noun}"))
        .help(format!("write a number and its unit: {examples}"))
}

/// Whether a value is what TOML calls a shape, whatever is in it.
fn fits(node: &Node, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Text | Shape::Duration | Shape::Size | Shape::Word(_) => matches!(node.kind, Kind::Text(_)),
        Shape::Count => matches!(node.kind, Kind::Int(number) if u32::try_from(number).is_ok()),
        Shape::Truth => matches!(node.kind, Kind::Bool(_)),
        Shape::Scalar => !matches!(node.kind, Kind::List(_) | Kind::Table(_)),
        Shape::List(_) => matches!(node.kind, Kind::List(_)),
        Shape::Table(_) | Shape::Map(..) => matches!(node.kind, Kind::Table(_)),
        Shape::OneOf(shapes) => shapes.iter().any(|shape| fits(node, shape)),
    }
}

fn wrong_type(owner: &Entry, node: &Node, shape: &Shape, example: &str) -> Diagnostic {
    let given = match node.kind {
        Kind::Int(number) if number < 0 => "a negative number",
        _ => node.noun(),
    };
    let message = format!("`{}` must be {}, not {given}", owner.key, noun(shape));
    Diagnostic::new(Code::WrongType, message)
        .at(&node.span, format!("this is {given}"))
        .help(format!("for example {}", quoted(example)))
}

fn quoted(example: &str) -> String {
    format!("`{}`", example.replace('\n', " ↵ "))
}

fn noun(shape: &Shape) -> String {
    match shape {
        Shape::Text => "a text".to_owned(),
        Shape::Count => "a whole number from 0".to_owned(),
        Shape::Truth => "true or false".to_owned(),
        Shape::Duration => "a time such as \"2 h\"".to_owned(),
        Shape::Size => "a size such as \"16 GiB\"".to_owned(),
        Shape::Word(words) => format!("one of {}", suggest::list(words.iter().copied())),
        Shape::Scalar => "a text, a number, or true or false".to_owned(),
        Shape::Any => "a value".to_owned(),
        Shape::List(Shape::Text) => "a list of texts".to_owned(),
        Shape::List(Shape::Table(_)) => "a list of tables".to_owned(),
        Shape::List(_) => "a list of plain values".to_owned(),
        Shape::Table(_) | Shape::Map(..) => "a table".to_owned(),
        Shape::OneOf(shapes) => {
            let nouns: Vec<String> = shapes.iter().map(noun).collect();
            nouns.join(" or ")
        }
    }
}

fn check_name(entry: &Entry, naming: Naming, problems: &mut Problems) {
    let problem = match naming {
        Naming::Free => None,
        Naming::Plain => StepName::new(&entry.key).err().map(|error| error.to_string()),
        Naming::Step if RESERVED.contains(&entry.key.as_str()) => {
            Some(format!("`{}` cannot name a step: references use this word", entry.key))
        }
        Naming::Step => StepName::new(&entry.key).err().map(|error| error.to_string()),
        Naming::Variable => (!is_variable(&entry.key))
            .then(|| format!("{:?} is no name for a variable: use letters, digits and `_`", entry.key)),
        Naming::Parameter => (!is_parameter(&entry.key))
            .then(|| format!("{:?} is no name for a parameter: use letters, digits, `-` and `_`", entry.key)),
    };
    if let Some(message) = problem {
        let plain =
            matches!(naming, Naming::Plain | Naming::Step).then(|| suggest::plain(&entry.key)).flatten();
        let help = plain.map(|plain| format!("for example `{plain}`"));
        problems.add(Diagnostic::new(Code::InvalidName, message).at(&entry.key_span, "").maybe_help(help));
    }
}

/// Whether a text can name an environment variable.
pub(crate) fn is_variable(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(part) && text.starts_with(|first: char| !first.is_ascii_digit())
}

/// Whether a text can be a part of a parameter's name.
pub(crate) fn is_parameter(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_words_for_times_and_sizes_are_understood() {
        for time in ["2 h", "90 s", "1 day", "30s", "2h 30m"] {
            assert!(humantime::parse_duration(time).is_ok(), "{time}");
        }
        let size = |text: &str| text.parse::<bytesize::ByteSize>().map(|size| size.as_u64());
        assert_eq!(size("16 GiB"), Ok(16 << 30));
        assert_eq!(size("512MiB"), Ok(512 << 20));
    }
}
