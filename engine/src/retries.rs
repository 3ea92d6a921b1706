//! How often a failed attempt is made again, and with how much more.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, StepFailure};

/// How often a failed attempt is made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// After a failure that is not the step's own.
    pub infrastructure: u32,
    /// After one of its own that is named here.
    pub times: u32,
    /// These.
    pub on: Vec<Retried>,
    /// By what its memory grows each time it ran out of it.
    pub scale_memory: u32,
    /// By what its time grows each time it was up.
    pub scale_time: u32,
}

/// A failure of a step's own after which it may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retried {
    /// It ran out of memory, the machine's or a GPU's.
    Oom,
    /// Its time was up.
    Timeout,
    /// Anything else that it did wrong.
    Failure,
}

/// How often a failure of the machine is tried again if nothing is said.
const INFRASTRUCTURE: u32 = 2;

impl Retried {
    /// The failure that a word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "oom" => Some(Self::Oom),
            "timeout" => Some(Self::Timeout),
            "failure" => Some(Self::Failure),
            _ => None,
        }
    }

    fn of(failure: &StepFailure) -> Option<Self> {
        match failure {
            StepFailure::OutOfMemory { .. } => Some(Self::Oom),
            StepFailure::TimedOut { .. } => Some(Self::Timeout),
            StepFailure::Exit { .. }
            | StepFailure::Signal { .. }
            | StepFailure::OutputMissing { .. }
            | StepFailure::OutputInvalid { .. } => Some(Self::Failure),
            // Another try would read the same changed or withdrawn input under the same old key, or lack the same program or secret.
            StepFailure::InputChanged { .. }
            | StepFailure::InputQuarantined { .. }
            | StepFailure::TargetMoved { .. }
            | StepFailure::NotStarted { .. } => None,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self::whatever_the_reason(0)
    }
}

impl Retries {
    /// So often, whatever the reason.
    #[must_use]
    pub fn whatever_the_reason(times: u32) -> Self {
        let on = vec![Retried::Oom, Retried::Timeout, Retried::Failure];
        Self { infrastructure: times.max(INFRASTRUCTURE), times, on, scale_memory: 1, scale_time: 1 }
    }

    /// How many failures of this kind are followed by another attempt.
    #[must_use]
    pub fn after(&self, failure: &Failure) -> u32 {
        match failure {
            Failure::Cancelled => 0,
            Failure::Infrastructure(_) => self.infrastructure,
            Failure::Step(failure) => match Retried::of(failure) {
                Some(kind) if self.on.contains(&kind) => self.times,
                _ => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{InfraFailure, Memory};

    fn step(failure: StepFailure) -> Failure {
        Failure::Step(failure)
    }

    #[test]
    fn failures_are_told_apart() {
        let lost = Failure::Infrastructure(InfraFailure::Storage { message: String::new() });
        let (exit, oom) =
            (step(StepFailure::Exit { code: 1 }), step(StepFailure::OutOfMemory { of: Memory::System }));
        let silent = Retries::default();
        assert_eq!((silent.after(&lost), silent.after(&exit), silent.after(&oom)), (2, 0, 0));
        let three = Retries::whatever_the_reason(3);
        assert_eq!((three.after(&lost), three.after(&exit), three.after(&Failure::Cancelled)), (3, 3, 0));
        let some =
            Retries { infrastructure: 5, times: 2, on: vec![Retried::Oom], scale_memory: 2, scale_time: 1 };
        assert_eq!((some.after(&lost), some.after(&exit), some.after(&oom)), (5, 0, 2));
        let none = StepFailure::NotStarted { reason: String::new() };
        assert_eq!(three.after(&step(none)), 0);
    }
}
