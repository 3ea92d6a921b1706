//! What can go wrong at the door: the step's turn, the machine's turn.

use std::time::Duration;

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The warden itself could not be started.
    #[error("the process warden `{program}` could not be started")]
    Warden {
        /// What was to be the warden.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The command cannot be executed: not found, not executable, no such folder. Trying again does not help.
    #[error("`{program}` cannot be executed: {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why, in a sentence for people.
        reason: String,
    },
    /// The machine could not start it: no log, no memory, too many processes. Trying again may help.
    #[error("`{program}` could not be started by this machine: {reason}")]
    Machine {
        /// The program.
        program: String,
        /// Why, in a sentence for people.
        reason: String,
    },
    /// The warden is gone, and what it had started with it.
    #[error("the process warden is gone; what it had started was killed")]
    WardenLost,
    /// A quick command took too long and was killed.
    #[error("`{program}` was killed after {}", humantime::format_duration(*limit))]
    TimedOut {
        /// The program.
        program: String,
        /// The time limit.
        limit: Duration,
    },
    /// A quick command wrote more than is read and was killed.
    #[error("`{program}` wrote more than {} to stdout and was killed", bytesize::ByteSize(*limit))]
    TooMuchOutput {
        /// The program.
        program: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Processes that a dead run left behind do not go away.
    #[error("processes that an earlier run left behind cannot be killed: {pids:?}")]
    Survivors {
        /// Their ids.
        pids: Vec<u32>,
    },
}
