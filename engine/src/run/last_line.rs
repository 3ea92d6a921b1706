//! The last line of a log that grows, read from its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;

/// How much of the end of a log is read, in bytes: a progress bar is a few hundred, most lines are less.
const END: u64 = 8 * 1024;
/// How much of one line is told, in characters: more than any terminal shows.
const LONGEST: usize = 1000;

/// The last line of a log, read again only when the log has grown.
#[derive(Debug, Default)]
pub(super) struct LastLine {
    length: u64,
    line: Option<String>,
}

impl LastLine {
    /// The line as it is now.
    pub(super) fn read(&mut self, log: &Utf8Path) -> Option<String> {
        let length = log.metadata().map_or(0, |metadata| metadata.len());
        if length != self.length {
            self.length = length;
            // A log that cannot be read now may be later; until then the line is what it was.
            if let Some(line) = end(log, length).ok().and_then(|bytes| last(&String::from_utf8_lossy(&bytes)))
            {
                self.line = Some(line);
            }
        }
        self.line.clone()
    }
}

fn end(log: &Utf8Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last line that shows something. What a progress bar writes over (`\r`) counts as a line of its own.
fn last(text: &str) -> Option<String> {
    let line = text.rsplit(['\n', '\r']).find(|line| is_visible(line))?;
    Some(line.chars().take(LONGEST).collect())
}

/// Whether anything is left of a line when a terminal has done what it says: colours and moves of the cursor show nothing.
fn is_visible(line: &str) -> bool {
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                if rest.next() == Some('[') {
                    rest.find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
            }
            c if c.is_whitespace() || c.is_control() => {}
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_shows_something() {
        let cases = [
            ("one\ntwo\n", Some("two")),
            ("one\ntw", Some("tw")),
            ("one\n\n  \n", Some("one")),
            ("10%\r 20%\r 30%", Some(" 30%")),
            ("100%\r\n", Some("100%")),
            ("bar\r\u{1b}[A\u{1b}[2K", Some("bar")),
            ("\u{1b}[31mred\u{1b}[0m\n", Some("\u{1b}[31mred\u{1b}[0m")),
            ("\n", None),
            ("", None),
        ];
        for (text, line) in cases {
            assert_eq!(last(text).as_deref(), line, "{text:?}");
        }
    }

    #[test]
    fn a_log_that_grows_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = Utf8Path::from_path(folder.path()).unwrap().join("1.log");
        let mut line = LastLine::default();
        assert_eq!(line.read(&log), None);
        std::fs::write(&log, "epoch 1\n").unwrap();
        assert_eq!(line.read(&log).as_deref(), Some("epoch 1"));
        std::fs::write(&log, format!("epoch 1\n{}\nepoch 2 \u{fffd}", "x".repeat(20_000))).unwrap();
        assert_eq!(line.read(&log).as_deref(), Some("epoch 2 \u{fffd}"));
        std::fs::write(&log, "x".repeat(30_000)).unwrap();
        assert_eq!(line.read(&log).unwrap().len(), LONGEST, "a line without an end is cut");
    }
}
