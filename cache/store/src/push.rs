//! Sending results: first their contents in packs, then an index of these, then the records that name them. Whoever is killed in
//! between leaves packs that the next one finds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use object_store::path::Path;
use serde::Serialize;
use tidemill_cache::{ActionResult, Cache, CacheError, Digest, Key};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::chunks::{Name, decode_list};
use crate::error::StoreError;
use crate::gather::{Gatherer, Stop, names_of};
use crate::known::{Located, PackId};
use crate::layout::Mark;
use crate::level::Level;
use crate::limits::{INDEX_PACKS, LIST_CHUNKS, RECORD_MOST, REQUESTS, TRANSFERS};
use crate::pack::{Pack, Table};
use crate::record::Record;
use crate::store::{Open, Store};

/// After so many results, or
const ROUND_RESULTS: usize = 2000;
/// after so many bytes of contents, what was sent is made known.
const ROUND_BYTES: u64 = 1 << 30;

/// So often what was thought to be in the store and is not is sent again.
const TRIES: usize = 3;

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// How many results were sent.
    pub results: u64,
    /// How many were there already.
    pub there: u64,
    /// The steps whose results were not sent, each with the reason.
    pub left: Vec<(String, String)>,
}

/// Stops a push between two packs.
#[derive(Debug, Clone, Default)]
pub struct Pushing {
    stopped: Arc<AtomicBool>,
    is_aside: bool,
}

impl Pushing {
    /// What is sent is no result of a step, and is not counted as one.
    #[must_use]
    pub fn aside() -> Self {
        Self { is_aside: true, ..Self::default() }
    }

    /// What was begun is ended; nothing more is begun.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A result, and the contents that it needs.
struct Order {
    result: ActionResult,
    contents: Vec<(Digest, u64)>,
}

impl Store {
    /// Sends results with their recipes and contents.
    ///
    /// # Errors
    /// If the store cannot be reached, or nothing may be written. What was sent until then stays.
    pub fn push(
        &self,
        cache: &Cache,
        results: Vec<ActionResult>,
        pushing: &Pushing,
    ) -> Result<Pushed, StoreError> {
        if !self.inner.settings.writes() {
            return Err(StoreError::ReadOnly);
        }
        let open = self.open()?;
        self.heed_withdrawals(cache, &open);
        self.heed_sweeps(&open)?;
        let mut pushed = Pushed::default();
        let mut orders = Vec::new();
        for result in results {
            if open.known.result(&result.key, result.number).is_some() {
                pushed.there += 1;
                continue;
            }
            let contents = contents_of(cache, &result)?;
            orders.push(Order { result, contents });
        }
        if orders.is_empty() {
            return Ok(pushed);
        }
        self.sync(&open)?;
        let mut orders = orders.into_iter().peekable();
        while orders.peek().is_some() && !pushing.is_stopped() {
            let (mut round, mut bytes) = (Vec::new(), 0);
            while round.len() < ROUND_RESULTS && bytes < ROUND_BYTES {
                let Some(order) = orders.next() else { break };
                bytes += order.contents.iter().map(|(_, size)| size).sum::<u64>();
                round.push(order);
            }
            self.push_round(cache, &open, &round, pushing, &mut pushed)?;
        }
        let stopped = orders.map(|order| (order.result.step, "it was stopped".to_owned()));
        pushed.left.extend(stopped);
        Ok(pushed)
    }

