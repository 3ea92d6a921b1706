//! Why an attempt failed: its own fault, the machine's, or an order to stop. Whether to retry is read from the type.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::words::duration;

/// Why an attempt did not give a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Failure {
    /// The step's own fault.
    Step(StepFailure),
    /// The machine's fault.
    Infrastructure(InfraFailure),
    /// It was told to stop.
    Cancelled,
}

impl Failure {
    /// Why, in a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Failure::Cancelled => "it was stopped".to_owned(),
            Failure::Infrastructure(failure) => match failure {
                InfraFailure::Storage { message } | InfraFailure::SupervisorLost { message } => {
                    message.clone()
                }
                InfraFailure::Preempted { executor } => {
                    format!("it had to make room for another job on {executor}")
                }
                InfraFailure::Lost { executor, message } => format!("it was lost on {executor}: {message}"),
                InfraFailure::NotTaken { executor, reason, .. } => {
                    format!("{executor} does not take it: {reason}")
                }
            },
            Failure::Step(failure) => match failure {
                StepFailure::OutOfMemory { of: Memory::System } => "it ran out of memory".to_owned(),
                StepFailure::OutOfMemory { of: Memory::Gpu } => {
                    "it ran out of the memory of a GPU".to_owned()
                }
                StepFailure::Exit { code } => format!("exit code {code}"),
                StepFailure::Signal { signal } => format!("ended by {}", signal_name(*signal)),
                StepFailure::TimedOut { seconds: 0 } => {
                    "its executor ended it, for it took too long; `timeout` asks for more time".to_owned()
                }
                StepFailure::TimedOut { seconds } => {
                    format!("it took longer than its timeout of {}", duration(seconds.saturating_mul(1000)))
                }
                StepFailure::OutputMissing { output, path } => {
                    format!("it ended without its output `{output}` ({path})")
                }
                StepFailure::OutputInvalid { output, reason } => {
                    format!("its output `{output}` cannot be kept: {reason}")
                }
                StepFailure::InputChanged { input, path } => {
                    format!("its input `{input}` ({path}) changed meanwhile, so the result was not kept")
                }
                StepFailure::InputQuarantined { input, reason } => {
                    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                    format!(
                        "its input `{input}` was quarantined meanwhile{reason}, so the result was not kept"
                    )
                }
                StepFailure::NotStarted { reason } => format!("it could not be started: {reason}"),
                StepFailure::TargetMoved { message } => message.clone(),
            },
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL, perhaps for lack of memory",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

/// The step's own fault: running it again gives the same, unless the step itself is unsteady.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum StepFailure {
    /// The process ended with this exit code.
    Exit {
        /// The code.
        code: i32,
    },
    /// A signal ended the process (not one that we sent).
    Signal {
        /// Its number.
        signal: i32,
    },
    /// It took more memory than there was for it.
    OutOfMemory {
        /// Whose.
        of: Memory,
    },
    /// It ran longer than its `timeout`.
    TimedOut {
        /// The limit in seconds; 0 if it was that of an executor, which has not said it.
        seconds: u64,
    },
    /// It exited 0 without a declared output.
    OutputMissing {
        /// The output's name.
        output: String,
        /// Where it was expected in the step's folder.
        path: String,
    },
    /// An output cannot be kept: a link that leaves the folder, a device, a name that is not UTF-8, invalid metrics.
    OutputInvalid {
        /// The output's name.
        output: String,
        /// Why, in a sentence for people.
        reason: String,
    },
    /// An input changed while the step ran (or between planning and start), so the result describes neither content.
    InputChanged {
        /// The input's name.
        input: String,
        /// The file that changed.
        path: String,
    },
    /// An input was quarantined after the run had found it, so the result was not kept.
    InputQuarantined {
        /// The input's name.
        input: String,
        /// Why it was; may be empty.
        reason: String,
    },
    /// The command could not be started: not found, not executable.
    NotStarted {
        /// Why, in a sentence for people.
        reason: String,
    },
    /// An effect's target was moved by someone else.
    TargetMoved {
        /// Who moved what, in a sentence for people.
        message: String,
    },
}

/// Whose memory was not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// The machine's, or as much of it as the step may have.
    System,
    /// A GPU's.
    Gpu,
}

/// The machine's fault: another try may succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum InfraFailure {
    /// Files could not be read, written, linked or stored.
    Storage {
        /// What failed on what, in a sentence for people.
        message: String,
    },
    /// An attempt elsewhere had to make room for another one.
    Preempted {
        /// The executor.
        executor: String,
    },
    /// The machine that an attempt ran on is gone, or its executor lost the attempt.
    Lost {
        /// The executor.
        executor: String,
        /// What is known, in a sentence for people.
        message: String,
    },
    /// An executor does not take an attempt: a quota, a partition that is not there, an image that cannot be fetched.
    NotTaken {
        /// The executor.
        executor: String,
        /// Why, in its own words.
        reason: String,
        /// Whether it may take it another time.
        passing: bool,
    },
    /// The process that starts and watches the steps is gone.
    SupervisorLost {
        /// What is known, in a sentence for people.
        message: String,
    },
}

/// What a person needs after a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReport {
    /// Why.
    pub failure: Failure,
    /// The last lines of the log.
    pub tail: Vec<String>,
    /// Where the whole log is.
    pub log: Option<Utf8PathBuf>,
    /// The step's folder, if it was kept as the attempt left it: `tidemill debug` opens it.
    #[serde(default)]
    pub folder: Option<Utf8PathBuf>,
    /// What to do, if that can be told: an undeclared file that the step looked for, say.
    pub hint: Option<String>,
}

impl FailureReport {
    /// The report of a step that failed before an attempt was made.
    #[must_use]
    pub fn without_attempt(failure: Failure, hint: Option<String>) -> Self {
        Self { failure, tail: Vec::new(), log: None, folder: None, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_words() {
        let signal = Failure::Step(StepFailure::Signal { signal: 11 });
        assert_eq!(signal.words(), "ended by signal 11 (SIGSEGV)");
        let signal = Failure::Step(StepFailure::Signal { signal: 40 });
        assert_eq!(signal.words(), "ended by signal 40");
        let late = Failure::Step(StepFailure::TimedOut { seconds: 120 });
        assert_eq!(late.words(), "it took longer than its timeout of 2 min");
        let late = Failure::Step(StepFailure::TimedOut { seconds: 0 });
        assert_eq!(late.words(), "its executor ended it, for it took too long; `timeout` asks for more time");
    }
}
