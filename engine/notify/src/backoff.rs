//! When a failed delivery is tried again, and when nobody tries any more. Pure: the same question has the same answer.

use std::time::Duration;

use crate::error::{DeliveryError, Kind};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The waits after the first try, the second and so on, in seconds: three days in all.
const WAITS: [u64; 11] =
    [1, 5, 30, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 12 * HOUR, 12 * HOUR, 18 * HOUR, 24 * HOUR];
/// The longest wait that a place may ask for.
const LONGEST: Duration = Duration::from_secs(24 * HOUR);

/// How many tries there are, the first one included.
pub const TRIES: u32 = WAITS.len() as u32 + 1;

/// How long to wait after a try that failed, counted from one; `None` when another would not help, or there were enough.
/// The seed, such as a digest of the message's id and its place, spreads those that failed at the same moment.
#[must_use]
pub fn next_try(attempt: u32, error: &DeliveryError, seed: u64) -> Option<Duration> {
    let Kind::Again { after } = error.kind else { return None };
    let wait = WAITS.get(usize::try_from(attempt.max(1) - 1).ok()?)?;
    // Within a tenth to both sides, and behind what was asked for only.
    let share = mixed(seed ^ (u64::from(attempt) << 32)) % 2001;
    let wait = Duration::from_millis(wait * (9_000 + share) / 10);
    let asked = after.map(|asked| asked.min(LONGEST)).unwrap_or_default();
    Some(wait.max(asked + asked / 10 * u32::try_from(share).unwrap_or_default() / 2000))
}

/// Bits that look random: the finalizer of `SplitMix64`.
fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(kind: Kind) -> DeliveryError {
        DeliveryError { place: "the webhook at example.org".to_owned(), reason: "no answer".to_owned(), kind }
    }

    fn again(after: Option<u64>) -> DeliveryError {
        failed(Kind::Again { after: after.map(Duration::from_secs) })
    }

    #[test]
    fn waits_grow_and_end_after_three_days() {
        let waits: Vec<_> = (1..=20).filter_map(|attempt| next_try(attempt, &again(None), 7)).collect();
        assert_eq!(waits.len() + 1, TRIES as usize);
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1] || pair[0] > Duration::from_secs(10 * HOUR)));
        let days = waits.iter().sum::<Duration>().as_secs_f64() / (24.0 * HOUR as f64);
        assert!((2.7..3.4).contains(&days), "{days}");
        assert_eq!(next_try(TRIES, &again(None), 7), None);
        assert_eq!(next_try(u32::MAX, &again(None), 7), None);
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        assert_eq!(next_try(1, &failed(Kind::Refused), 7), None);
    }

    #[test]
    fn a_place_may_ask_for_more_time_but_not_for_ever() {
        let wait = |attempt, after| next_try(attempt, &again(Some(after)), 7).unwrap();
        assert!(wait(1, 120) >= Duration::from_secs(120));
        assert!(wait(6, 1) >= Duration::from_secs(54 * MINUTE));
        assert!(wait(1, u64::MAX) <= LONGEST + LONGEST / 10);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_tenth(attempt in 1..TRIES, seed: u64) {
            let wait = next_try(attempt, &again(None), seed).unwrap().as_secs_f64();
            let ideal = WAITS[attempt as usize - 1] as f64;
            prop_assert!((0.899..=1.101).contains(&(wait / ideal)), "{} of {}", wait, ideal);
            prop_assert_eq!(next_try(attempt, &again(None), seed), next_try(attempt, &again(None), seed));
        }
    }

    #[test]
    fn those_that_failed_together_come_back_apart() {
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|seed| next_try(6, &again(None), seed)).collect();
        assert!(waits.len() > 90, "{}", waits.len());
    }
}
