//! From contents to packs: what the store lacks is read, checked, split, compressed and put together.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};

use rayon::prelude::*;
use tidemill_cache::{Cache, CacheError, Digest};

use crate::chunks::{Kind, Name, Part, encode_list, split};
use crate::codec;
use crate::known::Known;
use crate::limits::{FRAME, SPLIT};
use crate::pack::{Builder, Chunk, Pack};
use crate::progress::Progress;

/// So many bytes of small contents are read at once, at most.
const BATCH: u64 = 8 << 20;
/// So many small contents are read at once, at most.
const BATCH_FILES: usize = 4096;
/// So many chunks of a large content are dealt with at once.
const BATCH_CHUNKS: usize = 16;

/// Fills packs with what the store lacks.
pub(crate) struct Gatherer<'a> {
    cache: &'a Cache,
    known: &'a Known,
    progress: &'a Progress,
    /// Chunks that are on their way.
    sent: HashSet<Name>,
    frame: Vec<(Name, Vec<u8>)>,
    frame_bytes: usize,
    builder: Builder,
    /// Takes full packs; false: stop.
    full: Box<dyn FnMut(Pack) -> bool + 'a>,
}

/// Why contents were not gathered.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A content cannot be read, or is not what it should be.
    Cache(CacheError),
    /// Nobody takes packs any more.
    Closed,
}

impl From<CacheError> for Stop {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(
        cache: &'a Cache,
        known: &'a Known,
        progress: &'a Progress,
        full: impl FnMut(Pack) -> bool + 'a,
    ) -> Self {
        Self {
            cache,
            known,
            progress,
            sent: HashSet::new(),
            frame: Vec::new(),
            frame_bytes: 0,
            builder: Builder::default(),
            full: Box::new(full),
        }
    }

    /// Adds contents, each with its size.
    pub(crate) fn add(&mut self, contents: &[(Digest, u64)]) -> Result<(), Stop> {
        let (small, large): (Vec<_>, Vec<_>) = contents.iter().partition(|(_, size)| *size <= SPLIT);
        let mut batch: Vec<(Digest, u64)> = Vec::new();
        let mut bytes = 0;
        for (digest, size) in small {
            if !self.sent.insert(Name::data(digest)) {
                continue;
            }
            batch.push((digest, size));
            bytes += size;
            if bytes >= BATCH || batch.len() >= BATCH_FILES {
                self.add_small(&std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.add_small(&batch)?;
        for (digest, size) in large {
            if self.sent.insert(Name::list(digest)) {
                self.add_large(digest, size)?;
            }
        }
        Ok(())
    }

    /// Hands over what is not a full pack yet.
    pub(crate) fn finish(mut self) -> Result<(), Stop> {
        self.close_frame()?;
        self.hand_over()
    }

    fn add_small(&mut self, contents: &[(Digest, u64)]) -> Result<(), Stop> {
        let read = |(digest, size): &(Digest, u64)| -> Result<(Name, Vec<u8>), CacheError> {
            let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or_default());
            let mut file = self.cache.open_content(*digest)?;
            // One byte more shows that it has grown.
            let read = file.by_ref().take(*size + 1).read_to_end(&mut bytes);
            match read {
                Ok(_) if Digest::of(&bytes) == *digest => Ok((Name::data(*digest), bytes)),
                _ => Err(CacheError::Missing { digest: *digest }),
            }
        };
        let read: Vec<(Name, Vec<u8>)> = contents.par_iter().map(read).collect::<Result<_, _>>()?;
        for (name, bytes) in read {
            self.progress.done(bytes.len() as u64);
            self.progress.content_sent();
            self.add_to_frame(name, bytes)?;
        }
        Ok(())
    }

    fn add_large(&mut self, digest: Digest, size: u64) -> Result<(), Stop> {
        let damaged = || Stop::Cache(CacheError::Missing { digest });
        let file: File = self.cache.open_content(digest)?;
        let mut whole = blake3::Hasher::new();
        let mut parts: Vec<Part> = Vec::new();
        let mut chunks = split(io::BufReader::with_capacity(1 << 20, file.take(size + 1)));
        loop {
            let batch: Vec<Vec<u8>> =
                chunks.by_ref().take(BATCH_CHUNKS).collect::<io::Result<_>>().map_err(|_| damaged())?;
            if batch.is_empty() {
                break;
            }
            for chunk in &batch {
                whole.update(chunk);
            }
            let named: Vec<Name> = batch.par_iter().map(|chunk| Name::data(Digest::of(chunk))).collect();
            let there = self.known.has(&named);
            let mut new = Vec::new();
            for ((chunk, name), there) in batch.into_iter().zip(named).zip(there) {
                let length = u32::try_from(chunk.len()).expect("a chunk is small");
                self.progress.done(u64::from(length));
                parts.push(Part { digest: name.digest, length });
                if !there && self.sent.insert(name) {
                    new.push((name, chunk));
                }
            }
            let frames: Vec<(Name, u32, Vec<u8>)> = new
                .into_par_iter()
                .map(|(name, chunk)| {
                    (name, u32::try_from(chunk.len()).expect("a chunk is small"), codec::compress(&chunk))
                })
                .collect();
            for (name, length, stored) in frames {
                self.add_frame(&stored, vec![chunk_of(&name, length)])?;
            }
        }
        if Digest::from_hash(whole.finalize()) != digest {
            return Err(damaged());
        }
        self.progress.content_sent();
        // A content that is one chunk is found by its own name.
        if !matches!(parts.as_slice(), [_]) {
            self.add_to_frame(Name::list(digest), encode_list(&parts))?;
        }
        Ok(())
    }

    fn add_to_frame(&mut self, name: Name, bytes: Vec<u8>) -> Result<(), Stop> {
        if bytes.len() > FRAME {
            let stored = codec::compress(&bytes);
            let length = u32::try_from(bytes.len()).expect("a list is small");
            return self.add_frame(&stored, vec![chunk_of(&name, length)]);
        }
        self.frame_bytes += bytes.len();
        self.frame.push((name, bytes));
        if self.frame_bytes >= FRAME { self.close_frame() } else { Ok(()) }
    }

    fn close_frame(&mut self) -> Result<(), Stop> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::with_capacity(self.frame_bytes);
        let mut chunks = Vec::with_capacity(self.frame.len());
        for (name, bytes) in self.frame.drain(..) {
            chunks.push(chunk_of(&name, u32::try_from(bytes.len()).expect("a small content")));
            raw.extend_from_slice(&bytes);
        }
        self.frame_bytes = 0;
        self.add_frame(&codec::compress(&raw), chunks)
    }

    fn add_frame(&mut self, stored: &[u8], chunks: Vec<Chunk>) -> Result<(), Stop> {
        self.builder.add(stored, chunks);
        if self.builder.is_full() { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let pack = std::mem::take(&mut self.builder).finish();
        if (self.full)(pack) { Ok(()) } else { Err(Stop::Closed) }
    }
}

fn chunk_of(name: &Name, length: u32) -> Chunk {
    Chunk { kind: name.kind, digest: *name.digest.as_bytes(), length }
}

/// The names under which a content of this size may be found.
pub(crate) fn names_of(digest: Digest, size: u64) -> Vec<Name> {
    match size <= SPLIT {
        true => vec![Name { kind: Kind::Data, digest }],
        false => vec![Name { kind: Kind::List, digest }, Name { kind: Kind::Data, digest }],
    }
}
