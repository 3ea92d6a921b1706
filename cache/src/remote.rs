//! What lies elsewhere: the store of a team, as the cache sees it.
//!
//! The cache asks it for contents that it has not, and believes nothing: what comes is checked against its digest first. Results
//! are looked up when somebody says so, for each question costs a way to the store and back.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::layout::Blob;
use crate::trash::LOOKS;
use crate::{Artifact, Cache, CacheError, Digest, Form, Key, Manifest, manifest};

/// A content that is wanted, and whether as a file with the executable bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Whether it is to have the executable bit.
    pub executable: bool,
    /// Its size, if something that was believed says it.
    pub size: Option<u64>,
}

/// A place where results and contents lie that are not here. Its methods block, and never fail: what cannot be had is not there.
pub trait Remote: fmt::Debug + Send + Sync {
    /// Looks results up by their keys, and keeps what is found in the cache.
    fn look_up(&self, cache: &Cache, keys: &[Key]);

    /// The same for what goes between machines and is no result of a step, also if it was asked for before: something may have come since.
    fn look_up_again(&self, cache: &Cache, keys: &[Key]);

    /// Whether there is any use in looking this key up: it was not yet, and the store can be reached.
    fn may_know(&self, key: &Key) -> bool;

    /// Which of these contents the store is thought to have.
    fn holds(&self, digests: &[Digest]) -> Vec<bool>;

    /// Fetches contents into the cache, as far as they can be had.
    fn fetch(&self, cache: &Cache, wanted: &[Wanted]);
}

impl Cache {
    /// From now on, what is not here is asked for there. The first one counts.
    pub fn attach(&self, remote: Arc<dyn Remote>) {
        drop(self.inner.remote.set(remote));
    }

    /// Where things are asked for that are not here.
    #[must_use]
    pub fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.inner.remote.get()
    }

    /// Whether all the content of an artifact is here; the store is not asked.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn is_here(&self, artifact: &Artifact) -> Result<bool, CacheError> {
        let Some(blobs) = self.blobs_here(artifact)? else { return Ok(false) };
        Ok(self.lacking_here(&blobs)?.is_empty())
    }

    /// Brings what is not here of these artifacts from the store, as far as it can be had.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn bring_here(&self, artifacts: &[Artifact]) -> Result<(), CacheError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        // Manifests first: they say what else is wanted.
        let own: Vec<Wanted> = artifacts.iter().map(Wanted::of).collect();
        self.ask_for(&**remote, own)?;
        let mut inner = Vec::new();
        for folder in artifacts.iter().filter(|artifact| artifact.form == Form::Folder) {
            if let Some(manifest) = self.manifest_here(folder)? {
                inner.extend(wanted_by(&manifest));
            }
        }
        self.ask_for(&**remote, inner)
    }

    /// How many bytes of an artifact would have to be fetched before it could be used; none if it cannot be had. What a folder
    /// lacks is counted only if its manifest is here, else it is all that it holds.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn bytes_to_fetch(&self, artifact: &Artifact) -> Result<Option<u64>, CacheError> {
        if self.is_here(artifact)? {
            return Ok(Some(0));
        }
        if !self.is_there(artifact)? {
            return Ok(None);
        }
        let Some(manifest) = self.manifest_here(artifact)? else { return Ok(Some(artifact.size)) };
        let wanted: Vec<Wanted> = wanted_by(&manifest).collect();
        let absent = self.absent(wanted)?;
        Ok(Some(absent.iter().filter_map(|wanted| wanted.size).sum()))
    }

    /// Whether what is not here of an artifact is in the store, as far as the store says.
    pub(crate) fn is_there(&self, artifact: &Artifact) -> Result<bool, CacheError> {
        let Some(remote) = self.remote() else { return Ok(false) };
        let mut wanted = vec![Wanted::of(artifact)];
        if let Some(manifest) = self.manifest_here(artifact)? {
            wanted.extend(wanted_by(&manifest));
        }
        let digests: Vec<Digest> = self.absent(wanted)?.into_iter().map(|wanted| wanted.digest).collect();
        Ok(remote.holds(&digests).into_iter().all(|held| held))
    }

    /// Brings blobs from the store; whether there is one to ask.
    pub(crate) fn bring_blobs(&self, blobs: &[Blob]) -> bool {
        let Some(remote) = self.remote() else { return false };
        let wanted =
            blobs.iter().map(|blob| Wanted { digest: blob.digest, executable: blob.executable, size: None });
        remote.fetch(self, &wanted.collect::<Vec<_>>());
        true
    }

    fn ask_for(&self, remote: &dyn Remote, wanted: Vec<Wanted>) -> Result<(), CacheError> {
        let absent = self.absent(wanted)?;
        if !absent.is_empty() {
            remote.fetch(self, &absent);
        }
        Ok(())
    }

    /// Those that are not here in either form, each content once.
    fn absent(&self, mut wanted: Vec<Wanted>) -> Result<Vec<Wanted>, CacheError> {
        wanted.sort_unstable();
        wanted.dedup_by_key(|wanted| wanted.digest);
        let blob = |wanted: &Wanted| Blob { digest: wanted.digest, executable: wanted.executable };
        let blobs: Vec<Blob> = wanted.iter().map(blob).collect();
        let lacking: HashSet<Digest> =
            self.lacking_here(&blobs)?.into_iter().map(|blob| blob.digest).collect();
        wanted.retain(|wanted| lacking.contains(&wanted.digest));
        Ok(wanted)
    }

    /// The blobs that are not here, nor are their twins. What lies in the trash is put back.
    fn lacking_here(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        let mut lacking = self.lacking(blobs)?;
        for _ in 0..LOOKS {
            if lacking.is_empty() || self.generations()?.is_empty() {
                break;
            }
            self.put_back_any(lacking.iter().copied())?;
            lacking = self.lacking(&lacking)?;
        }
        Ok(lacking)
    }

    /// The manifest of a folder, if it is one and here.
    fn manifest_here(&self, artifact: &Artifact) -> Result<Option<Manifest>, CacheError> {
        if artifact.form != Form::Folder {
            return Ok(None);
        }
        match self.content_here(artifact.digest, u64::MAX) {
            Ok(bytes) => Ok(Manifest::decode(&bytes)),
            Err(CacheError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All blobs that an artifact needs; none if its manifest is not here.
    fn blobs_here(&self, artifact: &Artifact) -> Result<Option<Vec<Blob>>, CacheError> {
        let own = Blob { digest: artifact.digest, executable: artifact.form == Form::Executable };
        let mut blobs = vec![own];
        if artifact.form == Form::Folder {
            let Some(manifest) = self.manifest_here(artifact)? else { return Ok(None) };
            blobs.extend(manifest::blobs(&manifest).into_keys().filter(|blob| *blob != own));
        }
        Ok(Some(blobs))
    }
}

impl Wanted {
    /// The content that names an artifact.
    fn of(artifact: &Artifact) -> Self {
        let size = (artifact.form != Form::Folder).then_some(artifact.size);
        Self { digest: artifact.digest, executable: artifact.form == Form::Executable, size }
    }
}

/// The contents of the files of a folder, each once.
fn wanted_by(manifest: &Manifest) -> impl Iterator<Item = Wanted> {
    let wanted = |(blob, size): (Blob, u64)| Wanted {
        digest: blob.digest,
        executable: blob.executable,
        size: Some(size),
    };
    manifest::blobs(manifest).into_iter().map(wanted)
}
