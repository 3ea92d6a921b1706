//! How large things may be. What is larger is refused before it is held in memory, whoever sent it.

/// A content of at most so many bytes is one chunk.
pub(crate) const SPLIT: u64 = 256 << 10;
/// The chunks of larger contents: at least, on average, at most. Changing them makes all large contents go over the wire once more.
pub(crate) const CHUNK_LEAST: usize = 256 << 10;
/// See [`CHUNK_LEAST`].
pub(crate) const CHUNK_AVERAGE: usize = 1 << 20;
/// See [`CHUNK_LEAST`].
pub(crate) const CHUNK_MOST: usize = 4 << 20;

/// Small chunks are compressed together until so many bytes are there.
pub(crate) const FRAME: usize = 256 << 10;
/// No frame holds more, before it was compressed: a chunk, or small ones with one more.
pub(crate) const FRAME_MOST: u32 = (CHUNK_MOST + FRAME) as u32;

/// A pack is full from so many bytes on.
pub(crate) const PACK: usize = 16 << 20;
/// No pack is larger.
pub(crate) const PACK_MOST: u64 = 64 << 20;
/// A pack is full with so many chunks.
pub(crate) const PACK_CHUNKS: usize = 1 << 16;
/// No table of a pack is larger, before it was compressed.
pub(crate) const TABLE_MOST: usize = 8 << 20;

/// The table of a pack has most often fewer bytes: so many are read from the end of a pack at first.
pub(crate) const TABLE_GUESS: u64 = 64 << 10;

/// No record of a result is larger.
pub(crate) const RECORD_MOST: u64 = 32 << 20;
/// A record names the places of at most so many chunks; of more, only the packs.
pub(crate) const RECORD_CHUNKS: usize = 1024;

/// A note of use names at most so many results.
pub(crate) const USED_KEYS: usize = 1 << 16;
/// No note of use is larger.
pub(crate) const USED_MOST: u64 = 32 * USED_KEYS as u64 + 100;

/// An index file lists the chunks of at most so many packs.
pub(crate) const INDEX_PACKS: usize = 64;
/// No index file is larger, before it was compressed.
pub(crate) const INDEX_MOST: usize = INDEX_PACKS * TABLE_MOST;

/// The list of the chunks of a content names at most so many: of chunks of the least size, contents of 4 TiB.
pub(crate) const LIST_CHUNKS: u64 = 1 << 24;

/// So many requests are under way at most.
pub(crate) const REQUESTS: usize = 48;
/// So many packs, or parts of packs, are under way at most.
pub(crate) const TRANSFERS: usize = 6;
/// Parts of a pack with at most so many bytes between them are fetched as one.
pub(crate) const GAP: u64 = 128 << 10;
/// One request fetches at most so many bytes.
pub(crate) const RANGE: u64 = 8 << 20;
