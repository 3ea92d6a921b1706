//! Tells all subscribers what happens, in one order, and counts how steps end.

use std::time::Instant;

use crate::event::{Counts, Event, SkipReason, Stamped, Subscriber};
use crate::failure::Failure;

/// The one place that events leave through.
pub(crate) struct Teller {
    subscribers: Vec<Box<dyn Subscriber>>,
    counts: Counts,
    started: Instant,
}

impl Teller {
    /// Tells these subscribers about a run that began at this time.
    #[must_use]
    pub(crate) fn new(subscribers: Vec<Box<dyn Subscriber>>, started: Instant) -> Self {
        Self { subscribers, counts: Counts::default(), started }
    }

    /// Tells an event.
    pub(crate) fn tell(&mut self, event: Event) {
        match &event {
            Event::StepCached { .. } => self.counts.cached += 1,
            Event::StepSkipped { reason: SkipReason::EffectDone, .. } => self.counts.cached += 1,
            Event::StepSkipped { .. } => self.counts.skipped += 1,
            Event::StepSucceeded { .. } => self.counts.executed += 1,
            // A step that was told to stop did not fail.
            Event::StepFailed { report, .. } if report.failure == Failure::Cancelled => {}
            Event::StepFailed { .. } => self.counts.failed += 1,
            Event::StepBlocked { .. } => self.counts.blocked += 1,
            _ => {}
        }
        let stamped = Stamped { at: jiff::Timestamp::now(), event };
        for subscriber in &mut self.subscribers {
            subscriber.on(&stamped);
        }
    }

    /// How many steps ended in which way so far.
    #[must_use]
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Milliseconds since the run began.
    #[must_use]
    pub(crate) fn wall_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
