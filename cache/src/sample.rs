//! A sample of blobs: which ones is decided by a seed, so that the same sample can be taken again.

use std::str::FromStr;

use crate::layout::Blob;

/// A sample of the blobs of a cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How many.
    pub size: SampleSize,
    /// Decides which.
    pub seed: u64,
}

/// How many blobs are in a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleSize {
    /// So many of a hundred, rounded up.
    Percent(f64),
    /// So many.
    Count(usize),
}

/// A text that says no size.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text:?} is no size of a sample: write a share such as `5%`, or a number")]
pub struct InvalidSample {
    text: String,
}

impl FromStr for SampleSize {
    type Err = InvalidSample;

    fn from_str(text: &str) -> Result<Self, InvalidSample> {
        let size = match text.strip_suffix('%') {
            Some(share) => {
                share.trim().parse().ok().filter(|share| (0.0..=100.0).contains(share)).map(Self::Percent)
            }
            None => text.parse().ok().map(Self::Count),
        };
        size.ok_or_else(|| InvalidSample { text: text.to_owned() })
    }
}

impl Sample {
    /// Leaves so many of the blobs as the sample has. Each is as likely as every other one: those stay whose hash with the seed is
    /// smallest.
    pub(crate) fn take(&self, mut blobs: Vec<(Blob, u64)>) -> Vec<(Blob, u64)> {
        let hash = |blob: &Blob| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.seed.to_le_bytes()).update(blob.to_string().as_bytes());
            *hasher.finalize().as_bytes()
        };
        let count = self.size.of(blobs.len());
        blobs.sort_by_cached_key(|(blob, _)| hash(blob));
        blobs.truncate(count);
        blobs.sort_unstable();
        blobs
    }
}

impl SampleSize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of files, which is far below 2^52, is between 0 and that number"
    )]
    fn of(self, all: usize) -> usize {
        match self {
            Self::Percent(share) => ((all as f64 * share / 100.0).ceil() as usize).min(all),
            Self::Count(count) => count.min(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Digest;

    fn blobs(count: u8) -> Vec<(Blob, u64)> {
        let mut blobs: Vec<_> =
            (0..count).map(|number| (Blob { digest: Digest::of(&[number]), executable: false }, 1)).collect();
        blobs.sort_unstable();
        blobs
    }

    #[test]
    fn the_seed_decides_which() {
        let take = |seed: u64| Sample { size: SampleSize::Count(5), seed }.take(blobs(100));
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let seen: BTreeSet<(Blob, u64)> = (0..200).flat_map(take).collect();
        assert_eq!(seen.len(), 100, "every one has its turn");
    }

    #[test]
    fn the_size_is_a_share_or_a_number() {
        let of = |text: &str| {
            text.parse::<SampleSize>().map(|size| size.of(30)).map_err(|error| error.to_string())
        };
        assert_eq!((of("5%"), of("0%"), of("100%"), of("0.1 %")), (Ok(2), Ok(0), Ok(30), Ok(1)));
        assert_eq!((of("7"), of("70")), (Ok(7), Ok(30)));
        for wrong in ["", "%", "-1", "101%", "x%", "1.5"] {
            assert!(of(wrong).unwrap_err().contains("`5%`"), "{wrong}");
        }
    }
}