    fn push_round(
        &self,
        cache: &Cache,
        open: &Arc<Open>,
        round: &[Order],
        pushing: &Pushing,
        pushed: &mut Pushed,
    ) -> Result<(), StoreError> {
        let mut contents: Vec<(Digest, u64)> =
            round.iter().flat_map(|order| order.contents.iter().copied()).collect();
        contents.sort_unstable();
        contents.dedup_by_key(|(digest, _)| *digest);
        let mut records = Vec::new();
        for _ in 0..TRIES {
            records.clear();
            let absent = absent(open, &contents);
            self.inner.progress.expect(absent.iter().map(|(_, size)| size).sum());
            let broken = self.send_contents(cache, open, absent, pushing)?;
            for Order { result, contents } in round {
                let (sound, _): (Vec<_>, Vec<_>) =
                    contents.iter().copied().partition(|(digest, _)| !broken.contains(digest));
                records.push((result.clone(), self.places(open, &sound)?));
            }
            if pushing.is_stopped() || self.are_there(open, &records)? {
                break;
            }
        }
        if pushing.is_stopped() {
            pushed
                .left
                .extend(records.into_iter().map(|(result, _)| (result.step, "it was stopped".to_owned())));
            return Ok(());
        }
        let before = pushed.results;
        let sent = self.send_records(cache, open, records, pushed);
        if !pushing.is_aside {
            self.inner.progress.results_sent(pushed.results - before);
        }
        sent
    }

    /// Whether all packs that these records name are in the store; those that are not any more are forgotten. Somebody may have
    /// removed what was old.
    fn are_there(
        &self,
        open: &Arc<Open>,
        records: &[(ActionResult, Vec<Located>)],
    ) -> Result<bool, StoreError> {
        let named: HashSet<PackId> =
            records.iter().flat_map(|(_, chunks)| chunks.iter().map(|(_, pack, _)| *pack)).collect();
        let doubtful: Vec<PackId> = {
            let confirmed = lock(&open.confirmed);
            named.into_iter().filter(|pack| !confirmed.contains(pack)).collect()
        };
        let way = Arc::clone(open);
        let asked = self.block(async move {
            let ask = |pack: PackId| {
                let way = &way;
                async move {
                    let there = way.link.look(&way.layout.pack(pack.level, &pack.digest)).await?;
                    Ok::<_, StoreError>((pack, there.is_some_and(|there| there.size == pack.size)))
                }
            };
            futures_util::stream::iter(doubtful).map(ask).buffer_unordered(REQUESTS).collect::<Vec<_>>().await
        });
        let mut all = true;
        for asked in asked {
            let (pack, is_there) = asked?;
            match is_there {
                true => drop(lock(&open.confirmed).insert(pack)),
                false => open.known.forget(&pack),
            }
            all &= is_there;
        }
        Ok(all)
    }

    /// Sends contents: those that cannot be read here, or are not what they should be.
    fn send_contents(
        &self,
        cache: &Cache,
        open: &Arc<Open>,
        mut contents: Vec<(Digest, u64)>,
        pushing: &Pushing,
    ) -> Result<HashSet<Digest>, StoreError> {
        let mut broken = HashSet::new();
        loop {
            let sender = Sender::start(self, open);
            let take = |pack| !pushing.is_stopped() && sender.send(pack);
            let mut gatherer = Gatherer::new(cache, &open.known, &self.inner.progress, take);
            let gathered = gatherer.add(&contents).and_then(|()| gatherer.finish());
            sender.finish()?;
            match gathered {
                Ok(()) | Err(Stop::Closed) => return Ok(broken),
                Err(Stop::Cache(CacheError::Missing { digest })) => {
                    // What can be sent is sent without it.
                    broken.insert(digest);
                    contents = absent(open, &contents);
                    contents.retain(|(digest, _)| !broken.contains(digest));
                }
                Err(Stop::Cache(error)) => return Err(error.into()),
            }
        }
    }

    /// Where the chunks of these contents lie; of those that are nowhere, nothing.
    fn places(&self, open: &Arc<Open>, contents: &[(Digest, u64)]) -> Result<Vec<Located>, StoreError> {
        let data: Vec<Name> = contents.iter().map(|(digest, _)| Name::data(*digest)).collect();
        let mut located = Vec::new();
        for ((digest, size), found) in contents.iter().zip(open.known.find_all(&data)) {
            if let Some(found) = found {
                located.push(found);
                continue;
            }
            let Some(list) = open.known.find(&Name::list(*digest)) else { continue };
            let (link, layout) = (open.link.clone(), open.layout.clone());
            let bytes = self.block(async move { crate::fetch::one(&link, &layout, &list).await })?;
            let Some(parts) = bytes.and_then(|bytes| decode_list(&bytes, *size)) else { continue };
            if parts.len() as u64 > LIST_CHUNKS {
                continue;
            }
            let names: Vec<Name> = parts.iter().map(|part| Name::data(part.digest)).collect();
            located.push(list);
            located.extend(open.known.find_all(&names).into_iter().flatten());
        }
        Ok(located)
    }

