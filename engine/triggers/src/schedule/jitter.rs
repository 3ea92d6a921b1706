//! A delay that spreads what is due at the same time, and that every host computes alike.

use std::time::Duration;

use jiff::Timestamp;

/// A delay from nothing up to `most`, evenly spread over names and due times. The same name and due time give the same delay everywhere.
#[must_use]
pub fn jitter(name: &str, due: Timestamp, most: Duration) -> Duration {
    let mut hasher = blake3::Hasher::new_derive_key("tidemill 2026 schedule jitter");
    // The time has a fixed length, so that no two pairs are the same bytes.
    hasher.update(&due.as_nanosecond().to_le_bytes()).update(name.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    // More than 500 years are cut off.
    let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(u64::from_le_bytes(bytes)) * (u128::from(most) + 1)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_delay_is_the_same_on_every_host() {
        let due = Timestamp::from_second(1_800_000_000).unwrap();
        // A change of these would make hosts of two versions disagree.
        assert_eq!(jitter("nightly", due, HOUR), Duration::from_nanos(1_621_433_072_937));
        assert_eq!(jitter("weekly", due, HOUR), Duration::from_nanos(1_797_933_353_803));
        assert_eq!(jitter("nightly", due, Duration::ZERO), Duration::ZERO);
        assert!(jitter("nightly", due, Duration::MAX) <= Duration::MAX);
    }

    #[test]
    fn delays_are_spread_evenly_up_to_the_most() {
        let mut tenths = [0; 10];
        for minute in 0..10_000 {
            let delay = jitter("nightly", Timestamp::from_second(minute * 60).unwrap(), HOUR);
            assert!(delay <= HOUR);
            tenths[usize::try_from(delay.as_secs() / 360).unwrap().min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
        let ends: Vec<_> = (0..100)
            .map(|second| jitter("n", Timestamp::from_second(second).unwrap(), Duration::from_nanos(1)))
            .collect();
        assert!(ends.contains(&Duration::ZERO) && ends.contains(&Duration::from_nanos(1)));
    }
}
