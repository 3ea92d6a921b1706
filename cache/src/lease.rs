//! Leases: the right to work on a key, which dies with its holder.
//!
//! A lease is a lock of the kernel's on a file, so nobody ever removes one by hand. The file of a lease that was given back is put
//! aside with its lock and renamed for the next: some file systems are slow to make a file for a while after many were removed. A
//! lease only saves work: correctness rests on numbered results, so where a file system has no locks, the lease is granted. Where hosts
//! share a store, a lease is a [claim](crate::claim).

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::CacheError;
use crate::claim::Claim;
use crate::parts::rename_to_free;
use crate::shelf::Shelf;

/// The right to work on a key, until it is dropped or the process dies.
#[derive(Debug)]
pub struct Lease {
    _right: Right,
}

#[derive(Debug)]
enum Right {
    Lock { _lock: Lock },
    Claim { _claim: Claim },
}

/// A locked file.
#[derive(Debug)]
struct Lock {
    path: Utf8PathBuf,
    spares: Arc<Spares>,
    /// Locked; none after it was given back.
    file: Option<File>,
}

/// The files of leases that this process gave back. It goes on holding their locks: a file is a lease as long as it has the name
/// of one.
pub(crate) type Spares = Shelf<File>;

/// So many are put aside at most.
const MOST_SPARES: usize = 64;

/// Spare files in this folder.
pub(crate) fn spares(folder: Utf8PathBuf) -> Spares {
    Shelf::new(folder, "lease", MOST_SPARES)
}

impl Lease {
    /// The lease, or `None` if someone else holds it.
    pub(crate) fn try_at(path: Utf8PathBuf, spares: &Arc<Spares>) -> Result<Option<Self>, CacheError> {
        Ok(Lock::try_at(path, spares)?.map(|lock| Self { _right: Right::Lock { _lock: lock } }))
    }

    /// The lease that a claim is.
    pub(crate) fn claimed(claim: Claim) -> Self {
        Self { _right: Right::Claim { _claim: claim } }
    }
}

impl Lock {
    fn try_at(path: Utf8PathBuf, spares: &Arc<Spares>) -> Result<Option<Self>, CacheError> {
        let file = match renamed(spares, &path) {
            Some(file) => Some(file),
            None => acquire(&path).map_err(CacheError::io("lock", &path))?,
        };
        Ok(file.map(|file| Self { path, spares: Arc::clone(spares), file: Some(file) }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Its name goes while it is held: whoever waits for this inode sees that the name is gone and starts over.
        let gone = match self.spares.room() {
            Some(spare) => fs::rename(&self.path, &spare).map(|()| self.spares.put(spare, file)),
            None => fs::remove_file(&self.path),
        };
        if let Err(error) = gone {
            tracing::debug!(path = %self.path, %error, "the lease file is gone already");
        }
    }
}

/// A spare file under this name, if there is one and the name is free.
fn renamed(spares: &Spares, path: &Utf8Path) -> Option<File> {
    let (spare, file) = spares.take(|_| true)?;
    match rename_to_free(&spare, path) {
        Ok(()) => Some(file),
        Err(_) => {
            spares.put(spare, file);
            None
        }
    }
}

/// Opens and locks the file at this path, and makes sure that it still is the file at this path.
fn acquire(path: &Utf8Path) -> io::Result<Option<File>> {
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let held = file.metadata()?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn open(path: &Utf8Path) -> io::Result<File> {
    let open = || File::options().append(true).create(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            open()
        }
        other => other,
    }
}

pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use crate::scene::Scene;
    use crate::{Cache, Key};

    const STATE: &str = "TIDEMILL_TEST_STATE";

    #[test]
    #[ignore = "the process that the next test kills"]
    fn holder() {
        let cache = Cache::open(std::env::var(STATE).unwrap().as_str().into()).unwrap();
        let _running = cache.running().unwrap();
        let _lease = cache.try_lease(&Key::of_recipe(b"a")).unwrap().unwrap();
        std::io::stdout().write_all(b"held\n").unwrap();
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn a_lease_dies_with_its_holder() {
        let scene = Scene::new();
        let key = Key::of_recipe(b"a");
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["lease::tests::holder", "--exact", "--ignored", "--nocapture"])
            .env(STATE, scene.cache.state())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("held")));
        assert!(scene.cache.try_lease(&key).unwrap().is_none());
        assert_eq!(scene.cache.alive().unwrap().lives.len(), 1);

        holder.kill().unwrap();
        holder.wait().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while scene.cache.try_lease(&key).unwrap().is_none() {
            assert!(Instant::now() < until, "the lease outlives its holder");
            std::thread::yield_now();
        }
        assert_eq!(scene.cache.alive().unwrap().lives, []);
    }

    #[test]
    fn a_lease_is_held_by_one_at_a_time() {
        let scene = Scene::new();
        let key = Key::of_recipe(b"a");
        let other = scene.another_process();
        let lease = scene.cache.try_lease(&key).unwrap().unwrap();
        assert!(other.try_lease(&key).unwrap().is_none());
        assert!(other.try_lease(&Key::of_recipe(b"b")).unwrap().is_some());
        drop(lease);
        assert!(other.try_lease(&key).unwrap().is_some());
        assert_eq!(scene.cache.state().join("leases").read_dir_utf8().unwrap().count(), 0);
    }

    #[test]
    fn whoever_waits_gets_it() {
        let scene = Scene::new();
        let key = Key::of_recipe(b"a");
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (cache, sender) = (scene.another_process(), sender.clone());
                scope.spawn(move || {
                    let lease = loop {
                        if let Some(lease) = cache.try_lease(&key).unwrap() {
                            break lease;
                        }
                        std::thread::yield_now();
                    };
                    sender.send("in").unwrap();
                    sender.send("out").unwrap();
                    drop(lease);
                });
            }
        });
        drop(sender);
        let order: Vec<_> = receiver.iter().collect();
        assert_eq!(order, ["in", "out"].repeat(8));
    }

    #[test]
    fn a_file_left_by_a_dead_process_is_no_lease() {
        let scene = Scene::new();
        let key = Key::of_recipe(b"a");
        scene.write(&format!(".tidemill/leases/{key}"), "");
        assert!(scene.cache.try_lease(&key).unwrap().is_some());
    }
}
