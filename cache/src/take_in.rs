//! How content becomes a blob: sealed, synced, and moved to its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::{each, seal, seal_seen};
use crate::layout::Blob;
use crate::look::file_artifact;
use crate::scan::gone_or_io;
use crate::stamp::Stamp;
use crate::{Artifact, Cache, CacheError, Digest, Entry, Form, Manifest, RelPath, hash, manifest, record};

/// A file that is to become a blob.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) source: Utf8PathBuf,
    /// What it was when its digest was computed.
    pub(crate) stamp: Stamp,
    pub(crate) blob: Blob,
    pub(crate) how: How,
}

/// What happens to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It becomes the blob.
    Move,
    /// It stays as it is.
    Copy,
}

/// From this many files on, the file system is synced once instead of each file.
#[cfg(target_os = "linux")]
const SYNC_AT_ONCE: usize = 32;

/// A file that has everything of a blob but its name.
struct Staged {
    path: Utf8PathBuf,
    file: File,
    blob: Blob,
}

impl Cache {
    /// Keeps these bytes as a file artifact.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Artifact, CacheError> {
        let artifact = file_artifact(Digest::of(bytes), bytes.len() as u64, false);
        let blob = Blob { digest: artifact.digest, executable: false };
        self.note_kept(blob);
        if self.sound(&[blob])?[0].is_none() {
            let path = self.temporary_name()?;
            let stamp = write_new(&path, bytes).map_err(CacheError::io("write", &path))?;
            self.take_in(vec![Incoming { source: path, stamp, blob, how: How::Move }])?;
        }
        Ok(artifact)
    }

    /// Makes a folder artifact of artifacts that are in the store, each under its name (a relative path).
    ///
    /// # Errors
    /// If a name cannot be one, two collide, or a folder's manifest is missing.
    pub fn assemble(&self, entries: &[(String, Artifact)]) -> Result<Artifact, CacheError> {
        let mut all: Vec<Entry> = Vec::with_capacity(entries.len());
        for (name, artifact) in entries {
            let path = RelPath::new(name).map_err(|_| CacheError::Name { name: name.clone() })?;
            let inner = match artifact.form {
                Form::Folder => Some(self.manifest(artifact)?),
                Form::File | Form::Executable => None,
            };
            all.extend(manifest::nested(&path, artifact, inner.as_ref()));
        }
        self.put_manifest(&Manifest::new(all)?)
    }

    /// Keeps a manifest, whose files are in the store.
    pub(crate) fn put_manifest(&self, manifest: &Manifest) -> Result<Artifact, CacheError> {
        let bytes = manifest.encode();
        self.put(&bytes)?;
        Ok(manifest.artifact_of(&bytes))
    }

    /// Turns files into blobs. A file whose content is there already is left where it is.
    pub(crate) fn take_in(&self, incoming: Vec<Incoming>) -> Result<(), CacheError> {
        let mut wanted: BTreeMap<Blob, Incoming> = BTreeMap::new();
        for incoming in incoming {
            wanted.entry(incoming.blob).or_insert(incoming);
        }
        let blobs: Vec<Blob> = wanted.keys().copied().collect();
        for (blob, stamp) in blobs.iter().zip(self.sound(&blobs)?) {
            if stamp.is_some() {
                wanted.remove(blob);
            }
        }
        let wanted: Vec<Incoming> = wanted.into_values().collect();
        wanted.chunks(at_once()).try_for_each(|some| self.take_in_at_once(some))
    }

    /// The same for so many that all of them can be open.
    fn take_in_at_once(&self, incoming: &[Incoming]) -> Result<(), CacheError> {
        let staged = each(incoming, |incoming| self.stage(incoming))?;
        let defers = self.may_defer();
        if !defers {
            self.sync(&staged)?;
        }
        let named = each(&staged, |staged| self.name(staged))?;
        let folders: BTreeSet<&Utf8Path> = named.iter().filter_map(|(path, ..)| path.parent()).collect();
        let folders: Vec<&Utf8Path> = folders.into_iter().collect();
        if !defers {
            each(&folders, |folder| record::sync_folder(folder).map_err(CacheError::io("sync", folder)))?;
        }
        self.note_captured(staged.iter().map(|staged| staged.blob));
        let stamps: Vec<Stamp> = named.iter().map(|(_, stamp, _)| *stamp).collect();
        self.learn(named.into_iter().map(|(_, stamp, digest)| (stamp, digest)));
        self.record(&stamps);
        Ok(())
    }

    /// A name for what is being written.
    pub(crate) fn temporary_name(&self) -> Result<Utf8PathBuf, CacheError> {
        let folder = self.inner.layout.temporary();
        fs::create_dir_all(&folder).map_err(CacheError::io("create", &folder))?;
        let place = tempfile::Builder::new().prefix("blob-").rand_bytes(16).make_in(&folder, |_| Ok(()));
        let (_, path) = place.map_err(CacheError::io("create", &folder))?.into_parts();
        let path = path.keep().map_err(|error| CacheError::io("create", &folder)(error.error))?;
        Utf8PathBuf::from_path_buf(path)
            .map_err(|path| CacheError::NotUtf8 { path: path.to_string_lossy().into_owned() })
    }

    fn stage(&self, incoming: &Incoming) -> Result<Staged, CacheError> {
        let Incoming { source, stamp, blob, how } = incoming;
        let changed = || CacheError::Changed { path: source.clone() };
        let objects =
            fs::metadata(self.inner.layout.objects()).ok().map(|metadata| Stamp::of(&metadata).device);
        if *how == How::Move && objects.is_none_or(|device| device == stamp.device) {
            let seen = fs::symlink_metadata(source).map_err(gone_or_io("read", source))?;
            if Stamp::of(&seen) != *stamp {
                return Err(changed());
            }
            match seal_seen(source, &seen, *blob) {
                Ok(file) => return Ok(Staged { path: source.clone(), file, blob: *blob }),
                // It belongs to another user, so that only a copy can be ours.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(CacheError::io("seal", source)(error)),
            }
        }
        let path = self.temporary_name()?;
        let copied = self.inner.clones.copy(source, stamp.device, &path, objects.unwrap_or(stamp.device));
        copied.map_err(CacheError::io("copy", source))?;
        let file = seal(&path, *blob).map_err(CacheError::io("seal", &path))?;
        // What was appended while it was copied is no part of what its digest was computed from.
        let size = file.metadata().map_err(CacheError::io("read", &path))?.len();
        let is_same = size == stamp.size
            && hash::of_open(&file, size).map_err(CacheError::io("read", &path))? == blob.digest;
        if !is_same {
            return Err(changed());
        }
        Ok(Staged { path, file, blob: *blob })
    }

    fn sync(&self, staged: &[Staged]) -> Result<(), CacheError> {
        #[cfg(target_os = "linux")]
        if let [first, ..] = staged
            && staged.len() >= SYNC_AT_ONCE
        {
            let synced = rustix::fs::syncfs(&first.file).map_err(io::Error::from);
            return synced.map_err(CacheError::io("sync", self.state()));
        }
        each(staged, |staged| staged.file.sync_all().map_err(CacheError::io("sync", &staged.path))).map(drop)
    }

    /// Gives a staged file its name as a blob: its path, stamp and digest.
    fn name(&self, staged: &Staged) -> Result<(Utf8PathBuf, Stamp, Digest), CacheError> {
        let path = self.inner.layout.object(staged.blob);
        let renamed = match fs::rename(&staged.path, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(&path);
                let made = match self.may_defer() {
                    true => fs::create_dir_all(folder),
                    false => record::make_folder(folder),
                };
                made.and_then(|()| fs::rename(&staged.path, &path))
            }
            other => other,
        };
        renamed.map_err(CacheError::io("keep", &staged.path))?;
        let metadata = staged.file.metadata().map_err(CacheError::io("read", &path))?;
        Ok((path, Stamp::of(&metadata), staged.blob.digest))
    }
}

/// How many files are open at once while they become blobs: a part of what this process may have open, for others do so beside it.
fn at_once() -> usize {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    usize::try_from(most.unwrap_or(u64::MAX) / 16).unwrap_or(usize::MAX).clamp(16, 2048)
}

/// Writes a new file: its stamp.
pub(crate) fn write_new(path: &Utf8Path, bytes: &[u8]) -> io::Result<Stamp> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    Ok(Stamp::of(&file.metadata()?))
}
