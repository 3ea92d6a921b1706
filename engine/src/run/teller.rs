//! Tells all subscribers what happens, in one order, counts how steps end, and sums the run up.

use std::time::{Duration, Instant};

use tidemill_cache::Artifact;

use crate::event::{Counts, Event, Pulse, SkipReason, Stamped, Subscriber};
use crate::failure::Failure;
use crate::record::{CachedStep, Recap, Saved};

/// No subscriber gets pulses more often than this: a run is there to run.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The one place that events leave through.
pub(crate) struct Teller {
    subscribers: Vec<Box<dyn Subscriber>>,
    counts: Counts,
    recap: Recap,
    started: Instant,
}

impl Teller {
    /// Tells these subscribers about a run that began at this time.
    #[must_use]
    pub(crate) fn new(subscribers: Vec<Box<dyn Subscriber>>, started: Instant) -> Self {
        Self { subscribers, counts: Counts::default(), recap: Recap::default(), started }
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
        self.recap.add(&stamped);
        for subscriber in &mut self.subscribers {
            subscriber.on(&stamped);
        }
    }

    /// Tells that the results of many steps were found, to each subscriber as it wants to hear it.
    pub(crate) fn tell_cached(
        &mut self,
        lists: Vec<Artifact>,
        steps: impl Fn() -> Vec<CachedStep>,
        sum: Saved,
    ) {
        let Saved { steps: count, ms: saved_ms, bytes } = sum;
        self.counts.cached += count;
        let at = jiff::Timestamp::now();
        let event = Event::StepsCached { steps: count, saved_ms, bytes, lists };
        let stamped = Stamped { at, event };
        self.recap.add(&stamped);
        let (short, long): (Vec<_>, Vec<_>) =
            self.subscribers.iter_mut().partition(|subscriber| subscriber.takes_lists());
        short.into_iter().for_each(|subscriber| subscriber.on(&stamped));
        if long.is_empty() {
            return;
        }
        let each: Vec<Stamped> =
            steps().into_iter().map(|step| Stamped { at, event: step.event() }).collect();
        for subscriber in long {
            each.iter().for_each(|stamped| subscriber.on(stamped));
        }
    }

    /// How often there is to be a pulse; none if nobody wants one.
    #[must_use]
    pub(crate) fn pulse_interval(&self) -> Option<Duration> {
        let interval = self.subscribers.iter().filter_map(|subscriber| subscriber.pulse_interval()).min();
        interval.map(|interval| interval.max(SHORTEST_INTERVAL))
    }

    /// Says that there is nothing more to tell for now.
    pub(crate) fn flush(&mut self) {
        self.subscribers.iter_mut().for_each(|subscriber| subscriber.flush());
    }

    /// Tells a pulse.
    pub(crate) fn tell_pulse(&mut self, pulse: &Pulse) {
        for subscriber in &mut self.subscribers {
            subscriber.pulse(pulse);
        }
    }

    /// How many steps ended in which way so far.
    #[must_use]
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What the events so far amount to. What comes after this is not in it.
    #[must_use]
    pub(crate) fn take_recap(&mut self) -> Recap {
        std::mem::take(&mut self.recap)
    }

    /// Milliseconds since the run began.
    #[must_use]
    pub(crate) fn wall_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
