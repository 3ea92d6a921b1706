//! The one handle on a store. It talks to it from a runtime of its own, and goes on without it when it does not answer.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Cache, Digest, Key, Remote, Wanted};
use tokio::runtime::Runtime;

use crate::connect::{Environment, connect, shown};
use crate::error::StoreError;
use crate::known::{Known, PackId};
use crate::layout::{Layout, Mark, SWEPT, parse_mark};
use crate::level::Level;
use crate::link::Link;
use crate::progress::Progress;
use crate::settings::{Access, Settings};

/// The format that this version writes, and the newest that it reads.
const FORMAT: u64 = 1;
/// What says which store this is has at most so many bytes.
const IDENTITY_MOST: u64 = 4096;
/// The first answer comes within this time, or the store counts as out of reach.
const FIRST: Duration = Duration::from_secs(20);
/// More marks than this are no marks.
const MARKS_MOST: usize = 1_000_000;

/// The one handle on a store. Cheap to clone; its methods block, and may be called from any thread.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    environment: Environment,
    /// The state folder.
    pub(crate) state: Utf8PathBuf,
    pub(crate) progress: Arc<Progress>,
    runtime: OnceLock<Runtime>,
    contact: Mutex<Option<Arc<Open>>>,
    session: Mutex<Session>,
}

/// Of each key: what is marked, of which result of which level.
pub(crate) type Marks = HashMap<Key, Vec<(Level, u64, Mark)>>;

/// A store that has answered.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) link: Link,
    pub(crate) layout: Layout,
    pub(crate) known: Known,
    /// Packs that were seen in the store, or sent there, by this process.
    pub(crate) confirmed: Mutex<HashSet<PackId>>,
    /// Of keys with more than one result, or with withdrawn ones.
    pub(crate) marks: Mutex<Marks>,
    /// The marks of collections of garbage.
    pub(crate) sweeps: Vec<(Level, String)>,
}

/// What this process has found out.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The keys that were looked up.
    pub(crate) asked: HashSet<Key>,
    /// Contents that the store has not, or not as they should be.
    pub(crate) gone: HashSet<Digest>,
    /// Whether the indexes were read.
    pub(crate) synced: bool,
    /// Whether what was withdrawn there was withdrawn here.
    pub(crate) heeded: bool,
    /// Why the store is not asked any more.
    outage: Option<String>,
    /// What is to be told, each once.
    pub(crate) notices: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    format: u64,
    id: String,
}

