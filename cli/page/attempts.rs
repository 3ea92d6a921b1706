//! When the attempts of a run began and ended, and how.

use std::collections::BTreeMap;

use tidemill_engine::event::{Event, Stamped};
use tidemill_engine::failure::Failure;
use tidemill_engine::graph::State;

/// An attempt, in milliseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    /// When it began.
    pub(super) from: u64,
    /// When it ended; none if that is not known.
    pub(super) to: Option<u64>,
    /// How it ended; one that was told to stop is skipped.
    pub(super) state: State,
}

impl Span {
    /// How long it took, in a run that took so long.
    pub(super) fn took(self, whole: u64) -> u64 {
        self.to.unwrap_or(whole).saturating_sub(self.from)
    }
}

/// The attempts of each step.
pub(super) fn spans(events: &[Stamped]) -> BTreeMap<&str, Vec<Span>> {
    let mut spans: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    let Some(first) = events.first() else { return spans };
    for stamped in events {
        let at = u64::try_from(stamped.at.duration_since(first.at).as_millis()).unwrap_or(0);
        let (step, state) = match &stamped.event {
            Event::StepStarted { step, .. } => {
                spans.entry(step.as_str()).or_default().push(Span {
                    from: at,
                    to: None,
                    state: State::Running,
                });
                continue;
            }
            Event::StepSucceeded { step, .. } => (step, State::Executed),
            Event::StepFailed { step, report, .. } if report.failure == Failure::Cancelled => {
                (step, State::Skipped)
            }
            Event::StepFailed { step, .. } | Event::StepRetried { step, .. } => (step, State::Failed),
            _ => continue,
        };
        if let Some(span) =
            spans.get_mut(step.as_str()).and_then(|spans| spans.last_mut()).filter(|span| span.to.is_none())
        {
            (span.to, span.state) = (Some(at), state);
        }
    }
    spans
}
