//! Why a queue cannot be used.

use std::io;

use camino::Utf8PathBuf;

/// Why a queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Another process has it.
    #[error(
        "another process answers the triggers of this project: a daemon, or `tidemill tick` (process {holder})"
    )]
    Busy {
        /// Its number.
        holder: String,
    },
    /// More waits than may.
    #[error("{waiting} arrivals wait for their runs already, and no more may")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// A line is no record.
    #[error("{path} is damaged: line {line} cannot be read: {reason}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// The line, from one.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("{path} was written by a newer version of tidemill (its format is {version})")]
    Newer {
        /// The file.
        path: Utf8PathBuf,
        /// The version of the format.
        version: u32,
    },
    /// The file system said no.
    #[error("cannot keep the queue of triggers in {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl QueueError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Busy { .. } => Some("ask that one, or stop it first"),
            Self::Full { .. } => Some("look at `tidemill triggers log`: runs may fail or wait"),
            Self::Damaged { .. } => Some(
                "the disk may be failing; remove the line to go on without what it says, and look at the runs by yourself",
            ),
            Self::Newer { .. } => Some("use that version, or a newer one"),
            Self::Io { .. } => None,
        }
    }
}
