//! Collecting garbage in a store, and hearing that somebody has done so.
//!
//! Nobody is waited for. Results go before packs, so that nobody finds a result whose packs have just gone; before packs go, it is
//! looked once more whether a result has come that names them; and whoever names a pack asks first whether it is there. What is missed in
//! between costs time only: a result whose contents are gone is made again.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::path::Path;
use tidemill_cache::Key;

use crate::error::StoreError;
use crate::garbage::{Garbage, Keep, counts};
use crate::layout::{SWEPT, parse_result};
use crate::level::Level;
use crate::limits::REQUESTS;
use crate::status::OBJECTS_MOST;
use crate::store::{Open, Store};
use crate::sync::unique;

impl Store {
    /// Removes garbage of the level that is written from here: what it was.
    ///
    /// # Errors
    /// If the store cannot be reached, refuses access, or has results of a newer version; what was removed until then is garbage.
    pub fn collect_garbage(&self, keep: &Keep) -> Result<Garbage, StoreError> {
        if !self.inner.settings.writes() {
            return Err(StoreError::ReadOnly);
        }
        let open = self.open()?;
        let level = self.inner.settings.level;
        let way = Arc::clone(&open);
        let (mark, now) = self.block(async move { way.mark_sweep(level).await })?;
        let (mut survey, verdict) = self.judge(&open, keep, now)?;
        let garbage = survey.garbage(&verdict, level);
        let since = now.checked_sub(keep.used_within).unwrap_or(Timestamp::MIN);
        let reads = keep.reads;
        let way = Arc::clone(&open);
        // Of the packs only those that no result names that has come meanwhile.
        let (packs, bytes) = self.block(async move {
            let is_nothing = verdict.is_empty();
            way.remove_all(survey.paths(&verdict, &way)).await?;
            let packs = survey.spare(verdict, &way, reads).await?;
            way.join_indexes(level, &packs.iter().map(|pack| pack.digest).collect()).await?;
            way.remove_all(packs.iter().map(|pack| way.layout.pack(level, &pack.digest)).collect()).await?;
            packs.iter().for_each(|pack| way.known.forget(pack));
            way.forget_uses(level, since).await?;
            let mut sweeps = vec![mark];
            if !is_nothing {
                // Whoever has seen that mark knows of results that have gone since; nobody has seen this one.
                way.mark_sweep(level).await?;
                sweeps.extend(way.sweeps.iter().filter(|(at, _)| *at == level).map(|(_, name)| name.clone()));
            }
            way.remove_all(sweeps.iter().map(|name| way.layout.sweep(level, name)).collect()).await?;
            Ok::<_, StoreError>((packs.len(), packs.iter().map(|pack| pack.size).sum()))
        })?;
        Ok(garbage.with_packs(packs, bytes))
    }

    /// Forgets what is thought to be in the store and was removed by collections of which this machine had not heard.
    pub(crate) fn heed_sweeps(&self, open: &Arc<Open>) -> Result<(), StoreError> {
        let unheard: Vec<(Level, String)> =
            open.sweeps.iter().filter(|(level, name)| !open.known.has_read(*level, name)).cloned().collect();
        let levels: BTreeSet<Level> = unheard.iter().map(|(level, _)| *level).collect();
        let way = Arc::clone(open);
        let there = self.block(async move {
            let mut there = Vec::new();
            for level in levels {
                let listed = way.link.list(&way.layout.results(level), OBJECTS_MOST).await?;
                let results = listed.iter().filter_map(|listed| parse_result(&listed.name));
                there.push((level, results.collect::<HashSet<(Key, u64)>>()));
            }
            Ok::<_, StoreError>(there)
        })?;
        for (level, results) in there {
            open.known.keep_results(level, &results);
        }
        for (level, name) in unheard {
            open.known.note_read(level, &name);
        }
        Ok(())
    }
}

impl Open {
    /// Says that garbage is collected: the name of the mark, and how late it is. A clock that runs ahead, here or there, makes nothing old.
    async fn mark_sweep(&self, level: Level) -> Result<(String, Timestamp), StoreError> {
        let name = format!("{SWEPT}{}", unique());
        let path = self.layout.sweep(level, &name);
        self.link.put(&path, Vec::new().into()).await?;
        let there = self.link.look(&path).await?;
        let there = there.ok_or_else(|| StoreError::damaged(&path, "it was written and is gone"))?;
        Ok((name, there.modified.min(Timestamp::now())))
    }

    /// Removes notes of use that do not count any more.
    async fn forget_uses(&self, level: Level, since: Timestamp) -> Result<(), StoreError> {
        let notes = self.link.list(&self.layout.uses(level), OBJECTS_MOST).await?;
        let old = notes.iter().filter(|note| !counts(note.modified, since));
        self.remove_all(old.map(|note| self.layout.used(level, &note.name)).collect()).await
    }

    async fn remove_all(&self, paths: Vec<Path>) -> Result<(), StoreError> {
        let remove = |path: Path| async move { self.link.remove(&path).await };
        futures_util::stream::iter(paths).map(remove).buffer_unordered(REQUESTS).try_collect().await
    }
}
