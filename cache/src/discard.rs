//! Removing a folder that may hold links to blobs, so that these blobs stay known.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cache::absolute;
use crate::layout::Blob;
use crate::look::is_absent;
use crate::scan::{FileFacts, allow};
use crate::stamp::Stamp;
use crate::{Cache, CacheError, Digest};

/// A name of what looks like a blob of ours.
pub(crate) struct Linked {
    pub(crate) path: Utf8PathBuf,
    pub(crate) facts: FileFacts,
}

impl Cache {
    /// Removes a step folder, or a file, whatever its modes. The blobs that it holds links to are renewed in the index.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn discard(&self, folder: &Utf8Path) -> Result<(), CacheError> {
        let folder = absolute(folder)?;
        let metadata = match fs::symlink_metadata(&folder) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(CacheError::io("read", &folder)(error)),
        };
        let mut linked = Vec::new();
        if metadata.is_dir() {
            collect(&folder, &mut linked)?;
        } else if let Some(one) = Linked::new(&folder, &metadata) {
            linked.push(one);
        }
        self.unlink(&linked)?;
        remove(&folder).map(drop)
    }

    /// Removes names of blobs, and renews the stamps of those that were as recorded before.
    pub(crate) fn unlink(&self, linked: &[Linked]) -> Result<(), CacheError> {
        let stamps: Vec<Stamp> = linked.iter().map(|linked| linked.facts.stamp).collect();
        let recorded = self.recorded(&stamps);
        self.learn(recorded.iter().copied().flatten());
        for (linked, recorded) in linked.iter().zip(&recorded) {
            if let Some((_, digest)) = recorded {
                self.unlink_one(linked, *digest)?;
            }
        }
        self.record(&stamps);
        Ok(())
    }

    fn unlink_one(&self, linked: &Linked, digest: Digest) -> Result<(), CacheError> {
        let blob = Blob { digest, executable: linked.facts.executable };
        let removed = self.renewing(&[blob], || match fs::remove_file(&linked.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        removed.map_err(CacheError::io("remove", &linked.path))
    }
}

impl Linked {
    pub(crate) fn new(path: &Utf8Path, metadata: &fs::Metadata) -> Option<Self> {
        let facts = FileFacts::of(metadata);
        let is_link = metadata.is_file() && facts.names > 1 && facts.stamp.has_blob_time();
        is_link.then(|| Self { path: path.to_owned(), facts })
    }
}

/// Finds the links to blobs below a folder, and lets every folder be emptied.
pub(crate) fn collect(root: &Utf8Path, linked: &mut Vec<Linked>) -> Result<(), CacheError> {
    let mut folders = vec![root.as_std_path().to_owned()];
    while let Some(folder) = folders.pop() {
        // What has no UTF-8 name is no link that we made; `remove_dir_all` takes it away.
        let Some(folder) = Utf8Path::from_path(&folder) else { continue };
        allow(folder, 0o700)?;
        for entry in fs::read_dir(folder).map_err(CacheError::io("list", folder))? {
            let entry = entry.map_err(CacheError::io("list", folder))?;
            let metadata = entry.metadata().map_err(CacheError::io("read", folder))?;
            let path = entry.path();
            if metadata.is_dir() {
                folders.push(path);
            } else if let Some(path) = Utf8Path::from_path(&path) {
                linked.extend(Linked::new(path, &metadata));
            }
        }
    }
    Ok(())
}

/// Removes a file or folder. False: it was gone.
pub(crate) fn remove(path: &Utf8Path) -> Result<bool, CacheError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CacheError::io("remove", path)(error)),
    }
}
