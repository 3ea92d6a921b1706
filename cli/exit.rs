//! The table of exit codes: every way in which the command ends, and what it tells a script.

use std::process::ExitCode;

use tidemill_engine::ErrorKind;
use tidemill_engine::event::Outcome;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is done.
    Done,
    /// A step failed, or gave something else when it was repeated.
    StepFailed,
    /// The command line, the pipeline or a name is wrong.
    Usage,
    /// A gate said no.
    GateClosed,
    /// The machine failed.
    Infrastructure,
    /// A signal told it to stop.
    Interrupted,
    /// `plan --detailed-exitcode`: it could not be planned.
    PlanFailed,
    /// `plan --detailed-exitcode`: a run would execute something.
    WouldRun,
    /// As the command ended that was run in a step's folder.
    Of(u8),
}

/// What the codes mean, as `--help` shows them. A panic, which is a bug of ours, ends with 101.
const TABLE: [(Exit, &str); 6] = [
    (Exit::Done, "all is done"),
    (Exit::StepFailed, "a step failed, or gave something else when it was repeated"),
    (Exit::Usage, "the command line, the pipeline or a name is wrong"),
    (Exit::GateClosed, "a gate said no"),
    (Exit::Infrastructure, "the machine failed: disk, permissions, a lost process"),
    (Exit::Interrupted, "interrupted"),
];

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::StepFailed | Self::PlanFailed => 1,
            Self::Usage | Self::WouldRun => 2,
            Self::GateClosed => 3,
            Self::Infrastructure => 4,
            Self::Interrupted => 130,
            Self::Of(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Done,
            Outcome::StepFailed => Self::StepFailed,
            Outcome::GateClosed => Self::GateClosed,
            Outcome::InfrastructureFailed => Self::Infrastructure,
            Outcome::Interrupted => Self::Interrupted,
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Infrastructure => Self::Infrastructure,
        }
    }
}

/// The codes with their meaning.
pub(crate) fn table() -> impl Iterator<Item = (u8, &'static str)> {
    let ours = TABLE.iter().map(|(exit, meaning)| (exit.code(), *meaning));
    ours.chain([(101, "a bug of Tidemill")])
}

/// The table as the end of `--help`.
pub(crate) fn help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (code, meaning) in table() {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text.push_str("`plan --detailed-exitcode`: 0 nothing to do, 1 error, 2 a run would execute something.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_scripts_rely_on() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 130]);
        assert_eq!(Exit::PlanFailed.code(), 1);
        assert_eq!(Exit::WouldRun.code(), 2);
    }

    #[test]
    fn every_outcome_of_a_run_has_its_code() {
        let code = |outcome| Exit::from(outcome).code();
        assert_eq!(code(Outcome::Succeeded), 0);
        assert_eq!(code(Outcome::StepFailed), 1);
        assert_eq!(code(Outcome::GateClosed), 3);
        assert_eq!(code(Outcome::InfrastructureFailed), 4);
        assert_eq!(code(Outcome::Interrupted), 130);
    }
}
