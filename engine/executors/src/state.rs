//! Where a job is on its way, and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Ticket;

/// The states of jobs; a job that is not in it is not known to the engine.
pub type States = BTreeMap<Ticket, State>;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// It waits.
    Queued {
        /// What for, in the engine's words.
        reason: Option<String>,
    },
    /// It runs.
    Running {
        /// Where.
        host: Option<String>,
    },
    /// It has ended, and nothing of it runs any more.
    Ended {
        /// How.
        end: End,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "end")]
pub enum End {
    /// With this exit code.
    Exited {
        /// The code.
        code: i32,
    },
    /// By a signal that none of us sent.
    Killed {
        /// Its number.
        signal: i32,
    },
    /// It was cancelled.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
    /// It took more memory than it may.
    OutOfMemory,
    /// It had to make room for another one.
    Preempted,
    /// The machine that it ran on is gone.
    NodeLost,
    /// It could not be started, and trying again gives the same.
    NotStarted {
        /// Why, in the engine's words.
        reason: String,
    },
}

impl End {
    /// How a command ended whose exit a shell tells, or a container.
    pub(crate) fn of_code(code: i32) -> Self {
        match code {
            // A shell that cannot start a command says so, and so does the loader of a program.
            126 | 127 => Self::NotStarted {
                reason: format!("its command cannot be started there (exit code {code}); its log says why"),
            },
            129..=192 => Self::Killed { signal: code - 128 },
            code => Self::Exited { code },
        }
    }
}

impl State {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}
