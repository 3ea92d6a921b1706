//! How many requests somebody may make: a bucket that is filled steadily and holds only so much.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    /// What comes into it each second.
    rate: f64,
    /// What it holds at most.
    most: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(rate: f64, most: f64) -> Self {
        Self { rate, most, state: Mutex::new((most, Instant::now())) }
    }

    /// Takes one out of it, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *state;
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * self.rate).min(self.most);
        let has = left >= 1.0;
        *state = (if has { left - 1.0 } else { left }, now);
        has
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_may_come_at_once_and_then_one_after_the_other() {
        let bucket = Bucket::new(10.0, 3.0);
        let now = Instant::now();
        assert_eq!([(); 4].map(|()| bucket.take(now)), [true, true, true, false]);
        let later = now + Duration::from_millis(150);
        assert_eq!([(); 2].map(|()| bucket.take(later)), [true, false]);
        let much_later = now + Duration::from_secs(60);
        assert_eq!([(); 4].map(|()| bucket.take(much_later)), [true, true, true, false]);
    }
}
