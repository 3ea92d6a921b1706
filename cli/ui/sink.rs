//! The one place that writes to standard output and standard error.

use std::io::{self, Read, Write as _};

use serde::Serialize;

use super::json;
use super::style::Paint;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much is said beside the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loudness {
    /// Failures only.
    Quiet,
    /// What happens.
    Normal,
    /// More than most people want to know.
    Detailed,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    /// Whether it is a terminal that understands control characters.
    pub(crate) terminal: bool,
    /// Whether colours are wanted on it.
    pub(crate) paint: Paint,
}

/// The way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    /// Standard output.
    pub(crate) out: Stream,
    /// Standard error.
    pub(crate) err: Stream,
    /// How results are written.
    pub(crate) form: Form,
    /// How much is said.
    pub(crate) loudness: Loudness,
}

impl Ui {
    /// Writes a result as text or as JSON, whichever is wanted.
    ///
    /// # Errors
    /// If standard output cannot be written; a reader that went away is none.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.form {
            Form::Text => self.print(&text()),
            Form::Json => self.print(&json::render(value)),
        }
    }

    /// Writes text to standard output as it is.
    ///
    /// # Errors
    /// If it cannot be written; a reader that went away is none.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        self.copy(&mut text.as_bytes())
    }

    /// Writes all that a reader has to standard output.
    ///
    /// # Errors
    /// If it cannot be read or written; a reader of standard output that went away is none.
    pub(crate) fn copy(&self, from: &mut dyn Read) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match io::copy(from, &mut stdout).and_then(|_| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Writes text to standard error as it is. That nobody can read it is no reason to stop.
    pub(crate) fn tell(&self, text: &str) {
        tell(text);
    }
}

/// Writes text to standard error in one piece, for who has no [`Ui`].
pub(crate) fn tell(text: &str) {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).ok();
}
