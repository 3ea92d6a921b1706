//! What a collection of garbage in a store would remove: results that nobody has used for long and that nothing which stays was
//! made of, and packs that no result names any more.
//!
//! A store does not know who needs what. So a result stays if one of these holds:
//!
//! - it was written, or noted as [used](crate::used), within the time that is asked for;
//! - whoever collects refers to it;
//! - something that stays was made of what it gave.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;
use serde::Serialize;
use tidemill_cache::{Digest, Key};

use crate::codec;
use crate::error::StoreError;
use crate::known::PackId;
use crate::layout::parse_result;
use crate::level::Level;
use crate::limits::{RECORD_MOST, REQUESTS, USED_MOST};
use crate::link::Listed;
use crate::record::{self, Record};
use crate::status::OBJECTS_MOST;
use crate::store::{Open, Store};
use crate::used;

/// A pack that no result names may be one of a push that goes on: it goes when it is so old.
const SETTLED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What must stay in a store.
#[derive(Debug, Clone)]
pub struct Keep {
    /// What was written or used within this time.
    pub used_within: Duration,
    /// The results of these keys.
    pub keys: HashSet<Key>,
    /// The results that gave one of these contents.
    pub digests: HashSet<Digest>,
    /// What the canonical bytes of a recipe say that was read: a result stays if something that stays read what it gave.
    pub reads: fn(&[u8]) -> Vec<Digest>,
}

/// What a collection of garbage in a store removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// The level at which it does: nothing else is removed.
    pub level: Level,
    /// The results that go, the oldest first.
    pub results: Vec<Unused>,
    /// How many packs go.
    pub packs: usize,
    /// The bytes of these.
    pub bytes: u64,
    /// How many results stay at this level.
    pub kept_results: usize,
    /// How many packs stay at this level.
    pub kept_packs: usize,
    /// The bytes of these.
    pub kept_bytes: u64,
    /// What cannot be read, of all levels. It stays until it is old, and keeps nothing.
    pub damaged: Vec<String>,
}

/// A result that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Its key.
    pub key: Key,
    /// Its number in the store.
    pub number: u64,
    /// The pipeline that made it; empty if it cannot be read.
    pub pipeline: String,
    /// The step that made it.
    pub step: String,
    /// When it was written to the store.
    pub written: Timestamp,
}

/// A result in a store, as far as it matters here.
#[derive(Debug)]
struct Stored {
    level: Level,
    key: Key,
    number: u64,
    written: Timestamp,
    /// None if it cannot be read.
    content: Option<Content>,
}

#[derive(Debug)]
struct Content {
    pipeline: String,
    step: String,
    gave: Vec<Digest>,
    read: Vec<Digest>,
    packs: Vec<PackId>,
}

/// All results of a store, and the packs of one level.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    stored: Vec<Stored>,
    packs: Vec<(PackId, Timestamp)>,
    used: HashSet<Key>,
}

/// What goes, by its places in a survey.
#[derive(Debug)]
pub(crate) struct Verdict {
    results: Vec<usize>,
    packs: Vec<usize>,
}

impl Store {
    /// What a collection of garbage would remove now at the level that is written from here.
    ///
    /// # Errors
    /// If the store cannot be reached, refuses access, or has results of a newer version.
    pub fn garbage(&self, keep: &Keep) -> Result<Garbage, StoreError> {
        let open = self.open()?;
        let (survey, verdict) = self.judge(&open, keep, Timestamp::now())?;
        Ok(survey.garbage(&verdict, self.inner.settings.level))
    }

    /// Finds out what goes if it is so late.
    pub(crate) fn judge(
        &self,
        open: &Arc<Open>,
        keep: &Keep,
        now: Timestamp,
    ) -> Result<(Survey, Verdict), StoreError> {
        let level = self.inner.settings.level;
        let since = now.checked_sub(keep.used_within).unwrap_or(Timestamp::MIN);
        let (way, reads) = (Arc::clone(open), keep.reads);
        let survey = self.block(async move { Survey::make(&way, level, since, reads).await })?;
        let settled = now.checked_sub(SETTLED).unwrap_or(Timestamp::MIN);
        let verdict = survey.verdict(level, keep, since, settled);
        Ok((survey, verdict))
    }
}

