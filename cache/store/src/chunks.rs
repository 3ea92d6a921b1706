//! How a large content is split: where its own bytes say so (`FastCDC`, Xia et al. 2020), so that what was put in at the front moves
//! no border behind it.

use std::io::{self, Read};

use fastcdc::v2020::StreamCDC;
use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;

use crate::limits::{CHUNK_AVERAGE, CHUNK_LEAST, CHUNK_MOST};

/// What the bytes of a chunk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Bytes of a content; they are named by their own digest.
    Data,
    /// The list of the chunks of a content, which are named by the digest of that content.
    List,
}

impl Kind {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::List => 1,
        }
    }
}

/// The name of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
}

impl Name {
    pub(crate) fn data(digest: Digest) -> Self {
        Self { kind: Kind::Data, digest }
    }

    pub(crate) fn list(digest: Digest) -> Self {
        Self { kind: Kind::List, digest }
    }
}

/// One chunk of a large content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digest: Digest,
    pub(crate) length: u32,
}

/// Splits what is read; each chunk comes as its bytes.
pub(crate) fn split<R: Read>(source: R) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    StreamCDC::new(source, CHUNK_LEAST, CHUNK_AVERAGE, CHUNK_MOST)
        .map(|chunk| chunk.map(|chunk| chunk.data).map_err(io::Error::from))
}

/// A list as bytes: of each chunk its digest and its length in four bytes, the least significant first.
pub(crate) fn encode_list(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.len() * 36);
    for part in parts {
        bytes.extend_from_slice(part.digest.as_bytes());
        bytes.extend_from_slice(&part.length.to_le_bytes());
    }
    bytes
}

/// The list that these bytes are, if its chunks make up a content of this size.
pub(crate) fn decode_list(bytes: &[u8], size: u64) -> Option<Vec<Part>> {
    let (parts, rest) = bytes.as_chunks::<36>();
    let parts: Vec<Part> = parts
        .iter()
        .map(|part| {
            let (digest, length) = part.split_at(32);
            Part {
                digest: Digest::from_bytes(digest.try_into().expect("32 bytes")),
                length: u32::from_le_bytes(length.try_into().expect("4 bytes")),
            }
        })
        .collect();
    let sum: u64 = parts.iter().map(|part| u64::from(part.length)).sum();
    let fits = |part: &Part| part.length > 0 && part.length as usize <= CHUNK_MOST;
    (rest.is_empty() && sum == size && parts.iter().all(fits)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use rand::{RngCore as _, SeedableRng as _};

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        rand::rngs::StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
        bytes
    }

    fn digests(bytes: &[u8]) -> Vec<Digest> {
        split(bytes).map(|chunk| Digest::of(&chunk.unwrap())).collect()
    }

    #[test]
    fn borders_stay_where_they_are_for_ever() {
        // Where they lie decides what goes over the wire for everybody who has a store already.
        let mut bytes = vec![0; 12_000_000];
        blake3::Hasher::new().update(b"borders").finalize_xof().fill(&mut bytes);
        let lengths: Vec<usize> = split(bytes.as_slice()).map(|chunk| chunk.unwrap().len()).collect();
        assert_eq!(lengths.iter().sum::<usize>(), bytes.len());
        assert_eq!(lengths, GOLDEN);
    }

    const GOLDEN: &[usize] =
        &[276490, 827376, 1279660, 1206118, 1512741, 826954, 2684925, 905500, 705882, 849156, 925198];

    #[test]
    fn a_line_at_the_front_changes_few_chunks() {
        let bytes = noise(40 << 20);
        let before = digests(&bytes);
        let mut longer = b"one line more\n".to_vec();
        longer.extend_from_slice(&bytes);
        let after = digests(&longer);
        let new = after.iter().filter(|digest| !before.contains(digest)).count();
        assert!(before.len() > 20 && new <= 2, "{new} of {} chunks are new", before.len());
    }

    #[test]
    fn a_list_is_read_back_and_has_to_add_up() {
        let part = |length| Part { digest: Digest::of(b"x"), length };
        let parts = vec![part(5), part(1 << 20)];
        let bytes = encode_list(&parts);
        assert_eq!(decode_list(&bytes, 5 + (1 << 20)), Some(parts));
        assert_eq!(decode_list(&bytes, 5), None);
        assert_eq!(decode_list(&bytes[1..], 5 + (1 << 20)), None);
        assert_eq!(decode_list(&encode_list(&[part(0)]), 0), None);
        assert_eq!(decode_list(&encode_list(&[part(u32::MAX)]), u64::from(u32::MAX)), None);
    }
}
