//! Why a step runs, in a few words: its recipe against the recipe of its last run.

use std::collections::BTreeMap;

use tidemill_cache::Document;

/// The parts of a recipe, the most telling first, with the words for a change.
const PARTS: [(&str, &str); 9] = [
    ("params", "parameter"),
    ("inputs", "input"),
    ("command", "command"),
    ("env", "variable"),
    ("outputs", "output"),
    ("fingerprint", "fingerprint"),
    ("tools", "tool"),
    ("python", "Python"),
    ("platform", "platform"),
];

/// What differs between two recipes; none if nothing does.
#[must_use]
pub(crate) fn difference(old: &Document, new: &Document) -> Option<String> {
    // A parameter that changed most often changed the command, and says more than that.
    let parameters_differ = old.get("params") != new.get("params");
    let telling = PARTS.iter().filter(|(part, _)| !(parameters_differ && *part == "command"));
    let mut changes = telling.filter_map(|(part, word)| change(part, word, old.get(part)?, new.get(part)?));
    let first = changes.next()?;
    Some(match changes.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    })
}

fn change(part: &str, word: &str, old: &Document, new: &Document) -> Option<String> {
    if old == new {
        return None;
    }
    match (part, old, new) {
        ("command" | "fingerprint" | "python" | "platform", ..) => Some(format!("{word} changed")),
        ("params", Document::Map(old), Document::Map(new)) => Some(member(word, old, new, true)),
        (_, Document::Map(old), Document::Map(new)) => Some(member(word, old, new, false)),
        _ => Some(format!("{word} changed")),
    }
}

/// The longest value that is shown.
const LONGEST_VALUE: usize = 24;

fn member(
    word: &str,
    old: &BTreeMap<String, Document>,
    new: &BTreeMap<String, Document>,
    show_values: bool,
) -> String {
    let changed: Vec<&String> = new.keys().filter(|name| old.get(*name) != new.get(*name)).collect();
    let gone: Vec<&String> = old.keys().filter(|name| !new.contains_key(*name)).collect();
    let more = match changed.len() + gone.len() {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    match (changed.first(), gone.first()) {
        (Some(name), _) => match (old.get(*name), new.get(*name)) {
            (Some(before), Some(after)) if show_values => {
                let (before, after) = (before.to_string(), after.to_string());
                match before.chars().count().max(after.chars().count()) <= LONGEST_VALUE {
                    true => format!("{word} {name} changed: {before} → {after}{more}"),
                    false => format!("{word} {name} changed{more}"),
                }
            }
            (Some(_), Some(_)) => format!("{word} {name} changed{more}"),
            _ => format!("{word} {name} is new{more}"),
        },
        (None, Some(name)) => format!("{word} {name} is gone{more}"),
        (None, None) => format!("{word} changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(alpha: f64, data: &str) -> Document {
        Document::map([
            ("params", Document::map([("train.alpha", Document::Float(alpha))])),
            ("inputs", Document::map([("data", Document::text(data))])),
            ("command", Document::text("python train.py")),
        ])
    }

    #[test]
    fn a_parameter_is_named_with_its_values() {
        let reason = difference(&recipe(0.5, "a"), &recipe(1.0, "a"));
        assert_eq!(reason.as_deref(), Some("parameter train.alpha changed: 0.5 → 1.0"));
    }

    #[test]
    fn several_changes_are_counted() {
        let reason = difference(&recipe(0.5, "a"), &recipe(1.0, "b"));
        assert_eq!(reason.as_deref(), Some("parameter train.alpha changed: 0.5 → 1.0, and 1 more"));
        assert_eq!(difference(&recipe(0.5, "a"), &recipe(0.5, "b")).as_deref(), Some("input data changed"));
        assert_eq!(difference(&recipe(0.5, "a"), &recipe(0.5, "a")), None);
    }
}
