//! The seeded split of rows into parts.
//!
//! The shuffle is Fisher and Yates's, from the last row down, on the stream of `ChaCha8` whose key is the seed (64 bits, little
//! endian, then zeros). A place below `n` is a 64-bit number of the stream modulo `n`, where numbers beyond the largest
//! multiple of `n` are skipped. All of this is fixed here, so that no new version of a library deals other rows.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// The part that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Validation,
    Test,
}

/// How many rows of hundred go where; the rest is for training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) test: f64,
    pub(super) validation: f64,
}

/// The part of every row. `strata` are groups of rows, each of which is split by itself.
pub(super) fn split(rows: usize, strata: &[Vec<usize>], shares: Shares, seed: u64) -> Vec<Part> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut stream = ChaCha8Rng::from_seed(key);
    let mut parts = vec![Part::Train; rows];
    for stratum in strata {
        let mut order = stratum.clone();
        shuffle(&mut order, &mut stream);
        let count = |share: f64| (share * order.len() as f64).round() as usize;
        let (test, rest) = order.split_at(count(shares.test).min(order.len()));
        test.iter().for_each(|row| parts[*row] = Part::Test);
        let validation = count(shares.validation).min(rest.len());
        rest[..validation].iter().for_each(|row| parts[*row] = Part::Validation);
    }
    parts
}

fn shuffle(rows: &mut [usize], stream: &mut ChaCha8Rng) {
    for last in (1..rows.len()).rev() {
        let other = below(last as u64 + 1, stream);
        rows.swap(last, other as usize);
    }
}

/// A number below `bound`, each with the same chance.
fn below(bound: u64, stream: &mut ChaCha8Rng) -> u64 {
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let number = stream.next_u64();
        if number < fair {
            return number % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows_of(parts: &[Part], part: Part) -> Vec<usize> {
        (0..parts.len()).filter(|row| parts[*row] == part).collect()
    }

    fn all(rows: usize) -> Vec<Vec<usize>> {
        vec![(0..rows).collect()]
    }

    #[test]
    fn the_rows_of_a_seed_never_change() {
        let parts = split(10, &all(10), Shares { test: 0.2, validation: 0.3 }, 7);
        assert_eq!(rows_of(&parts, Part::Test), GOLDEN_TEST);
        assert_eq!(rows_of(&parts, Part::Validation), GOLDEN_VALIDATION);
    }

    const GOLDEN_TEST: [usize; 2] = [0, 5];
    const GOLDEN_VALIDATION: [usize; 3] = [1, 4, 7];

    #[test]
    fn every_class_is_split_by_itself() {
        let strata = vec![(0..10).collect(), (10..110).collect::<Vec<_>>()];
        let parts = split(110, &strata, Shares { test: 0.2, validation: 0.1 }, 1);
        let small = |part| rows_of(&parts[..10], part).len();
        assert_eq!((small(Part::Test), small(Part::Validation), small(Part::Train)), (2, 1, 7));
        assert_eq!(rows_of(&parts, Part::Test).len(), 22);
    }

    proptest! {
        #[test]
        fn a_split_gives_each_part_its_share_and_follows_the_seed(
            rows in 0_usize..300, test in 0.0..0.5, validation in 0.0..0.5, seed: u64
        ) {
            let shares = Shares { test, validation };
            let parts = split(rows, &all(rows), shares, seed);
            prop_assert_eq!(parts.len(), rows);
            let counted = rows_of(&parts, Part::Test).len() as f64;
            prop_assert!((counted - test * rows as f64).abs() <= 0.5);
            prop_assert_eq!(&parts, &split(rows, &all(rows), shares, seed));
            if rows > 100 && test > 0.1 {
                prop_assert_ne!(&parts, &split(rows, &all(rows), shares, seed ^ 1));
            }
        }
    }
}
