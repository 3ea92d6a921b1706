//! What is to be started, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::fence::Fence;
use super::trace::Trace;

/// A command for the warden to start.
#[derive(Clone)]
pub struct Command {
    /// The attempt that it belongs to; no two commands that run at once share one.
    pub id: String,
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `env`, a relative one
    /// with a slash in `folder`.
    pub argv: Vec<String>,
    /// The whole environment, but for the attempt's and the warden's mark.
    pub env: BTreeMap<String, String>,
    /// The working folder (absolute).
    pub folder: Utf8PathBuf,
    /// The file that stdout and stderr are appended to, in their order; it grows while the command runs (absolute).
    pub log: Utf8PathBuf,
    /// What the log must not show.
    pub redact: Vec<Secret>,
    /// What it takes of the machine, as a number: one that is held may take the place of one of its kind that has ended well.
    pub kind: Option<u64>,
    /// What it may reach; none: whatever the user may.
    pub fence: Option<Fence>,
    /// What is to be told of what it reads; none: nothing.
    pub trace: Option<Trace>,
}

/// Which of the commands that are held goes first: the highest.
pub type Rank = (u64, u64);

impl Command {
    /// The program's name, for messages.
    #[must_use]
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// Without arguments, environment and secrets: these may hold what must not be shown.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", &self.id)
            .field("program", &self.program())
            .field("folder", &self.folder)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// A text that reaches a process and never a log. Nothing shows it: no `Display`, no serialiser, a `Debug` of stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the pipe to the warden.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a command ended, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// How its leader ended.
    pub status: Status,
    /// CPU time in user mode, of the leader and the children it waited for.
    pub user: Duration,
    /// CPU time in the kernel, of the same.
    pub system: Duration,
    /// The largest resident memory of any of these processes, in bytes (some MiB at least: a new process is counted as
    /// large as the one that started it).
    pub peak_memory: u64,
}

impl Exit {
    /// Whether it ended with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == Status::Code(0)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Status {
    /// Whether that is how a process ends that is told to: by SIGHUP, SIGINT or SIGTERM, or with the code that a shell gives then.
    #[must_use]
    pub fn is_obedience(self) -> bool {
        let signal = match self {
            Self::Signal(signal) => signal,
            Self::Code(code) => code - 128,
        };
        [1, 2, 15].contains(&signal)
    }
}
