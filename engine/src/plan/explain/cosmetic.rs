//! Differences of two texts that most people do not see: line endings, a byte order mark, white space at the end.

use serde::Serialize;

/// Something that is different in two files whose text is the same otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Only {
    /// How lines end.
    LineEndings {
        /// Before.
        old: LineEnding,
        /// Now.
        new: LineEnding,
    },
    /// The byte order mark at the beginning.
    ByteOrderMark {
        /// Whether it is there now.
        now: bool,
    },
    /// The end of the last line.
    LastNewline {
        /// Whether it is there now.
        now: bool,
    },
    /// White space at the end of lines or of the file.
    TrailingSpace,
    /// The executable bit.
    ExecutableBit {
        /// Whether it is set now.
        now: bool,
    },
}

/// How the lines of a text end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnding {
    /// `\n`.
    Lf,
    /// `\r\n`.
    Crlf,
    /// `\r`.
    Cr,
    /// Some so, some otherwise.
    Mixed,
}

const MARK: char = '\u{feff}';

/// What alone is different in two different texts; nothing if a word is.
pub(super) fn only(old: &str, new: &str) -> Vec<Only> {
    let (old_mark, new_mark) = (old.starts_with(MARK), new.starts_with(MARK));
    let (old, new) = (old.trim_start_matches(MARK), new.trim_start_matches(MARK));
    let (old_lines, new_lines) = (unified(old), unified(new));
    let mut only = Vec::new();
    if old_mark != new_mark {
        only.push(Only::ByteOrderMark { now: new_mark });
    }
    let endings = (ending(old), ending(new));
    if let (Some(old), Some(new)) = endings
        && old != new
    {
        only.push(Only::LineEndings { old, new });
    }
    if old_lines != new_lines {
        let end = |text: &str| text.trim_end_matches('\n').len();
        if old_lines[..end(&old_lines)] == new_lines[..end(&new_lines)]
            && old_lines.len().abs_diff(new_lines.len()) == 1
        {
            only.push(Only::LastNewline { now: new_lines.len() > old_lines.len() });
        } else if trimmed(&old_lines) == trimmed(&new_lines) {
            only.push(Only::TrailingSpace);
        } else {
            return Vec::new();
        }
    }
    if let (true, (Some(old), Some(new))) = (only.is_empty(), endings) {
        only.push(Only::LineEndings { old, new });
    }
    only
}

/// The text with all line ends as `\n`.
fn unified(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The lines without white space at their ends, and without empty ones at the end.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn ending(text: &str) -> Option<LineEnding> {
    let crlf = text.matches("\r\n").count();
    let lf = text.matches('\n').count() - crlf;
    let cr = text.matches('\r').count() - crlf;
    match (lf, crlf, cr) {
        (0, 0, 0) => None,
        (_, 0, 0) => Some(LineEnding::Lf),
        (0, _, 0) => Some(LineEnding::Crlf),
        (0, 0, _) => Some(LineEnding::Cr),
        _ => Some(LineEnding::Mixed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDINGS: Only = Only::LineEndings { old: LineEnding::Lf, new: LineEnding::Crlf };

    #[test]
    fn what_is_not_seen_is_named() {
        assert_eq!(only("a\nb\n", "a\r\nb\r\n"), [ENDINGS]);
        assert_eq!(only("a\nb\n", "\u{feff}a\r\nb\r\n"), [Only::ByteOrderMark { now: true }, ENDINGS]);
        assert_eq!(only("a\nb", "a\nb\n"), [Only::LastNewline { now: true }]);
        assert_eq!(only("a\n", "a"), [Only::LastNewline { now: false }]);
        assert_eq!(only("a\nb\n", "a \nb\n"), [Only::TrailingSpace]);
        assert_eq!(only("a\nb\n", "a\nb\n\n\n"), [Only::TrailingSpace]);
        let mixed = LineEnding::Mixed;
        assert_eq!(only("a\r\nb\nc", "a\nb\r\nc"), [Only::LineEndings { old: mixed, new: mixed }]);
        assert_eq!(only("a\rb\r", "a\nb\n").len(), 1);
    }

    #[test]
    fn a_word_is_more_than_that() {
        assert_eq!(only("a\nb\n", "a\r\nc\r\n"), []);
        assert_eq!(only("a b", "a  b"), []);
        assert_eq!(only("  a", "a"), [], "at the beginning of a line it counts in Python");
    }

    proptest! {
        #[test]
        fn what_is_unseen_never_hides_a_word(
            old in "\u{feff}?([ab ]\r?\n?){0,6}", new in "\u{feff}?([ab ]\r?\n?){0,6}"
        ) {
            let bare = |text: &str| {
                let text = text.trim_start_matches(MARK).replace("\r\n", "\n").replace('\r', "\n");
                let lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
                lines.join("\n").trim_end().to_owned()
            };
            if old != new {
                prop_assert_eq!(only(&old, &new).is_empty(), bare(&old) != bare(&new));
            }
        }
    }
}
