//! The one handle on a state folder.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::claim::Claim;
use crate::clone::Clones;
use crate::frames::{Frames, frames};
use crate::index::Index;
use crate::layout::{FORMAT, Layout, OLDEST};
use crate::lease::{Spares, spares};
use crate::parts::Parts;
use crate::presence::{Presence, Presences, Sharing};
use crate::release::Made;
use crate::stamp::Stamp;
use crate::{CacheError, Digest, Key, Lease, Remote, Running, record};

/// The one handle on a state folder (`.tidemill/`). Cheap to clone; every method may be called from any thread, and by any
/// number of processes at once. All of them block: call them from threads that may.
///
/// Whoever captures, publishes or places on behalf of a run holds [`Cache::running`] meanwhile.
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) index: Index,
    pub(crate) clones: Clones,
    pub(crate) is_local: bool,
    /// How it is told who lives, where hosts share the folder.
    pub(crate) shared: Option<Shared>,
    /// Files for step folders.
    pub(crate) parts: Parts,
    /// Folders for step folders.
    pub(crate) frames: Frames,
    /// Files for leases.
    pub(crate) spare_leases: Arc<Spares>,
    /// Whether writes may go unsynced, once that was found out.
    pub(crate) defers: OnceLock<bool>,
    /// The blobs that this process made, if somebody wants to know.
    pub(crate) made: OnceLock<Mutex<Made>>,
    /// The blobs whose content this process knows, by device and inode, as of their last stamp. It is locked while the
    /// inode of a blob changes on purpose, so that two threads that link one blob do not take each other for intruders.
    blobs: Mutex<Known>,
    /// Where things are asked for that are not here.
    pub(crate) remote: OnceLock<Arc<dyn Remote>>,
}

/// A store that hosts share.
pub(crate) struct Shared {
    pub(crate) presences: Presences,
    /// Of this process, as long as it holds something.
    presence: Mutex<Weak<Presence>>,
}

/// Whoever holds this makes the index gather what it is told.
#[derive(Debug)]
pub struct Gathering {
    cache: Cache,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.cache.inner.index.write_all();
    }
}

pub(crate) type Known = HashMap<(u64, u64), (Stamp, Digest)>;

/// How long to wait for a lease of this host, and of one that others may hold.
const NEAR: Duration = Duration::from_millis(20);
const FAR: Duration = Duration::from_millis(200);

const IGNORE_ALL: &[u8] = b"*\n";
const TAG: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# The cache of Tidemill. It can be deleted; steps \
                     then run again. See https://bford.info/cachedir/\n";

impl Cache {
    /// Opens the state folder, and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be read or made, or has a newer format.
    pub fn open(state: &Utf8Path) -> Result<Self, CacheError> {
        Self::open_shared(state, None)
    }

    /// The same for a folder that hosts share, as also one is on a network file system.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub fn open_shared(state: &Utf8Path, sharing: Option<Sharing>) -> Result<Self, CacheError> {
        let layout = Layout::new(absolute(state)?);
        let version = layout.version();
        match std::fs::read_to_string(&version) {
            Ok(text) => check_format(&layout, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&layout)?,
            Err(error) => return Err(CacheError::io("read", &version)(error)),
        }
        let index = Index::new(layout.index());
        let is_network = crate::stamp::is_network(layout.state());
        let is_local = !is_network && sharing.is_none();
        let shared = (!is_local).then(|| Shared {
            presences: Presences::new(layout.presence(), sharing.unwrap_or_default()),
            presence: Mutex::default(),
        });
        let (parts, frames) = (Parts::new(layout.temporary()), frames(layout.temporary()));
        let spare_leases = Arc::new(spares(layout.temporary()));
        let (defers, blobs, remote) = (OnceLock::new(), Mutex::default(), OnceLock::new());
        let clones = Clones::default();
        let made = OnceLock::new();
        let inner = Inner {
            layout,
            index,
            clones,
            is_local,
            shared,
            parts,
            frames,
            spare_leases,
            defers,
            made,
            remote,
            blobs,
        };
        let cache = Self { inner: Arc::new(inner) };
        cache.distrust_after_boot();
        Ok(cache)
    }

    /// The state folder, as an absolute path.
    #[must_use]
    pub fn state(&self) -> &Utf8Path {
        self.inner.layout.state()
    }

    /// The lease on a key, or `None` if someone else holds it.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn try_lease(&self, key: &Key) -> Result<Option<Lease>, CacheError> {
        match &self.inner.shared {
            None => Lease::try_at(self.inner.layout.lease(key), &self.inner.spare_leases),
            Some(_) => Ok(self.claim(&key.to_string())?.map(Lease::claimed)),
        }
    }

    /// How long to wait before it is asked again for a lease that someone else holds.
    #[must_use]
    pub fn patience(&self) -> Duration {
        if self.inner.shared.is_some() { FAR } else { NEAR }
    }

    /// What a name stands for, where hosts share the store; none if someone else has it.
    pub(crate) fn claim(&self, name: &str) -> Result<Option<Claim>, CacheError> {
        let (Some(shared), Some(presence)) = (&self.inner.shared, self.presence()?) else { return Ok(None) };
        Claim::try_at(&self.inner.layout.claim(name), &shared.presences, &presence)
    }

    /// This process as other hosts see it, if they share the store.
    fn presence(&self) -> Result<Option<Arc<Presence>>, CacheError> {
        let Some(shared) = &self.inner.shared else { return Ok(None) };
        let mut known = shared.presence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(presence) = known.upgrade() {
            return Ok(Some(presence));
        }
        let presence = Arc::new(Presence::begin(&shared.presences)?);
        *known = Arc::downgrade(&presence);
        Ok(Some(presence))
    }

    /// Says that a run is going on, until the value is dropped or the process dies: before anything is looked up for it.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn running(&self) -> Result<Running, CacheError> {
        Running::start(&self.inner.layout.live(), self.presence()?)
    }

    /// Gathers what is told to the index and writes it in few transactions, until the value is dropped.
    #[must_use]
    pub fn gather(&self) -> Gathering {
        self.inner.index.gather();
        Gathering { cache: self.clone() }
    }

    /// Remembers a value that may be lost at any time.
    pub fn remember(&self, space: &str, key: &[u8], value: &[u8]) {
        self.inner.index.remember(space, key, value);
    }

    /// A value that was remembered, if it was not lost.
    #[must_use]
    pub fn recall(&self, space: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.index.recall(space, key)
    }

    /// All values that were remembered under keys that begin with this text and a zero byte, with those keys.
    #[must_use]
    pub fn recall_all(&self, space: &str, beginning: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.inner.index.recall_all(space, format!("{beginning}\0").as_bytes())
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.state())
    }
}

