//! A pack: chunks one after another, and a table of them at the end.
//!
//! ```text
//! frame*            zstd frames, each of one large chunk or of small ones one after another
//! table             a zstd frame: of each frame its lengths, and of each of its chunks kind, digest and length (postcard)
//! trailer           the length of the table, its length before it was compressed (4 bytes each, least significant first), MAGIC
//! ```
//!
//! A pack is named by the digest of all its bytes. The table is believed as little as everything else: a chunk is what its digest says.

use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;

use crate::chunks::{Kind, Name};
use crate::codec;
use crate::limits::{FRAME_MOST, PACK, PACK_CHUNKS, PACK_MOST, TABLE_MOST};

pub(crate) const MAGIC: &[u8; 8] = b"TIDEPAK1";
/// The length of what ends a pack.
pub(crate) const TRAILER: u64 = 16;

/// The table of a pack, or what an index says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) frames: Vec<Frame>,
}

/// One frame of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// Its bytes in the pack.
    pub(crate) stored: u32,
    /// Its bytes before they were compressed.
    pub(crate) raw: u32,
    pub(crate) chunks: Vec<Chunk>,
}

/// One chunk of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    pub(crate) digest: [u8; 32],
    pub(crate) length: u32,
}

/// Where a chunk lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where its frame begins.
    pub(crate) offset: u32,
    /// The bytes of the frame in the pack.
    pub(crate) stored: u32,
    /// The bytes of the frame before they were compressed.
    pub(crate) raw: u32,
    /// Where it begins in them.
    pub(crate) start: u32,
    /// Its bytes.
    pub(crate) length: u32,
}

impl Place {
    /// Whether a pack can have such a place.
    pub(crate) fn is_possible(&self) -> bool {
        u64::from(self.offset) + u64::from(self.stored) <= PACK_MOST
            && self.raw <= FRAME_MOST
            && self.start.checked_add(self.length).is_some_and(|end| end <= self.raw)
    }
}

impl Table {
    /// The chunks, each with its place; none if no pack can have this table.
    pub(crate) fn places(&self) -> Option<Vec<(Name, Place)>> {
        let mut places = Vec::new();
        let mut offset = 0_u32;
        for frame in &self.frames {
            let mut start = 0_u32;
            for chunk in &frame.chunks {
                let place =
                    Place { offset, stored: frame.stored, raw: frame.raw, start, length: chunk.length };
                if !place.is_possible() || places.len() > PACK_CHUNKS {
                    return None;
                }
                places.push((Name { kind: chunk.kind, digest: Digest::from_bytes(chunk.digest) }, place));
                start += chunk.length;
            }
            offset = offset.checked_add(frame.stored)?;
        }
        Some(places)
    }
}

/// A pack that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    table: Table,
    chunks: usize,
}

/// A full pack.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) table: Table,
}

impl Builder {
    /// Adds a compressed frame of these chunks.
    pub(crate) fn add(&mut self, stored: &[u8], chunks: Vec<Chunk>) {
        let length = |bytes: usize| u32::try_from(bytes).expect("a frame is small");
        let raw = chunks.iter().map(|chunk| chunk.length).sum();
        self.bytes.extend_from_slice(stored);
        self.chunks += chunks.len();
        self.table.frames.push(Frame { stored: length(stored.len()), raw, chunks });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= PACK || self.chunks >= PACK_CHUNKS / 2
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.frames.is_empty()
    }

    pub(crate) fn finish(self) -> Pack {
        let Self { mut bytes, table, .. } = self;
        let raw = codec::encode(&table);
        let stored = codec::compress(&raw);
        bytes.extend_from_slice(&stored);
        for length in [stored.len(), raw.len()] {
            bytes.extend_from_slice(&u32::try_from(length).expect("a table is small").to_le_bytes());
        }
        bytes.extend_from_slice(MAGIC);
        Pack { digest: Digest::of(&bytes), bytes, table }
    }
}

