//! What is written without waiting for the disk, and why nothing wrong comes of it.
//!
//! Records and blobs reach their names unsynced. If the machine loses its power, a record may be garbage: it proves itself by a
//! digest and counts as missing. A blob may be garbage under a right name, and the index may remember it as sound: so all that the
//! index knows of blobs is forgotten in the first use after a boot that followed unsynced writes, and each is read before it is
//! believed. A result that took long to make is synced before it is told, where that costs little beside it.

use std::fs::{self, File};
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::layout::Blob;
use crate::mark::boot;
use crate::{ActionResult, Cache, CacheError, Form, record};

/// What syncing is thought to take: a moment, and the time to write the bytes.
const MOMENT: Duration = Duration::from_millis(10);
const BYTES_PER_SECOND: u64 = 200_000_000;
/// A result is synced if that takes at most this part of the time that it took to make.
const PART: u32 = 20;

impl Cache {
    /// Whether writes may go unsynced: the boot of the machine in which they are made has to be noted before.
    pub(crate) fn may_defer(&self) -> bool {
        *self.inner.defers.get_or_init(|| {
            let Some(boot) = boot().filter(|_| self.inner.is_local) else { return false };
            let path = self.inner.layout.unsynced();
            match fs::read(&path) {
                Ok(noted) if noted == boot => true,
                _ => record::replace(&path, &boot).is_ok(),
            }
        })
    }

    /// Forgets what the index knows of blobs, if unsynced writes were made in another boot.
    pub(crate) fn distrust_after_boot(&self) {
        let Ok(noted) = fs::read(self.inner.layout.unsynced()) else { return };
        let Some(boot) = boot() else { return };
        // If it cannot be forgotten now, the note stays, and it is tried again.
        if noted != boot && self.inner.index.forget_blobs() {
            tracing::debug!("the machine was started anew: blobs are read before they are believed");
            record::replace(&self.inner.layout.unsynced(), &boot).ok();
        }
    }

    /// Syncs a result and its blobs, if making it took so long that this hardly matters.
    pub(crate) fn sync_if_worthwhile(&self, result: &ActionResult) -> Result<(), CacheError> {
        let bytes: u64 = result.outputs.values().flatten().map(|artifact| artifact.size).sum();
        let cost = MOMENT + Duration::from_millis(1000 * bytes / BYTES_PER_SECOND);
        if cost * PART > Duration::from_millis(result.usage.wall_ms) {
            return Ok(());
        }
        self.sync_result(result)
    }

    /// Syncs a result and its blobs: before something outside of the cache is said to rest on them.
    ///
    /// # Errors
    /// If they cannot be read or synced.
    pub fn sync_result(&self, result: &ActionResult) -> Result<(), CacheError> {
        if !self.may_defer() {
            return Ok(());
        }
        let mut paths =
            vec![self.result_path(&result.key, result.number), self.inner.layout.recipe(&result.key)];
        for artifact in result.outputs.values().flatten().chain(&result.log) {
            if artifact.form == Form::Folder && artifact.files > SYNC_AT_ONCE {
                return self.sync_all();
            }
            paths.extend(
                self.blobs_of(artifact)?.into_iter().map(|blob: Blob| self.inner.layout.object(blob)),
            );
        }
        for path in paths {
            self.sync_path(&path)?;
        }
        Ok(())
    }

    fn sync_path(&self, path: &Utf8PathBuf) -> Result<(), CacheError> {
        let sync = || {
            File::open(path)?.sync_all()?;
            path.parent().map_or(Ok(()), record::sync_folder)
        };
        match sync() {
            // A recipe that is not kept, or a blob of which only the twin is there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(CacheError::io("sync", path)),
        }
    }

    /// Syncs all that was written to this file system.
    fn sync_all(&self) -> Result<(), CacheError> {
        let path = self.inner.layout.objects();
        let folder = File::open(&path).map_err(CacheError::io("open", &path))?;
        #[cfg(target_os = "linux")]
        let synced = rustix::fs::syncfs(&folder).map_err(std::io::Error::from);
        #[cfg(not(target_os = "linux"))]
        let synced = {
            drop(folder);
            rustix::fs::sync();
            Ok(())
        };
        synced.map_err(CacheError::io("sync", &path))
    }
}

/// From this many files on, the file system is synced once instead of each file.
const SYNC_AT_ONCE: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    /// What is left of a power failure: the machine is in another boot, the blob under its name is garbage, and the index
    /// remembers it as sound.
    #[test]
    fn a_blob_that_a_power_failure_damaged_is_never_served() {
        let scene = Scene::new();
        let good = scene.cache.put(b"good").unwrap();
        let blob = Blob { digest: good.digest, executable: false };
        let path = scene.cache.inner.layout.object(blob);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        fs::write(&path, "evil").unwrap();
        crate::blob::seal(&path, blob).unwrap();
        let stamp = crate::blob::stat(&path).unwrap().unwrap();
        scene.cache.inner.index.keep(&[(stamp, good.digest)]);
        assert!(scene.another_process().available(&good).unwrap(), "in this boot the index is believed");
        fs::write(scene.cache.inner.layout.unsynced(), [0; 32]).unwrap();
        assert!(!scene.another_process().available(&good).unwrap(), "in another one it is not");
    }

    #[test]
    fn the_boot_is_noted_once() {
        let scene = Scene::new();
        scene.cache.put(b"content").unwrap();
        let noted = fs::read(scene.cache.inner.layout.unsynced()).unwrap();
        assert_eq!(Some(noted.as_slice()), boot().as_ref().map(<[u8; 32]>::as_slice));
        let cache = scene.another_process();
        cache.put(b"more").unwrap();
        assert_eq!(fs::read(scene.cache.inner.layout.unsynced()).unwrap(), noted);
    }
}