fn check_format(layout: &Layout, text: &str) -> Result<(), CacheError> {
    match text.trim().parse() {
        Ok(FORMAT) => Ok(()),
        Ok(OLDEST..FORMAT) => raise(layout),
        Ok(found) if found > FORMAT => {
            Err(CacheError::Newer { path: layout.state().to_owned(), found, known: FORMAT })
        }
        _ => Err(CacheError::Format { path: layout.version() }),
    }
}

/// Says that from now on things may lie there that an older version would take for damaged.
fn raise(layout: &Layout) -> Result<(), CacheError> {
    let version = layout.version();
    // What runs locked up to format 2.
    drop(std::fs::remove_file(layout.state().join("running")));
    match record::replace(&version, format!("{FORMAT}\n").as_bytes()) {
        // Then nothing is written there at all.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        other => other.map_err(CacheError::io("write", &version)),
    }
}

fn create(layout: &Layout) -> Result<(), CacheError> {
    for folder in [layout.state().to_owned(), layout.temporary(), layout.objects()] {
        std::fs::create_dir_all(&folder).map_err(CacheError::io("create", &folder))?;
    }
    let files = [
        (layout.state().join(".gitignore"), IGNORE_ALL),
        (layout.state().join("CACHEDIR.TAG"), TAG),
        (layout.version(), format!("{FORMAT}\n").as_bytes()),
    ]
    .map(|(path, bytes)| (path, bytes.to_vec()));
    for (path, bytes) in files {
        record::create(&path, &bytes).map_err(CacheError::io("create", &path))?;
    }
    // Whoever came first may be of another version.
    let version = layout.version();
    let text = std::fs::read_to_string(&version).map_err(CacheError::io("read", &version))?;
    check_format(layout, &text)
}

/// The path as seen from the root; symbolic links stay as they are.
pub(crate) fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, CacheError> {
    let absolute = std::path::absolute(path).map_err(CacheError::io("find", path))?;
    Utf8PathBuf::from_path_buf(absolute)
        .map_err(|path| CacheError::NotUtf8 { path: path.to_string_lossy().into_owned() })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::scene::Scene;

    #[test]
    fn a_newer_format_is_refused() {
        let scene = Scene::new();
        std::fs::write(scene.cache.state().join("version"), "4\n").unwrap();
        assert!(matches!(
            Cache::open(scene.cache.state()),
            Err(CacheError::Newer { found: 4, known: FORMAT, .. })
        ));
        std::fs::write(scene.cache.state().join("version"), "?").unwrap();
        assert!(matches!(Cache::open(scene.cache.state()), Err(CacheError::Format { .. })));
    }

    #[test]
    fn an_older_format_is_raised() {
        let scene = Scene::new();
        let version = scene.cache.state().join("version");
        std::fs::write(&version, "1\n").unwrap();
        Cache::open(scene.cache.state()).unwrap();
        assert_eq!(std::fs::read_to_string(&version).unwrap(), "3\n");
        std::fs::write(&version, "0\n").unwrap();
        assert!(matches!(Cache::open(scene.cache.state()), Err(CacheError::Format { .. })));
    }

    #[test]
    fn git_and_backups_leave_it_alone() {
        let scene = Scene::new();
        assert_eq!(std::fs::read_to_string(scene.cache.state().join(".gitignore")).unwrap(), "*\n");
        let tag = std::fs::read_to_string(scene.cache.state().join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    }

    #[test]
    fn many_open_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap().join("deep/.tidemill");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let cache = Cache::open(&state).unwrap();
                    cache.remember("space", b"key", b"value");
                    assert_eq!(cache.recall("space", b"key").as_deref(), Some(b"value".as_slice()));
                });
            }
        });
    }

    #[test]
    fn nothing_new_costs_stats_only() {
        let scene = Scene::new();
        let names: Vec<String> = (0..10).map(|number| format!("{number}.csv")).collect();
        for name in &names {
            scene.write(name, vec![1; 100_000]);
            scene.look_until_recorded(name);
        }
        let fastest = (0..20).map(|_| {
            let started = Instant::now();
            let cache = scene.another_process();
            for name in &names {
                cache.look(&scene.path(name), &crate::IgnoreRules::builtin()).unwrap().unwrap();
            }
            started.elapsed()
        });
        assert!(fastest.min().unwrap() < Duration::from_millis(10));
    }
}