impl Survey {
    async fn make(
        open: &Open,
        own: Level,
        since: Timestamp,
        reads: fn(&[u8]) -> Vec<Digest>,
    ) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        // Packs first: what comes while results are read is younger than any that goes.
        let mut packs: BTreeMap<Digest, (u64, Timestamp)> = BTreeMap::new();
        for Listed { name, size, modified } in open.link.list(&open.layout.packs(own), OBJECTS_MOST).await? {
            let Some(digest) = name.parse().ok().filter(|digest: &Digest| digest.to_string() == name) else {
                continue;
            };
            let (_, written) = packs.entry(digest).or_insert((size, modified));
            *written = modified.max(*written);
        }
        let pack = |(digest, (size, written))| (PackId { level: own, digest, size }, written);
        survey.packs = packs.into_iter().map(pack).collect();
        survey.look_again(open, reads).await?;
        for level in Level::ALL {
            survey.read_uses(open, level, since).await?;
        }
        Ok(survey)
    }

    /// Reads the results that were not read yet, and forgets those that are gone.
    async fn look_again(&mut self, open: &Open, reads: fn(&[u8]) -> Vec<Digest>) -> Result<(), StoreError> {
        let mut listed: BTreeMap<(Level, Key, u64), Timestamp> = BTreeMap::new();
        for level in Level::ALL {
            for object in open.link.list(&open.layout.results(level), OBJECTS_MOST).await? {
                let Some((key, number)) = parse_result(&object.name) else { continue };
                let written = listed.entry((level, key, number)).or_insert(object.modified);
                *written = object.modified.max(*written);
            }
        }
        self.stored.retain(|stored| {
            let name = (stored.level, stored.key, stored.number);
            listed.get(&name).is_some_and(|written| *written == stored.written)
        });
        for stored in &self.stored {
            listed.remove(&(stored.level, stored.key, stored.number));
        }
        let read = |((level, key, number), written): ((Level, Key, u64), Timestamp)| async move {
            let path = open.layout.result(level, &key, number);
            let bytes = match open.link.get(&path, RECORD_MOST).await {
                Err(StoreError::Damaged { .. }) => Some(bytes::Bytes::new()),
                got => got?,
            };
            // Somebody else may have removed it meanwhile.
            let Some(bytes) = bytes else { return Ok(None) };
            refuse_newer(record::TITLE, &bytes)?;
            if Record::is_strange(&bytes) {
                let reason = "it is whole, and this version cannot read it, so it removes nothing";
                return Err(StoreError::damaged(&path, reason));
            }
            let content = Record::decode(&bytes, &key, number, &Level::ALL);
            let content = content.map(|record| Content::of(record, reads));
            Ok::<_, StoreError>(Some(Stored { level, key, number, written, content }))
        };
        let mut results =
            std::pin::pin!(futures_util::stream::iter(listed).map(read).buffer_unordered(REQUESTS));
        while let Some(stored) = results.next().await {
            self.stored.extend(stored?);
        }
        Ok(())
    }

    async fn read_uses(&mut self, open: &Open, level: Level, since: Timestamp) -> Result<(), StoreError> {
        let notes = open.link.list(&open.layout.uses(level), OBJECTS_MOST).await?;
        let names = notes.into_iter().filter(|note| counts(note.modified, since)).map(|note| note.name);
        let read = |name: String| async move {
            match open.link.get(&open.layout.used(level, &name), USED_MOST).await {
                Err(StoreError::Damaged { .. }) => Ok(None),
                got => got,
            }
        };
        let mut notes =
            std::pin::pin!(futures_util::stream::iter(names).map(read).buffer_unordered(REQUESTS));
        while let Some(note) = notes.next().await {
            let Some(note) = note? else { continue };
            refuse_newer(used::TITLE, &note)?;
            self.used.extend(used::decode(&note).into_iter().flatten());
        }
        Ok(())
    }

    /// What goes of a level: results that are older than `since`, packs that are older than `settled`.
    fn verdict(&self, own: Level, keep: &Keep, since: Timestamp, settled: Timestamp) -> Verdict {
        let stays = self.reached(keep, since);
        let results: Vec<usize> = (0..self.stored.len())
            .filter(|place| self.stored[*place].level == own && !stays.contains(place))
            .collect();
        let going: HashSet<usize> = results.iter().copied().collect();
        // Also what is old at another level stays, as long as nobody collects there.
        let named = self.named(&going);
        let is_garbage = |(pack, written): &(PackId, Timestamp)| {
            *written < settled && !named.contains(&(pack.level, pack.digest))
        };
        let packs = (0..self.packs.len()).filter(|place| is_garbage(&self.packs[*place])).collect();
        Verdict { results, packs }
    }

    /// The packs that results name, but for those at these places.
    fn named(&self, without: &HashSet<usize>) -> HashSet<(Level, Digest)> {
        (self.stored.iter().enumerate())
            .filter(|(place, _)| !without.contains(place))
            .filter_map(|(_, stored)| stored.content.as_ref())
            .flat_map(|content| content.packs.iter().map(|pack| (pack.level, pack.digest)))
            .collect()
    }

    /// The places of the results that stay.
    fn reached(&self, keep: &Keep, since: Timestamp) -> HashSet<usize> {
        let (mut of_key, mut makers) = (HashMap::new(), HashMap::new());
        for (place, stored) in self.stored.iter().enumerate() {
            of_key.entry(stored.key).or_insert_with(Vec::new).push(place);
            for digest in stored.content.iter().flat_map(|content| &content.gave) {
                makers.entry(*digest).or_insert_with(Vec::new).push(place);
            }
        }
        let is_root = |stored: &Stored| {
            let gave = || stored.content.iter().flat_map(|content| &content.gave);
            stored.written >= since
                || self.used.contains(&stored.key)
                || keep.keys.contains(&stored.key)
                || gave().any(|digest| keep.digests.contains(digest))
        };
        let roots = (0..self.stored.len()).filter(|place| is_root(&self.stored[*place]));
        let (mut found, mut reached) = (roots.collect::<Vec<_>>(), HashSet::new());
        while let Some(place) = found.pop() {
            if !reached.insert(place) {
                continue;
            }
            let stored = &self.stored[place];
            found.extend(&of_key[&stored.key]);
            for digest in stored.content.iter().flat_map(|content| &content.read) {
                found.extend(makers.get(digest).into_iter().flatten());
            }
        }
        reached
    }

    /// The packs that go, but for those that results name which came since.
    pub(crate) async fn spare(
        &mut self,
        verdict: Verdict,
        open: &Open,
        reads: fn(&[u8]) -> Vec<Digest>,
    ) -> Result<Vec<PackId>, StoreError> {
        let packs: Vec<PackId> = verdict.packs.iter().map(|place| self.packs[*place].0).collect();
        if packs.is_empty() {
            return Ok(packs);
        }
        self.look_again(open, reads).await?;
        let named = self.named(&HashSet::new());
        Ok(packs.into_iter().filter(|pack| !named.contains(&(pack.level, pack.digest))).collect())
    }

    /// Where the results lie that go.
    pub(crate) fn paths(&self, verdict: &Verdict, open: &Open) -> Vec<Path> {
        let stored = verdict.results.iter().map(|place| &self.stored[*place]);
        stored.map(|stored| open.layout.result(stored.level, &stored.key, stored.number)).collect()
    }

    /// The same in words and figures.
    pub(crate) fn garbage(&self, verdict: &Verdict, level: Level) -> Garbage {
        let mut results: Vec<Unused> =
            verdict.results.iter().map(|place| Unused::of(&self.stored[*place])).collect();
        results.sort_by_key(|result| (result.written, result.key, result.number));
        let bytes: u64 = verdict.packs.iter().map(|place| self.packs[*place].0.size).sum();
        let all: u64 = self.packs.iter().map(|(pack, _)| pack.size).sum();
        let own = self.stored.iter().filter(|stored| stored.level == level).count();
        let damaged = self.stored.iter().filter(|stored| stored.content.is_none());
        let name = |stored: &Stored| format!("{}/results/{}.{}", stored.level, stored.key, stored.number);
        Garbage {
            level,
            packs: verdict.packs.len(),
            bytes,
            kept_results: own - results.len(),
            kept_packs: self.packs.len() - verdict.packs.len(),
            kept_bytes: all - bytes,
            damaged: damaged.map(name).collect(),
            results,
        }
    }
}

