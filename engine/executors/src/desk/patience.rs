//! How long an engine that fails is left in peace.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;

/// The wait after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait after so many failures in a row. No two wait alike, so that those who failed together do not come back together.
pub(super) fn wait(failures: u32) -> Duration {
    let doubled = 1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST).mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// The failures in a row of one kind of request.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    /// How many of the latest ones say that the engine is away, and since when it is.
    away: Option<(u32, Instant)>,
    until: Option<Instant>,
}

impl Patience {
    /// The failures in a row. A request remembers how many there were when it began.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next request may be made, if it has to wait.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// A request failed that began after so many failures: those that failed beside each other count once.
    pub(super) fn fail(&mut self, began_after: u32, away: bool, now: Instant) {
        if began_after != self.failures {
            return;
        }
        self.failures += 1;
        self.until = Some(now + wait(self.failures));
        self.away = away.then(|| self.away.map_or((1, now), |(count, since)| (count + 1, since)));
    }

    /// There may be room again. Whether an answer said last that there was none: then the next request may be made now.
    pub(super) fn hurry(&mut self, now: Instant) -> bool {
        let full = self.failures > 0 && self.away.is_none();
        if full {
            self.until = Some(now);
        }
        full
    }

    /// For how long the engine has been away, if that is worth a word: it failed twice in a row.
    pub(super) fn away(&self, now: Instant) -> Option<Duration> {
        self.away.filter(|(count, _)| *count >= 2).map(|(_, since)| now - since)
    }

    /// A request succeeded. Whether any had failed before it.
    pub(super) fn succeed(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_up_to_a_minute() {
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1_000, 60)] {
            let (wait, longest) = (wait(failures), Duration::from_secs(longest));
            assert!(wait <= longest && wait >= longest / 2, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn what_fails_together_counts_once() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for _ in 0..4 {
            patience.fail(0, true, now);
        }
        assert_eq!((patience.failures(), patience.away(now)), (1, None));
        patience.fail(1, true, now + LONGEST);
        assert_eq!(patience.away(now + LONGEST), Some(LONGEST));
        assert!(patience.succeed() && !patience.succeed());
    }

    #[test]
    fn only_an_engine_that_was_full_is_asked_at_once_when_there_is_room() {
        let mut patience = Patience::default();
        let now = Instant::now();
        assert!(!patience.hurry(now));
        patience.fail(0, true, now);
        assert!(!patience.hurry(now) && patience.until() > Some(now));
        patience.fail(1, false, now);
        assert!(patience.hurry(now));
        assert_eq!(patience.until(), Some(now));
    }
}
