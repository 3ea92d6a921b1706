//! Indexes: which chunks the packs of a store hold. They are written by those who push and read by those who push later, so that
//! nothing goes over the wire that is there already; and by whoever has forgotten where something lies.

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
use crate::pack::Table;
use crate::store::{Open, Store};

pub(crate) const TITLE: &str = "tidemill index 1";
/// More indexes than this are no indexes.
const INDEXES_MOST: usize = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Listed {
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
        let mut levels = self.trusted();
        levels.push(self.inner.settings.level);
        levels.sort_unstable();
        levels.dedup();
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
            let name = format!(
                "{:015}-{:016x}",
                jiff::Timestamp::now().as_millisecond(),
                rand::rng().random::<u64>()
            );
            self.link.put(&self.layout.index(level, &name), encode(packs).into()).await?;
            self.known.note_read(level, &name);
        }
        Ok(())
    }
}

fn encode(packs: &[(PackId, Table)]) -> Vec<u8> {
    codec::seal(TITLE, &codec::compress(&body(packs)))
}

pub(crate) fn body(packs: &[(PackId, Table)]) -> Vec<u8> {
    let listed = |(pack, table): &(PackId, Table)| Listed {
        digest: *pack.digest.as_bytes(),
        size: pack.size,
        table: table.clone(),
    };
    let listed: Vec<Listed> = packs.iter().map(listed).collect();
    codec::encode(&listed)
}

type Packs = Vec<(PackId, Vec<(crate::chunks::Name, crate::pack::Place)>)>;

/// The packs of a level that an index lists.
pub(crate) fn decode(bytes: &[u8], level: Level) -> Option<Packs> {
    let body = codec::decompress(codec::open(TITLE, bytes)?, INDEX_MOST)?;
    let listed: Vec<Listed> = codec::decode(&body)?;
    let pack = |listed: Listed| {
        let pack = PackId { level, digest: Digest::from_bytes(listed.digest), size: listed.size };
        Some((pack, listed.table.places()?))
    };
    listed.into_iter().map(pack).collect()
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