impl Store {
    /// A store; it is not asked anything yet. What is learned of it is kept in the state folder.
    ///
    /// # Errors
    /// If the address cannot be one.
    pub fn new(settings: Settings, environment: Environment, state: &Utf8Path) -> Result<Self, StoreError> {
        crate::connect::check(&settings.url)?;
        let inner = Inner {
            settings,
            environment,
            state: state.to_owned(),
            progress: Arc::default(),
            runtime: OnceLock::new(),
            contact: Mutex::default(),
            session: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How it is used.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Its address, as it may be shown.
    #[must_use]
    pub fn address(&self) -> String {
        shown(&self.inner.settings.url)
    }

    /// What went over the wire.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.inner.progress
    }

    /// What is to be told since the last time that it was asked.
    #[must_use]
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.session().notices)
    }

    /// Why the store is not asked any more, if it is not.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        self.session().outage.clone()
    }

    /// The store, asked for the first time if it was not yet.
    ///
    /// # Errors
    /// If it cannot be reached, refuses access, or was made by a newer version.
    pub(crate) fn open(&self) -> Result<Arc<Open>, StoreError> {
        let mut contact = self.inner.contact.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*contact {
            return Ok(Arc::clone(open));
        }
        let store = self.clone();
        let open = self.block(async move {
            let in_time = tokio::time::timeout(FIRST, store.first_contact()).await;
            let late = format!("{} gives no answer within {} seconds", store.address(), FIRST.as_secs());
            in_time.unwrap_or(Err(StoreError::Unreachable { reason: late }))
        })?;
        Ok(Arc::clone(contact.insert(Arc::new(open))))
    }

    /// The same for work that goes on without the store: none if it is used no more.
    pub(crate) fn open_if_there(&self) -> Option<Arc<Open>> {
        if self.inner.settings.access == Access::Off || self.session().outage.is_some() {
            return None;
        }
        match self.open() {
            Ok(open) => Some(open),
            Err(error) => {
                self.lose(&error);
                None
            }
        }
    }

    /// Goes on without the store.
    pub(crate) fn lose(&self, error: &StoreError) {
        let mut session = self.session();
        if session.outage.is_none() {
            session.notices.push(format!("{error}; going on with what is here"));
            session.outage = Some(error.to_string());
        }
    }

    /// Tells something once.
    pub(crate) fn tell(&self, message: String) {
        self.session().notices.push(message);
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.inner.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose results count: those of the trusted levels, the most trusted first.
    pub(crate) fn trusted(&self) -> Vec<Level> {
        let mut levels = self.inner.settings.trust.clone();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// The levels that are read: those that are trusted, and the own one.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let mut levels = self.trusted();
        levels.push(self.inner.settings.level);
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// The store, if it has been asked something and answers.
    pub(crate) fn open_already(&self) -> Option<Arc<Open>> {
        if self.session().outage.is_some() {
            return None;
        }
        self.inner.contact.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn first_contact(&self) -> Result<Open, StoreError> {
        let settings = &self.inner.settings;
        let (store, prefix) = connect(&settings.url, &self.inner.environment)?;
        let link = Link::new(store, settings.rate_limit, Arc::clone(&self.inner.progress));
        let layout = Layout::new(prefix);
        let id = self.identify(&link, &layout).await?;
        let (mut marks, mut sweeps) = (Marks::new(), Vec::new());
        for level in self.levels() {
            for listed in link.list(&layout.marks(level), MARKS_MOST).await? {
                if let Some((key, number, mark)) = parse_mark(&listed.name) {
                    marks.entry(key).or_default().push((level, number, mark));
                } else if listed.name.starts_with(SWEPT) {
                    sweeps.push((level, listed.name));
                }
            }
        }
        let known = Known::open(&self.inner.state, &id);
        Ok(Open { id, link, layout, known, confirmed: Mutex::default(), marks: Mutex::new(marks), sweeps })
    }

    /// The id of the store, which is made here if it has none.
    async fn identify(&self, link: &Link, layout: &Layout) -> Result<String, StoreError> {
        let path = layout.identity();
        if let Some(bytes) = link.get(&path, IDENTITY_MOST).await? {
            return identity(&path, &bytes);
        }
        if !self.inner.settings.writes() {
            // Nothing is there, and nothing comes there from here.
            return Ok("empty".to_owned());
        }
        let new = Identity { format: FORMAT, id: format!("{:032x}", rand::rng().random::<u128>()) };
        let bytes = serde_json::to_vec(&new).expect("an identity has a form");
        if link.create(layout, self.inner.settings.level, &path, bytes.into()).await? {
            return Ok(new.id);
        }
        let bytes = link.get(&path, IDENTITY_MOST).await?;
        identity(&path, &bytes.ok_or_else(|| StoreError::damaged(&path, "it was there and is gone"))?)
    }

    /// Waits for something that goes on in the runtime.
    pub(crate) fn block<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime().spawn(async move {
            // Nobody waits for it any more only if this process ends.
            drop(sender.send(work.await));
        });
        receiver.recv().expect("what goes on in the runtime does not panic")
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.inner.runtime.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).thread_name("store").enable_all().build();
            runtime.expect("a process that has threads can have two more")
        })
    }
}

fn identity(path: &object_store::path::Path, bytes: &[u8]) -> Result<String, StoreError> {
    let damaged = || StoreError::damaged(path, "it does not say which store this is");
    let found: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| damaged())?;
    if let Some(format) = found.get("format").and_then(serde_json::Value::as_u64)
        && format > FORMAT
    {
        return Err(StoreError::Newer { found: format, known: FORMAT });
    }
    let Identity { format, id } = serde_json::from_value(found).map_err(|_| damaged())?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if format == 0 || !is_id { Err(damaged()) } else { Ok(id) }
}

impl Remote for Store {
    fn look_up(&self, cache: &Cache, keys: &[Key]) {
        let found = self.look_up_results(cache, keys);
        self.inner.progress.results_found(found);
    }

    fn look_up_again(&self, cache: &Cache, keys: &[Key]) {
        {
            let mut session = self.session();
            session.asked.retain(|asked| !keys.contains(asked));
        }
        self.look_up_results(cache, keys);
    }

    fn may_know(&self, key: &Key) -> bool {
        let session = self.session();
        self.inner.settings.access != Access::Off && session.outage.is_none() && !session.asked.contains(key)
    }

    fn holds(&self, digests: &[Digest]) -> Vec<bool> {
        self.holds_contents(digests)
    }

    fn fetch(&self, cache: &Cache, wanted: &[Wanted]) {
        self.fetch_contents(cache, wanted);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.address())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may go inside of another runtime, where nobody may wait.
            runtime.shutdown_background();
        }
    }
}
