//! A cache and a project in a temporary folder, for the tests of this crate.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use crate::stamp::Stamp;
use crate::{Cache, IgnoreRules, Seen};

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) cache: Cache,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&Utf8Path::from_path(folder.path()).unwrap().join(".tidemill")).unwrap();
        Self { folder, cache }
    }

    /// The same state folder, opened by someone else.
    pub(crate) fn another_process(&self) -> Cache {
        Cache::open(self.cache.state()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Utf8PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn look(&self, name: &str) -> Seen {
        self.cache.look(&self.path(name), &IgnoreRules::builtin()).unwrap().unwrap()
    }

    /// Looks until the file is old enough for the index to know it.
    pub(crate) fn look_until_recorded(&self, name: &str) -> Seen {
        let until = Instant::now() + Duration::from_secs(10);
        let stamp = stamp(&self.path(name));
        loop {
            let seen = self.look(name);
            if self.cache.inner.index.find(&[stamp])[0].is_some() {
                return seen;
            }
            assert!(Instant::now() < until, "the file never gets old enough");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn stamp(path: &Utf8Path) -> Stamp {
    Stamp::of(&fs::symlink_metadata(path).unwrap())
}

pub(crate) fn mode(path: &Utf8Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn make_executable(path: &Utf8Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Writes other bytes of the same length into a file, and gives it back its mode and its time of modification.
pub(crate) fn tamper(path: &Utf8Path) {
    let before = fs::metadata(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::open(path).unwrap().set_times(times).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
}
