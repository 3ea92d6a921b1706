//! Changes in words: the short form that a plan, a run's journal and the first line of an explanation share.

use std::fmt;

use super::super::inputs::entry_origin;
use super::change::{Change, Difference, Fate, FileChange, Hidden, Part, WordChange};
use super::cosmetic::{LineEnding, Only};
use crate::Value;
use crate::spec;

/// The longest value that is shown in the short form, in characters.
const LONGEST_VALUE: usize = 40;

/// The first of some changes and how many more there are, in a few words; none if there is none.
pub(crate) fn summary(changes: &[Change]) -> Option<String> {
    let first = changes.first()?;
    Some(match changes.len() - 1 {
        0 => first.to_string(),
        more => format!("{first}, and {more} more"),
    })
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.difference {
            Difference::Value { old, new } => {
                f.write_str(&subject(self))?;
                f.write_str(&became(self.part, old.as_ref(), new.as_ref()))
            }
            Difference::Files { files, more, .. } => {
                write!(f, "{}", subject(self))?;
                match files.first() {
                    Some(first) => write!(f, ": {}", first.seen_from(&self.name))?,
                    None => f.write_str(" changed")?,
                }
                match (files.len() + more).saturating_sub(1) {
                    0 => Ok(()),
                    1 => f.write_str(", with 1 more file"),
                    more => write!(f, ", with {more} more files"),
                }
            }
            Difference::Words { words, .. } => {
                f.write_str("command changed")?;
                match words.first() {
                    Some(first) => write!(f, ": {first}")?,
                    None => f.write_str(" only in its spacing, quoting or comments")?,
                }
                match words.len().saturating_sub(1) {
                    0 => Ok(()),
                    1 => f.write_str(", with 1 more word"),
                    more => write!(f, ", with {more} more words"),
                }
            }
        }
    }
}

/// What changed, before any verb.
fn subject(change: &Change) -> String {
    let name = change.name.as_str();
    let with = |word: &str| match name {
        "" => word.to_owned(),
        name => format!("{word} {name}"),
    };
    match change.part {
        Part::Parameter => with("parameter"),
        Part::Input => with("input"),
        Part::Action => "what it does".to_owned(),
        Part::Command => "command".to_owned(),
        Part::With => format!("with.{name}"),
        Part::Interface => "interface version".to_owned(),
        Part::Variable => with("variable"),
        Part::Output => with("output"),
        Part::Fingerprint => "fingerprint".to_owned(),
        Part::Tool => with("tool"),
        Part::Python if name == "version" => "Python".to_owned(),
        Part::Python => with("Python"),
        Part::Package => with("Python package"),
        Part::Platform => with("platform:"),
        Part::Layout => "layout of recipes".to_owned(),
        Part::Other => with("recipe:"),
    }
}

/// What became of a value.
fn became(part: Part, old: Option<&Value>, new: Option<&Value>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        return if new.is_some() { " is new" } else { " is gone" }.to_owned();
    };
    let (old, new) = (shown(part, old), shown(part, new));
    let is_short = |text: &str| text.chars().count() <= LONGEST_VALUE && !text.contains(char::is_control);
    match (is_short(&old) && is_short(&new), part) {
        (false, _) => " changed".to_owned(),
        (true, Part::Package | Part::Python) => format!(" {old} → {new}"),
        (true, _) => format!(" changed: {old} → {new}"),
    }
}

/// A value as it is shown.
pub(super) fn shown(part: Part, value: &Value) -> String {
    match (part, value) {
        (Part::Variable, Value::Null) => "not set".to_owned(),
        (_, Value::Text(text)) if text.is_empty() => "\"\"".to_owned(),
        _ => spec::text(value),
    }
}

impl FileChange {
    /// The same with its path as people know it.
    fn seen_from(&self, input: &str) -> Self {
        let known = |path: &str| known_as(input, path);
        Self { path: known(&self.path), moved_from: self.moved_from.as_deref().map(known), ..self.clone() }
    }
}

/// How people know a place in the step's folder: without the folder that holds the artifacts of an input, and an entry of a
/// collection as the output that it is.
pub(super) fn known_as(input: &str, at: &str) -> String {
    let below = at.strip_prefix("inputs/").and_then(|rest| rest.strip_prefix(input)?.strip_prefix('/'));
    let Some(below) = below else { return at.to_owned() };
    entry_origin(below).unwrap_or_else(|| below.to_owned())
}

impl Change {
    /// A value of this change as people read it.
    #[must_use]
    pub fn shown(&self, value: &Value) -> String {
        shown(self.part, value)
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match (self.fate, self.only.as_slice(), &self.moved_from) {
            (Fate::New, ..) => f.write_str(" is new"),
            (Fate::Gone, ..) => f.write_str(" is gone"),
            (Fate::Moved, _, Some(from)) => write!(f, " was {from} before"),
            (Fate::Changed, [first, rest @ ..], _) => {
                write!(f, " differs only in {first}")?;
                rest.iter().try_for_each(|only| write!(f, " and in {only}"))
            }
            (Fate::Changed | Fate::Moved, ..) => f.write_str(" changed"),
        }
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = |now: bool| match now {
            true => "not there before, there now",
            false => "there before, not there now",
        };
        match self {
            Self::LineEndings { old, new } => write!(f, "its line endings ({old} before, {new} now)"),
            Self::ByteOrderMark { now: there } => write!(f, "its byte order mark ({})", now(*there)),
            Self::LastNewline { now: there } => write!(f, "its last newline ({})", now(*there)),
            Self::TrailingSpace => f.write_str("white space at the end of lines"),
            Self::ExecutableBit { now: true } => f.write_str("its executable bit (not set before, set now)"),
            Self::ExecutableBit { now: false } => f.write_str("its executable bit (set before, not set now)"),
        }
    }
}

impl fmt::Display for LineEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lf => "LF",
            Self::Crlf => "CRLF",
            Self::Cr => "CR",
            Self::Mixed => "mixed",
        })
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Large => "larger than what is compared line by line",
            Self::Binary => "not text",
            Self::NotKept => "what it was is not kept any more",
        })
    }
}

/// The word with the option before it: `--alpha 0.5 → 0.7`.
impl fmt::Display for WordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |word: &str| match word.chars().count() > LONGEST_VALUE {
            true => word.chars().take(LONGEST_VALUE - 1).chain(['…']).collect(),
            false => word.to_owned(),
        };
        if let Some(option) = self.before.as_ref().filter(|before| before.starts_with('-')) {
            write!(f, "{} ", cut(option))?;
        }
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{} → {}", cut(old), cut(new)),
            (None, Some(new)) => write!(f, "{} is new", cut(new)),
            (Some(old), None) => write!(f, "{} is gone", cut(old)),
            (None, None) => Ok(()),
        }
    }
}
