//! Results, found by their keys.

use std::sync::{Arc, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tidemill_cache::{Cache, Key};

use crate::error::StoreError;
use crate::known::PackId;
use crate::layout::Mark;
use crate::level::Level;
use crate::limits::{RECORD_MOST, REQUESTS};
use crate::record::Record;
use crate::store::{Open, Store};

/// A result in the store.
pub(crate) struct Found {
    pub(crate) level: Level,
    pub(crate) number: u64,
    pub(crate) record: Record,
}

impl Store {
    /// Looks results up, and keeps what is found in the cache; how many that are.
    pub(crate) fn look_up_results(&self, cache: &Cache, keys: &[Key]) -> u64 {
        let keys: Vec<Key> = {
            let mut session = self.session();
            keys.iter().copied().filter(|key| session.asked.insert(*key)).collect()
        };
        if keys.is_empty() {
            return 0;
        }
        let Some(open) = self.open_if_there() else { return 0 };
        self.heed_withdrawals(cache, &open);
        let trusted = self.trusted();
        let found = {
            let open = Arc::clone(&open);
            self.block(async move {
                let look_up = |key: Key| {
                    let (open, trusted) = (&open, &trusted);
                    async move { (key, open.find(&key, trusted).await) }
                };
                futures_util::stream::iter(keys)
                    .map(look_up)
                    .buffer_unordered(REQUESTS)
                    .collect::<Vec<_>>()
                    .await
            })
        };
        let mut kept = 0;
        for (key, found) in found {
            match found {
                Ok(None) => {}
                Ok(Some(found)) => match self.take_over(cache, &open, found) {
                    Ok(()) => kept += 1,
                    Err(error) => {
                        tracing::warn!(%key, %error, "a result of the store cannot be kept here");
                    }
                },
                Err(error) if error.is_outage() => {
                    self.lose(&error);
                    break;
                }
                Err(error) => self.tell(format!("{error}; its step runs as if there were none")),
            }
        }
        kept
    }

    /// Keeps a result, and where its contents lie. A result that was withdrawn here does not come back.
    fn take_over(&self, cache: &Cache, open: &Open, found: Found) -> Result<(), StoreError> {
        let Found { level, number, record } = found;
        if cache.is_withdrawn(&record.result)? {
            return Ok(());
        }
        let mut packs: Vec<(PackId, Vec<_>)> = record.packs.iter().map(|pack| (*pack, Vec::new())).collect();
        for (name, pack, place) in &record.chunks {
            if let Ok(at) = record.packs.binary_search(pack) {
                packs[at].1.push((*name, *place));
            }
        }
        open.known.learn_all(&packs, false);
        // Where all chunks are named, nothing else is there.
        if record.chunks.is_empty() {
            for artifact in record.result.artifacts() {
                open.known.learn_content(artifact.digest, &record.packs);
            }
        }
        let key = record.result.key;
        let kept = cache.take_over(&record.recipe, record.result)?;
        open.known.note_result(&key, kept.number, level, number);
        Ok(())
    }
}

impl Open {
    /// The newest result of a key that counts, of the most trusted level that has one.
    async fn find(&self, key: &Key, trusted: &[Level]) -> Result<Option<Found>, StoreError> {
        let by_level = join_all(trusted.iter().map(|level| self.find_at(key, *level, trusted))).await;
        let mut damage = None;
        for found in by_level {
            match found {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => damage = Some(error),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// The newest result of a key at a level that counts.
    pub(crate) async fn find_at(
        &self,
        key: &Key,
        level: Level,
        trusted: &[Level],
    ) -> Result<Option<Found>, StoreError> {
        let mut damage = None;
        for number in self.numbers(key, level) {
            let path = self.layout.result(level, key, number);
            let Some(bytes) = self.link.get(&path, RECORD_MOST).await? else { continue };
            match Record::decode(&bytes, key, number, trusted) {
                Some(record) => return Ok(Some(Found { level, number, record })),
                None => damage = Some(StoreError::damaged(&path, "it is no record of a result of this key")),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// The numbers under which results of a key that count may lie at a level, the newest first.
    pub(crate) fn numbers(&self, key: &Key, level: Level) -> Vec<u64> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_level = |wanted: Mark| {
            let marks = marks.get(key).into_iter().flatten();
            marks.filter(move |(at, _, mark)| *at == level && *mark == wanted).map(|(_, number, _)| *number)
        };
        let mut numbers: Vec<u64> = of_level(Mark::Later).chain([1]).collect();
        numbers.retain(|number| !of_level(Mark::Withdrawn).any(|withdrawn| withdrawn == *number));
        numbers.sort_unstable();
        numbers.dedup();
        numbers.reverse();
        numbers
    }

    /// The number after all that a key has at a level.
    pub(crate) fn next_number(&self, key: &Key, level: Level) -> u64 {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = marks.get(key).into_iter().flatten().filter(|(at, ..)| *at == level);
        marks.map(|(_, number, _)| *number).max().unwrap_or(1).max(1) + 1
    }

    /// Notes a mark that was just written.
    pub(crate) fn note_mark(&self, key: Key, level: Level, number: u64, mark: Mark) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.entry(key).or_default().push((level, number, mark));
    }
}
