//! The one place that writes to standard output and standard error.

use std::io::{self, Read, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, getpid, kill_process};
use serde::Serialize;

use super::json;
use super::screen::{Screen, Size};
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

/// What stands on standard error: whoever writes there writes above the block of lines at its bottom, if there is one.
static SCREEN: Mutex<Screen> = Mutex::new(Screen::new());

/// Writes text to standard error in one piece, for who has no [`Ui`].
pub(crate) fn tell(text: &str) {
    let mut screen = screen();
    let written = screen.tell(text);
    write(&written);
}

/// Keeps whole lines for standard error until the next [`show`], or until somebody else says something.
pub(crate) fn queue(lines: &str) {
    screen().queue(lines);
}

/// Shows a block of lines at the bottom of standard error, a terminal of this size, in place of the one before.
pub(crate) fn show(block: Vec<String>, size: Size) {
    let mut screen = screen();
    let written = screen.frame(block, size);
    write(&written);
}

/// Stops this process until somebody lets it go on, with a screen that the shell can write on.
pub(crate) fn suspend() {
    // Nobody draws as long as this is held.
    let mut screen = screen();
    let written = screen.frame(Vec::new(), Size::now());
    write(&written);
    // Not being stopped is no reason to end.
    kill_process(getpid(), Signal::STOP).ok();
}

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &str) {
    if !text.is_empty() {
        let mut stderr = io::stderr().lock();
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).ok();
    }
}

/// Standard error as a file, for who writes lines of his own.
pub(crate) struct Talk;

impl io::Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        tell(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