    fn send_records(
        &self,
        cache: &Cache,
        open: &Arc<Open>,
        records: Vec<(ActionResult, Vec<Located>)>,
        pushed: &mut Pushed,
    ) -> Result<(), StoreError> {
        let mut sealed = Vec::with_capacity(records.len());
        for (result, chunks) in records {
            match cache.recipe_bytes(&result.key)? {
                Some(recipe) => sealed.push((result, recipe, chunks)),
                None => pushed.left.push((result.step, "its recipe is gone".to_owned())),
            }
        }
        let store = self.clone();
        let open = Arc::clone(open);
        let sent = self.block(async move {
            let send = |(result, recipe, chunks)| {
                let (store, open) = (&store, &open);
                async move { store.send_record(open, result, recipe, chunks).await }
            };
            futures_util::stream::iter(sealed).map(send).buffer_unordered(REQUESTS).collect::<Vec<_>>().await
        });
        for sent in sent {
            match sent {
                Ok(Sent::New) => {
                    pushed.results += 1;
                }
                Ok(Sent::There) => pushed.there += 1,
                Ok(Sent::TooLarge(step)) => pushed.left.push((step, "its record is too large".to_owned())),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn send_record(
        &self,
        open: &Open,
        result: ActionResult,
        recipe: Vec<u8>,
        chunks: Vec<Located>,
    ) -> Result<Sent, StoreError> {
        let level = self.inner.settings.level;
        let (key, here, step) = (result.key, result.number, result.step.clone());
        let mut record = Record::new(result, recipe, chunks);
        // Who knew of a result there and has made another one since says that his is newer; else the one that is there counts.
        let is_another = (1..here).any(|number| known_there(open, &key, number));
        let mut number = match (open.numbers(&key, level).is_empty(), is_another) {
            (false, false) => 1,
            _ => open.next_number(&key, level),
        };
        loop {
            record.result.number = number;
            let bytes = record.encode();
            if bytes.len() as u64 > RECORD_MOST {
                return Ok(Sent::TooLarge(step));
            }
            if number > 1 {
                // Before the result, so that nobody passes it over who could know of it.
                let mark = open.layout.mark(level, &key, number, Mark::Later);
                open.link.create(&open.layout, level, &mark, Vec::new().into()).await?;
                open.note_mark(key, level, number, Mark::Later);
            }
            let path = open.layout.result(level, &key, number);
            let bytes = bytes::Bytes::from(bytes);
            if open.link.create(&open.layout, level, &path, bytes.clone()).await? {
                open.known.note_result(&key, here, level, number);
                return Ok(Sent::New);
            }
            if !is_another {
                let sent = match open.is_readable(&path, &key, number).await? {
                    true => Sent::There,
                    false => {
                        // What cannot be read serves nobody, and would stay in the way of what can for ever.
                        open.link.put(&path, bytes).await?;
                        Sent::New
                    }
                };
                open.known.note_result(&key, here, level, number);
                return Ok(sent);
            }
            number += 1;
        }
    }
}

impl Open {
    /// Whether a result is there that is what its name says. That the store does not answer says nothing of it.
    async fn is_readable(&self, path: &Path, key: &Key, number: u64) -> Result<bool, StoreError> {
        match self.link.get(path, RECORD_MOST).await {
            Ok(there) => {
                Ok(there.is_some_and(|there| Record::decode(&there, key, number, &Level::ALL).is_some()))
            }
            Err(StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn known_there(open: &Open, key: &Key, number: u64) -> bool {
    open.known.result(key, number).is_some()
}

enum Sent {
    New,
    There,
    TooLarge(String),
}

/// The contents that the store lacks.
fn absent(open: &Open, contents: &[(Digest, u64)]) -> Vec<(Digest, u64)> {
    let data: Vec<Name> = contents.iter().map(|(digest, _)| Name::data(*digest)).collect();
    let there = open.known.has(&data);
    let left: Vec<(Digest, u64)> =
        contents.iter().zip(there).filter(|(_, there)| !there).map(|(content, _)| *content).collect();
    let (large, mut absent): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|(digest, size)| names_of(*digest, *size).len() > 1);
    let lists: Vec<Name> = large.iter().map(|(digest, _)| Name::list(*digest)).collect();
    let there = open.known.has(&lists);
    absent.extend(large.into_iter().zip(there).filter(|(_, there)| !there).map(|(content, _)| content));
    absent
}

/// All contents of a result's outputs and of its log, as far as they can be told: a result is true also where bytes of it are gone, and
/// whoever needs them makes them again.
fn contents_of(cache: &Cache, result: &ActionResult) -> Result<Vec<(Digest, u64)>, CacheError> {
    let mut contents = Vec::new();
    for artifact in result.artifacts() {
        match cache.contents(artifact) {
            Err(CacheError::Missing { .. }) => {}
            other => contents.extend(other?),
        }
    }
    contents.sort_unstable();
    contents.dedup_by_key(|(digest, _)| *digest);
    Ok(contents)
}

/// Sends packs beside their making.
struct Sender {
    store: Store,
    open: Arc<Open>,
    places: Arc<Semaphore>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What was sent and stands in no index yet.
    unlisted: Vec<(PackId, Table)>,
    error: Option<StoreError>,
}

impl Sender {
    fn start(store: &Store, open: &Arc<Open>) -> Self {
        Self {
            store: store.clone(),
            open: Arc::clone(open),
            places: Arc::new(Semaphore::new(TRANSFERS)),
            tasks: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Sends a pack as soon as there is a place; false if one before it failed.
    fn send(&self, pack: Pack) -> bool {
        let places = Arc::clone(&self.places);
        let place = self.store.block(async move { places.acquire_owned().await.expect("nobody closes it") });
        if lock(&self.state).error.is_some() {
            return false;
        }
        let (open, state) = (Arc::clone(&self.open), Arc::clone(&self.state));
        let level = self.store.settings().level;
        let task = async move {
            let _place = place;
            let Pack { digest, bytes, table } = pack;
            let id = PackId { level, digest, size: bytes.len() as u64 };
            let sent = open.link.put(&open.layout.pack(level, &digest), bytes.into()).await;
            match sent {
                Ok(()) => {
                    open.known.learn(&id, &table.places().unwrap_or_default(), true);
                    lock(&open.confirmed).insert(id);
                    let full = {
                        let mut state = lock(&state);
                        state.unlisted.push((id, table));
                        (state.unlisted.len() >= INDEX_PACKS).then(|| std::mem::take(&mut state.unlisted))
                    };
                    if let Some(full) = full
                        && let Err(error) = open.write_index(level, &full).await
                    {
                        lock(&state).error.get_or_insert(error);
                    }
                }
                Err(error) => drop(lock(&state).error.get_or_insert(error)),
            }
        };
        lock(&self.tasks).spawn_on(task, self.store.runtime().handle());
        true
    }

    /// Waits until all packs are there, and writes an index of them.
    fn finish(self) -> Result<(), StoreError> {
        let Self { store, open, tasks, state, .. } = self;
        let level = store.settings().level;
        let mut tasks = std::mem::take(&mut *lock(&tasks));
        store.block(async move {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("sending a pack does not panic");
            }
            let State { unlisted, error } = std::mem::take(&mut *lock(&state));
            // What is there is listed also if something else could not be sent.
            let listed = open.write_index(level, &unlisted).await;
            error.map_or(listed, Err)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
