//! Blobs: one read-only inode per digest and executable bit, and the doubt whether each still is what its name says.
//!
//! A blob is *sound* if its stamp is the recorded one; otherwise it is read again, and removed if it was damaged. All blobs
//! have one fixed modification time, so that even a write within the same tick of the clock shows.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::UNIX_EPOCH;

use camino::Utf8Path;
use rayon::prelude::*;

use crate::discard::remove;
use crate::layout::Blob;
use crate::scan::MANY;
use crate::stamp::{BLOB_TIME, Stamp};
use crate::take_in::{How, Incoming};
use crate::{Artifact, Cache, CacheError, Digest, Form, Manifest, hash, manifest};

/// So many blobs a process keeps in mind beyond what it is doing right now.
const KNOWN_LIMIT: usize = 1 << 16;

impl Cache {
    /// Whether all the content of an artifact can be had: it is here and as it was, or the store of the team has it. What was
    /// damaged is removed.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn available(&self, artifact: &Artifact) -> Result<bool, CacheError> {
        Ok(self.is_here(artifact)? || self.is_there(artifact)?)
    }

    /// The blobs that are not there, nor are their twins.
    pub(crate) fn lacking(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        let absent = |(blob, stamp): (&Blob, Option<Stamp>)| stamp.is_none().then_some(*blob);
        let lacking: Vec<Blob> = blobs.iter().zip(self.sound(blobs)?).filter_map(absent).collect();
        let twins: Vec<Blob> = lacking.iter().map(|blob| blob.twin()).collect();
        let twins = self.sound(&twins)?;
        Ok(lacking.iter().zip(twins).filter_map(absent).collect())
    }

    /// Whether a file is in the store and was not written to, as far as the file system tells by its size and time. It is enough
    /// where nothing but a name is told: who reads the bytes verifies them.
    #[must_use]
    pub fn seems_available(&self, file: &Artifact) -> bool {
        let blob = Blob { digest: file.digest, executable: file.form == Form::Executable };
        let stamp = stat(&self.inner.layout.object(blob)).ok().flatten();
        file.form != Form::Folder
            && stamp.is_some_and(|stamp| stamp.size == file.size && stamp.has_blob_time())
    }

    /// The manifest of a folder, from the store.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if it is not there, [`CacheError::Form`] if the artifact is no folder.
    pub fn manifest(&self, folder: &Artifact) -> Result<Manifest, CacheError> {
        let not_a_folder = || CacheError::Form { digest: folder.digest, expected: "a folder" };
        if folder.form != Form::Folder {
            return Err(not_a_folder());
        }
        Manifest::decode(&self.content(folder.digest, u64::MAX)?).ok_or_else(not_a_folder)
    }

    /// The bytes of a file artifact, verified.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if they are not there, [`CacheError::TooLarge`] if there are more than `limit`,
    /// [`CacheError::Form`] if the artifact is a folder.
    pub fn read(&self, artifact: &Artifact, limit: u64) -> Result<Vec<u8>, CacheError> {
        if artifact.form == Form::Folder {
            return Err(CacheError::Form { digest: artifact.digest, expected: "a file" });
        }
        self.content(artifact.digest, limit)
    }

    /// The verified bytes of this digest, from either of its blobs, or from the store.
    pub(crate) fn content(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, CacheError> {
        match self.content_here(digest, limit) {
            Err(CacheError::Missing { .. }) if self.bring_blobs(&[Blob { digest, executable: false }]) => {
                self.content_here(digest, limit)
            }
            other => other,
        }
    }

    /// The verified bytes of this digest, from either of its blobs. What lies in the trash is put back.
    pub(crate) fn content_here(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, CacheError> {
        self.with_trash(
            || self.content_in_place(digest, limit),
            || Ok(vec![Blob { digest, executable: false }]),
        )
    }

    fn content_in_place(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, CacheError> {
        for executable in [false, true] {
            let path = self.inner.layout.object(Blob { digest, executable });
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(CacheError::io("read", &path)(error)),
            };
            if metadata.is_file() && metadata.len() > limit {
                return Err(CacheError::TooLarge { digest, size: metadata.len(), limit });
            }
            match fs::read(&path) {
                Ok(bytes) if metadata.is_file() && Digest::of(&bytes) == digest => return Ok(bytes),
                Ok(_) => remove_damaged(&path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CacheError::io("read", &path)(error)),
            }
        }
        Err(CacheError::Missing { digest })
    }

    /// All blobs that an artifact needs, each once; a folder's manifest included.
    pub(crate) fn blobs_of(&self, artifact: &Artifact) -> Result<Vec<Blob>, CacheError> {
        let own = Blob { digest: artifact.digest, executable: artifact.form == Form::Executable };
        let mut blobs = vec![own];
        if artifact.form == Form::Folder {
            blobs.extend(manifest::blobs(&self.manifest(artifact)?).into_keys().filter(|blob| *blob != own));
        }
        Ok(blobs)
    }

    /// The stamp of each blob that is there and is as it was; from now on this process knows them.
    pub(crate) fn sound(&self, blobs: &[Blob]) -> Result<Vec<Option<Stamp>>, CacheError> {
        let stat = |blob: &Blob| stat(&self.inner.layout.object(*blob));
        let stamps: Vec<Option<Stamp>> = each(blobs, stat)?;
        let present: Vec<Stamp> = stamps.iter().copied().flatten().collect();
        let mut recorded = self.recorded(&present).into_iter();
        let (mut doubtful, mut sound) = (Vec::new(), stamps.clone());
        for (index, stamp) in stamps.iter().enumerate() {
            let Some(stamp) = stamp else { continue };
            if recorded.next().flatten() != Some((*stamp, blobs[index].digest)) {
                doubtful.push(index);
            }
        }
        let checked = each(&doubtful, |index| self.read_again(blobs[*index]))?;
        for (index, stamp) in doubtful.iter().zip(&checked) {
            sound[*index] = *stamp;
        }
        let certain = |(blob, stamp): (&Blob, &Option<Stamp>)| stamp.map(|stamp| (stamp, blob.digest));
        self.learn(blobs.iter().zip(&sound).filter_map(certain));
        let renewed = doubtful.iter().filter_map(|index| sound[*index]).collect::<Vec<_>>();
        self.record(&renewed);
        Ok(sound)
    }

    /// Like [`Self::sound`], and a blob of which only the twin is there is made from it. What lies in the trash is put back, and
    /// what is not here comes from the store.
    pub(crate) fn ensure(&self, blobs: &[Blob]) -> Result<Vec<Stamp>, CacheError> {
        match self.ensure_here(blobs) {
            Err(error) if error.is_absence() && self.bring_blobs(&self.lacking(blobs)?) => {
                self.ensure_here(blobs)
            }
            other => other,
        }
    }

    pub(crate) fn ensure_here(&self, blobs: &[Blob]) -> Result<Vec<Stamp>, CacheError> {
        self.with_trash(|| self.ensure_in_place(blobs), || self.lacking(blobs))
    }

    fn ensure_in_place(&self, blobs: &[Blob]) -> Result<Vec<Stamp>, CacheError> {
        let mut sound = self.sound(blobs)?;
        let absent: Vec<usize> = (0..blobs.len()).filter(|index| sound[*index].is_none()).collect();
        if !absent.is_empty() {
            let twins: Vec<Blob> = absent.iter().map(|index| blobs[*index].twin()).collect();
            for (twin, stamp) in twins.iter().zip(self.sound(&twins)?) {
                let stamp = stamp.ok_or(CacheError::Missing { digest: twin.digest })?;
                let source = self.inner.layout.object(*twin);
                self.take_in(vec![Incoming { source, stamp, blob: twin.twin(), how: How::Copy }])?;
            }
            let made: Vec<Blob> = absent.iter().map(|index| blobs[*index]).collect();
            for (index, stamp) in absent.into_iter().zip(self.sound(&made)?) {
                sound[index] = stamp;
            }
        }
        let missing =
            |(blob, stamp): (&Blob, Option<Stamp>)| stamp.ok_or(CacheError::Missing { digest: blob.digest });
        blobs.iter().zip(sound).map(missing).collect()
    }

    /// What is recorded for these inodes: by this process, else in the index.
    pub(crate) fn recorded(&self, stamps: &[Stamp]) -> Vec<Option<(Stamp, Digest)>> {
        let mut recorded: Vec<Option<(Stamp, Digest)>> = {
            let known = self.known();
            stamps.iter().map(|stamp| known.get(&(stamp.device, stamp.inode)).copied()).collect()
        };
        // Another process may have linked the blob since, and recorded it.
        let unsure: Vec<usize> = (0..stamps.len())
            .filter(|index| recorded[*index].is_none_or(|(stamp, _)| stamp != stamps[*index]))
            .collect();
        let wanted: Vec<Stamp> = unsure.iter().map(|index| stamps[*index]).collect();
        for (index, found) in unsure.into_iter().zip(self.inner.index.find(&wanted)) {
            recorded[index] = found.or(recorded[index]);
        }
        recorded
    }

    /// Keeps in mind what these blobs are, unless something newer is known of the same content.
    pub(crate) fn learn(&self, blobs: impl Iterator<Item = (Stamp, Digest)>) {
        let mut known = self.known();
        for (stamp, digest) in blobs {
            let entry = known.entry((stamp.device, stamp.inode)).or_insert((stamp, digest));
            let is_newer =
                entry.1 == digest && entry.0.is_same_content_as(&stamp) && entry.0.changed > stamp.changed;
            if !is_newer {
                *entry = (stamp, digest);
            }
        }
    }

    /// Writes down what this process knows of these inodes.
    pub(crate) fn record(&self, inodes: &[Stamp]) {
        // The lock is held meanwhile, so that an older stamp cannot overwrite a newer one.
        let mut known = self.known();
        let entries: Vec<(Stamp, Digest)> =
            inodes.iter().filter_map(|stamp| known.get(&(stamp.device, stamp.inode)).copied()).collect();
        self.inner.index.keep(&entries);
        if known.len() > KNOWN_LIMIT {
            known.clear();
        }
    }

    /// Reads a doubtful blob again: its stamp if it is what its name says, else it is removed.
    fn read_again(&self, blob: Blob) -> Result<Option<Stamp>, CacheError> {
        let path = self.inner.layout.object(blob);
        if let Some(stamp) = stat(&path)?
            && self.known().get(&(stamp.device, stamp.inode)) == Some(&(stamp, blob.digest))
        {
            // Another thread linked it just when its stamp was compared.
            return Ok(Some(stamp));
        }
        let read = match seal(&path, blob).and_then(|file| hash::of_blob(&file)) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        match read {
            Some((digest, stamp)) if digest == blob.digest => Ok(Some(stamp)),
            _ => remove_damaged(&path).map(|()| None),
        }
    }
}

/// Gives a file the mode and the time of a blob, if it has not, and opens it. Invalid data: it is no file.
pub(crate) fn seal(path: &Utf8Path, blob: Blob) -> io::Result<File> {
    seal_seen(path, &fs::symlink_metadata(path)?, blob)
}

/// The same for what was just looked at, without following a link.
pub(crate) fn seal_seen(path: &Utf8Path, metadata: &Metadata, blob: Blob) -> io::Result<File> {
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if metadata.mode() & 0o7777 != blob.mode() {
        fs::set_permissions(path, Permissions::from_mode(blob.mode()))?;
    }
    let file = File::open(path)?;
    if !Stamp::of(metadata).has_blob_time() {
        file.set_modified(UNIX_EPOCH + BLOB_TIME)?;
    }
    Ok(file)
}

/// The stamp of what lies at this path, if anything does; links are not followed.
pub(crate) fn stat(path: &Utf8Path) -> Result<Option<Stamp>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}

/// Does something for each, by several threads if there are many.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, CacheError> + Sync + Send,
) -> Result<Vec<R>, CacheError> {
    if items.len() < MANY { items.iter().map(work).collect() } else { items.par_iter().map(work).collect() }
}

fn remove_damaged(path: &Utf8Path) -> Result<(), CacheError> {
    tracing::warn!(%path, "a damaged blob is removed");
    remove(path).map(drop)
}
