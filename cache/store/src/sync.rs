//! Indexes: which chunks the packs of a store hold. They are written by those who push and read by those who push later, so that
//! nothing goes over the wire that is there already; and by whoever has forgotten where something lies.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;

use crate::codec;
use crate::error::StoreError;
use crate::known::PackId;
use crate::level::Level;
use crate::limits::{INDEX_MOST, INDEX_PACKS, TRANSFERS};
use crate::link::Listed;
use crate::pack::Table;
use crate::store::{Open, Store};

pub(crate) const TITLE: &str = "tidemill index 1";
/// More indexes than this are no indexes.
const INDEXES_MOST: usize = 1_000_000;

/// So many small indexes are put together.
const MANY_INDEXES: usize = 8;

#[derive(Serialize, Deserialize)]
struct Packed {
    digest: [u8; 32],
    size: u64,
    table: Table,
}

impl Store {
    /// Reads the indexes that were not read yet, once in a process.
    pub(crate) fn sync(&self, open: &Arc<Open>) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.session().synced, true) {
            return Ok(());
        }
        let levels = self.levels();
        let (store, open) = (self.clone(), Arc::clone(open));
        self.block(async move {
            for level in levels {
                open.read_indexes(&store, level).await?;
            }
            Ok(())
        })
    }
}

impl Open {
    async fn read_indexes(&self, store: &Store, level: Level) -> Result<(), StoreError> {
        let listed = self.link.list(&self.layout.indexes(level), INDEXES_MOST).await?;
        let unread =
            listed.into_iter().map(|listed| listed.name).filter(|name| !self.known.has_read(level, name));
        let read = |name: String| async move {
            let path = self.layout.index(level, &name);
            (self.link.get(&path, INDEX_MOST as u64).await, path, name)
        };
        let mut read =
            std::pin::pin!(futures_util::stream::iter(unread).map(read).buffer_unordered(TRANSFERS));
        while let Some((bytes, path, name)) = read.next().await {
            // It may have been put together with others meanwhile.
            let Some(bytes) = bytes? else { continue };
            match decode(&bytes, level) {
                Some(packs) => {
                    self.known.learn_all(&packs, true);
                    self.known.note_read(level, &name);
                }
                None => {
                    store
                        .tell(format!("{}; it is passed over", StoreError::damaged(&path, "it is no index")));
                }
            }
        }
        Ok(())
    }

    /// Writes an index of packs that are in the store.
    pub(crate) async fn write_index(
        &self,
        level: Level,
        packs: &[(PackId, Table)],
    ) -> Result<(), StoreError> {
        for packs in packs.chunks(INDEX_PACKS) {
            let name = self.put_index(level, packs).await?;
            self.known.note_read(level, &name);
        }
        Ok(())
    }

    /// Writes an index of a few packs; its name.
    async fn put_index(&self, level: Level, packs: &[(PackId, Table)]) -> Result<String, StoreError> {
        let name = unique();
        self.link.put(&self.layout.index(level, &name), encode(packs).into()).await?;
        Ok(name)
    }

    /// Puts indexes of a level together: those that list packs which are `gone`, without these, and small ones, if they are many.
    /// Whoever reads one that is removed meanwhile misses what it lists, and sends that again.
    pub(crate) async fn join_indexes(&self, level: Level, gone: &HashSet<Digest>) -> Result<(), StoreError> {
        let (mut touched, mut small) = (Vec::new(), Vec::new());
        for Listed { name, .. } in self.link.list(&self.layout.indexes(level), INDEXES_MOST).await? {
            let Some(packs) = self.tables(level, &name).await? else { continue };
            if packs.iter().any(|(pack, _)| gone.contains(&pack.digest)) {
                touched.push(name);
            } else if packs.len() < INDEX_PACKS / 2 {
                small.push(name);
            }
        }
        if small.len() >= MANY_INDEXES {
            touched.append(&mut small);
        }
        let mut seen = gone.clone();
        let mut joined = Vec::new();
        for name in &touched {
            let packs = self.tables(level, name).await?.unwrap_or_default();
            joined.extend(packs.into_iter().filter(|(pack, _)| seen.insert(pack.digest)));
            while joined.len() >= INDEX_PACKS {
                let rest = joined.split_off(INDEX_PACKS);
                self.put_index(level, &std::mem::replace(&mut joined, rest)).await?;
            }
        }
        if !joined.is_empty() {
            self.put_index(level, &joined).await?;
        }
        for name in &touched {
            self.link.remove(&self.layout.index(level, name)).await?;
        }
        Ok(())
    }

    /// The packs that an index lists, with their tables; none if it is gone, or no index.
    async fn tables(&self, level: Level, name: &str) -> Result<Option<Vec<(PackId, Table)>>, StoreError> {
        let bytes = match self.link.get(&self.layout.index(level, name), INDEX_MOST as u64).await {
            Err(StoreError::Damaged { .. }) => None,
            got => got?,
        };
        let packs = bytes.and_then(|bytes| opened(&bytes)).map(|packs| {
            let pack = |packed: Packed| {
                let id = PackId { level, digest: Digest::from_bytes(packed.digest), size: packed.size };
                (id, packed.table)
            };
            packs.into_iter().map(pack).collect()
        });
        Ok(packs)
    }
}

/// A name that says when it was given, and that nobody else gives.
pub(crate) fn unique() -> String {
    format!("{:015}-{:016x}", jiff::Timestamp::now().as_millisecond(), rand::rng().random::<u64>())
}

fn encode(packs: &[(PackId, Table)]) -> Vec<u8> {
    codec::seal(TITLE, &codec::compress(&body(packs)))
}

pub(crate) fn body(packs: &[(PackId, Table)]) -> Vec<u8> {
    let packed = |(pack, table): &(PackId, Table)| Packed {
        digest: *pack.digest.as_bytes(),
        size: pack.size,
        table: table.clone(),
    };
    let packed: Vec<Packed> = packs.iter().map(packed).collect();
    codec::encode(&packed)
}

type Packs = Vec<(PackId, Vec<(crate::chunks::Name, crate::pack::Place)>)>;

/// The packs of a level that an index lists.
pub(crate) fn decode(bytes: &[u8], level: Level) -> Option<Packs> {
    let pack = |packed: Packed| {
        let pack = PackId { level, digest: Digest::from_bytes(packed.digest), size: packed.size };
        Some((pack, packed.table.places()?))
    };
    opened(bytes)?.into_iter().map(pack).collect()
}

fn opened(bytes: &[u8]) -> Option<Vec<Packed>> {
    codec::decode(&codec::decompress(codec::open(TITLE, bytes)?, INDEX_MOST)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunks::Kind;
    use crate::pack::{Chunk, Frame};

    #[test]
    fn an_index_is_read_back() {
        let pack = PackId { level: Level::Ci, digest: Digest::of(b"pack"), size: 500 };
        let chunk = Chunk { kind: Kind::Data, digest: *Digest::of(b"chunk").as_bytes(), length: 7 };
        let table = Table { frames: vec![Frame { stored: 5, raw: 7, chunks: vec![chunk] }] };
        let bytes = encode(&[(pack, table.clone())]);
        assert_eq!(decode(&bytes, Level::Ci), Some(vec![(pack, table.places().unwrap())]));
        let elsewhere = decode(&bytes, Level::Fork).unwrap()[0].0.level;
        assert_eq!(elsewhere, Level::Fork, "an index speaks of packs of its own level only");
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&codec::seal(TITLE, &codec::compress(&body)), Level::Ci);
            prop_assert_eq!(decode(&body, Level::Ci), None);
        }
    }
}
