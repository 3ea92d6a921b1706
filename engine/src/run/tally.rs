//! How often a step failed in a run, by what: each kind has its own number of retries.

use std::time::Duration;

use crate::failure::{Failure, StepFailure};
use crate::retries::Retries;

/// What is waited before the first retry; before each further one twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// How often a step failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    infrastructure: u32,
    own: u32,
    out_of_memory: u32,
    timed_out: u32,
}

impl Tally {
    /// Counts a failure. How long is waited before the next attempt; none if there is to be none.
    pub(super) fn count(&mut self, failure: &Failure, retries: &Retries) -> Option<Duration> {
        let count = match failure {
            Failure::Infrastructure(_) => &mut self.infrastructure,
            Failure::Step(_) | Failure::Cancelled => &mut self.own,
        };
        *count += 1;
        let is_over = *count > retries.after(failure);
        match failure {
            Failure::Step(StepFailure::OutOfMemory { .. }) => self.out_of_memory += 1,
            Failure::Step(StepFailure::TimedOut { .. }) => self.timed_out += 1,
            _ => {}
        }
        let doublings = (self.infrastructure + self.own - 1).min(16);
        (!is_over).then(|| LONGEST.min(FIRST * (1 << doublings)))
    }

    /// By what the memory of the next attempt is multiplied.
    pub(super) fn memory(&self, retries: &Retries) -> u64 {
        u64::from(retries.scale_memory).saturating_pow(self.out_of_memory)
    }

    /// How long the next attempt may take.
    pub(super) fn time(&self, retries: &Retries, limit: Option<Duration>) -> Option<Duration> {
        let factor = retries.scale_time.saturating_pow(self.timed_out);
        limit.map(|limit| limit.saturating_mul(factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{InfraFailure, Memory};
    use crate::retries::Retried;

    #[test]
    fn each_kind_of_failure_has_its_own_number_and_what_was_short_grows() {
        let retries = Retries {
            infrastructure: 2,
            times: 2,
            on: vec![Retried::Oom, Retried::Timeout],
            scale_memory: 2,
            scale_time: 3,
        };
        let preempted = Failure::Infrastructure(InfraFailure::Preempted { executor: "gpu".to_owned() });
        let oom = Failure::Step(StepFailure::OutOfMemory { of: Memory::Gpu });
        let late = Failure::Step(StepFailure::TimedOut { seconds: 1 });
        let mut tally = Tally::default();
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        assert_eq!(seconds(tally.count(&preempted, &retries)), Some(1));
        assert_eq!(seconds(tally.count(&oom, &retries)), Some(2));
        assert_eq!((tally.memory(&retries), tally.time(&retries, None)), (2, None));
        assert_eq!(seconds(tally.count(&preempted, &retries)), Some(4));
        assert_eq!(seconds(tally.count(&late, &retries)), Some(8));
        assert_eq!(tally.time(&retries, Some(Duration::from_secs(10))), Some(Duration::from_secs(30)));
        assert_eq!(tally.count(&oom, &retries), None, "two of its own are over");
        assert_eq!(tally.count(&preempted, &retries), None);
    }

    #[test]
    fn what_was_not_asked_for_is_not_tried_again() {
        let mut tally = Tally::default();
        let exit = Failure::Step(StepFailure::Exit { code: 1 });
        assert_eq!(tally.count(&exit, &Retries::default()), None);
        assert_eq!(Tally::default().count(&Failure::Cancelled, &Retries::whatever_the_reason(9)), None);
    }
}