/// How many bytes at the end of a pack are its table and trailer, if these are the last of its bytes.
pub(crate) fn end_length(end: &[u8]) -> Option<u64> {
    let (stored, _) = trailer(end)?;
    Some(stored as u64 + TRAILER)
}

/// The table of a pack, of whose end these are at least table and trailer.
pub(crate) fn table(end: &[u8]) -> Option<Table> {
    let (stored, raw) = trailer(end)?;
    let before = end.len() - TRAILER as usize;
    let bytes = &end[before.checked_sub(stored)?..before];
    codec::decode(&codec::decompress_exactly(bytes, raw)?)
}

fn trailer(end: &[u8]) -> Option<(usize, usize)> {
    let trailer = &end[end.len().checked_sub(TRAILER as usize)?..];
    let (lengths, magic) = trailer.split_at(8);
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes")) as usize;
    let (stored, raw) = (number(&lengths[..4]), number(&lengths[4..]));
    (magic == MAGIC && stored <= TABLE_MOST && raw <= TABLE_MOST).then_some((stored, raw))
}

/// The chunk at this place of a frame's bytes, if it is what its name says. What a list lists proves itself later.
pub(crate) fn chunk<'a>(raw: &'a [u8], name: &Name, place: &Place) -> Option<&'a [u8]> {
    let start = place.start as usize;
    let bytes = raw.get(start..start + place.length as usize)?;
    (name.kind == Kind::List || Digest::of(bytes) == name.digest).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(frames: &[Vec<Vec<u8>>]) -> Pack {
        let mut builder = Builder::default();
        for frame in frames {
            let chunk = |bytes: &Vec<u8>| Chunk {
                kind: Kind::Data,
                digest: *Digest::of(bytes).as_bytes(),
                length: u32::try_from(bytes.len()).unwrap(),
            };
            builder.add(&codec::compress(&frame.concat()), frame.iter().map(chunk).collect());
        }
        builder.finish()
    }

    proptest! {
        #[test]
        fn every_chunk_is_found_by_the_table_at_the_end(
            frames in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..5), 0..5)
        ) {
            let pack = pack(&frames);
            prop_assert_eq!(pack.digest, Digest::of(&pack.bytes));
            let length = end_length(&pack.bytes).unwrap() as usize;
            let read = table(&pack.bytes[pack.bytes.len() - length..]).unwrap();
            prop_assert_eq!(&read, &pack.table);
            let places = read.places().unwrap();
            let chunks: Vec<&Vec<u8>> = frames.iter().flatten().collect();
            prop_assert_eq!(places.len(), chunks.len());
            for ((name, place), bytes) in places.iter().zip(chunks) {
                let stored = &pack.bytes[place.offset as usize..(place.offset + place.stored) as usize];
                let raw = codec::decompress_exactly(stored, place.raw as usize).unwrap();
                prop_assert_eq!(chunk(&raw, name, place), Some(bytes.as_slice()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), stored in 0_u32..200) {
            let _ = table(&bytes);
            bytes.extend_from_slice(&stored.to_le_bytes());
            bytes.extend_from_slice(&100_u32.to_le_bytes());
            bytes.extend_from_slice(MAGIC);
            let _ = table(&bytes);
            prop_assert!(end_length(&bytes).is_some());
        }
    }

    #[test]
    fn a_table_that_no_pack_can_have_is_refused() {
        let chunk = Chunk { kind: Kind::Data, digest: [0; 32], length: 10 };
        let table = |stored, raw, chunks: Vec<Chunk>| Table { frames: vec![Frame { stored, raw, chunks }] };
        assert!(table(5, 10, vec![chunk]).places().is_some());
        assert!(table(5, 9, vec![chunk]).places().is_none(), "the chunk is longer than its frame");
        assert!(table(u32::MAX, 10, vec![chunk]).places().is_none(), "no pack is so long");
        assert!(table(5, u32::MAX, vec![chunk]).places().is_none(), "no frame is so large");
    }
}
