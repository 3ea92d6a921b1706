//! Watching what a command reads: the kernel asks before each of its processes opens or executes a file, and is always told to
//! go on. Nothing rests on what is seen, so it does no harm that a process may change a path after it was looked at.
//!
//! ```text
//! command: its filter ──asks, stands still──▶ watcher, a thread of the warden ─ listener
//!                                                  └ look (which file?) ─ keeper (is it worth telling?)
//! ```
//!
//! A process can never wait for an answer that does not come: if the watcher is gone, so is the only descriptor that could
//! answer, and the kernel itself refuses what was asked.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod listener;
#[cfg(target_os = "linux")]
mod look;
#[cfg(target_os = "linux")]
mod watcher;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub(super) use listener::Asks;
#[cfg(target_os = "linux")]
pub use watcher::can_trace;
#[cfg(target_os = "linux")]
pub(super) use watcher::{Beginning, Watcher};

/// What is told of a command's reads: those of the user's files that it was not given. All paths are absolute and without symbolic
/// links.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The folders of the project.
    pub project: Vec<Utf8PathBuf>,
    /// The user's own folder.
    pub home: Option<Utf8PathBuf>,
    /// The system: what lies below these, and neither in the project nor in the home, is never told.
    pub system: Vec<Utf8PathBuf>,
    /// These, and what lies below them, are never told.
    pub passed: Vec<Utf8PathBuf>,
}

/// What a command read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// The files, sorted, without symbolic links. What is no UTF-8 is shown with signs in its place.
    pub files: Vec<String>,
    /// Whether that is all: none of its processes opened files in a way that is not seen, and there were not too many.
    pub complete: bool,
}

/// Whether this machine can tell what a command reads.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn can_trace() -> bool {
    false
}