impl Garbage {
    /// The same if only these packs go.
    pub(crate) fn with_packs(self, packs: usize, bytes: u64) -> Self {
        Self {
            kept_packs: self.kept_packs + self.packs - packs,
            kept_bytes: self.kept_bytes + self.bytes - bytes,
            packs,
            bytes,
            ..self
        }
    }
}

impl Verdict {
    /// Whether nothing goes.
    pub(crate) fn is_empty(&self) -> bool {
        self.results.is_empty() && self.packs.is_empty()
    }
}

impl Content {
    fn of(record: Record, reads: fn(&[u8]) -> Vec<Digest>) -> Self {
        let Record { result, recipe, packs, .. } = record;
        Self {
            gave: result.outputs.values().flatten().map(|artifact| artifact.digest).collect(),
            read: reads(&recipe),
            packs,
            pipeline: result.pipeline,
            step: result.step,
        }
    }
}

impl Unused {
    fn of(stored: &Stored) -> Self {
        let named =
            |of: fn(&Content) -> &String| stored.content.as_ref().map(of).cloned().unwrap_or_default();
        Self {
            key: stored.key,
            number: stored.number,
            pipeline: named(|content| &content.pipeline),
            step: named(|content| &content.step),
            written: stored.written,
        }
    }
}

/// Whether a note of use that was written then counts: the same use may have been left unnoted for a while.
pub(crate) fn counts(written: Timestamp, since: Timestamp) -> bool {
    let again = SignedDuration::from_secs(used::AGAIN);
    written.checked_add(again).map_or(true, |last| last >= since)
}

/// Nobody removes anything who cannot tell what a newer version has written.
fn refuse_newer(title: &str, bytes: &[u8]) -> Result<(), StoreError> {
    codec::newer(title, bytes).map_or(Ok(()), |(found, known)| Err(StoreError::Newer { found, known }))
}
