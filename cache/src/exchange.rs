//! What whoever talks to a store takes from the cache, and what he gives it: contents by their digest, and nothing unverified.

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::Blob;
use crate::take_in::{How, Incoming, write_new};
use crate::{ActionResult, Artifact, Cache, CacheError, Digest, Form, Key, NewResult, manifest};

impl Cache {
    /// All contents that an artifact needs, each once, with their sizes; a folder's manifest is the first.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if the manifest is not here.
    pub fn contents(&self, artifact: &Artifact) -> Result<Vec<(Digest, u64)>, CacheError> {
        if artifact.form != Form::Folder {
            return Ok(vec![(artifact.digest, artifact.size)]);
        }
        let bytes = self.content_here(artifact.digest, u64::MAX)?;
        let not_a_folder = || CacheError::Form { digest: artifact.digest, expected: "a folder" };
        let manifest = crate::Manifest::decode(&bytes).ok_or_else(not_a_folder)?;
        let mut contents = vec![(artifact.digest, bytes.len() as u64)];
        contents.extend(manifest::blobs(&manifest).into_iter().map(|(blob, size)| (blob.digest, size)));
        contents[1..].sort_unstable();
        contents.dedup_by_key(|(digest, _)| *digest);
        Ok(contents)
    }

    /// The open file of a content, whatever bytes it holds now: who reads it computes its digest.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if it is not here.
    pub fn open_content(&self, digest: Digest) -> Result<File, CacheError> {
        self.with_trash(|| self.open_in_place(digest), || Ok(vec![Blob { digest, executable: false }]))
    }

    fn open_in_place(&self, digest: Digest) -> Result<File, CacheError> {
        for executable in [false, true] {
            let path = self.inner.layout.object(Blob { digest, executable });
            match File::open(&path) {
                Ok(file) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CacheError::io("read", &path)(error)),
            }
        }
        Err(CacheError::Missing { digest })
    }

    /// Keeps small contents.
    ///
    /// # Errors
    /// [`CacheError::Changed`] if one is not what its digest says; if they cannot be written.
    pub fn admit(&self, contents: &[(Digest, bool, Vec<u8>)]) -> Result<(), CacheError> {
        let mut incoming = Vec::with_capacity(contents.len());
        for (digest, executable, bytes) in contents {
            let source = self.temporary_name()?;
            if Digest::of(bytes) != *digest {
                return Err(CacheError::Changed { path: source });
            }
            let written = write_new(&source, bytes);
            let stamp = written.map_err(CacheError::io("write", &source))?;
            let blob = Blob { digest: *digest, executable: *executable };
            incoming.push(Incoming { source, stamp, blob, how: How::Move });
        }
        let sources: Vec<Utf8PathBuf> = incoming.iter().map(|incoming| incoming.source.clone()).collect();
        let taken = self.take_in(incoming);
        // What was here already is left where it was written.
        for source in sources {
            drop(fs::remove_file(source));
        }
        taken
    }

    /// Keeps a large content that lies at a place of [`Cache::place_for`]; it is read once more on its way.
    ///
    /// # Errors
    /// [`CacheError::Changed`] if it is not what its digest says; if it cannot be moved.
    pub fn admit_file(&self, path: &Utf8Path, digest: Digest, executable: bool) -> Result<(), CacheError> {
        let settled = crate::hash::settled(path).map_err(CacheError::io("read", path))?;
        let Some((_, stamp)) = settled.filter(|(found, _)| *found == digest) else {
            return Err(CacheError::Changed { path: path.to_owned() });
        };
        let blob = Blob { digest, executable };
        self.take_in(vec![Incoming { source: path.to_owned(), stamp, blob, how: How::Move }])?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Where a large content is put together. What an interrupted process left there may be used again.
    #[must_use]
    pub fn place_for(&self, digest: Digest) -> Utf8PathBuf {
        self.inner.layout.temporary().join(format!("fetch-{digest}"))
    }

    /// Keeps a result that was found elsewhere, unless its key has one here.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn take_over(&self, recipe: &[u8], result: ActionResult) -> Result<ActionResult, CacheError> {
        self.publish(recipe, NewResult::from(result))
    }

    /// The results of a key that were withdrawn, as far as they can be read.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn withdrawn(&self, key: &Key) -> Result<Vec<ActionResult>, CacheError> {
        let numbers = self.numbers(key)?.quarantined;
        numbers.into_iter().filter_map(|number| self.numbered(key, number).transpose()).collect()
    }

    /// Whether a result of a key was withdrawn: who, when and where it was made tells one result from another.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn is_withdrawn(&self, result: &ActionResult) -> Result<bool, CacheError> {
        let same = |other: &ActionResult| {
            (other.finished, &other.run, &other.host, &other.outputs)
                == (result.finished, &result.run, &result.host, &result.outputs)
        };
        Ok(self.withdrawn(&result.key)?.iter().any(same))
    }

    /// The canonical bytes of the recipe of a key, if it is kept.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn recipe_bytes(&self, key: &Key) -> Result<Option<Vec<u8>>, CacheError> {
        match self.recipe(key)? {
            Some(document) => Ok(Some(document.encode()?)),
            None => Ok(None),
        }
    }
}

impl From<ActionResult> for NewResult {
    fn from(result: ActionResult) -> Self {
        let ActionResult {
            outputs,
            log,
            usage,
            finished,
            run,
            step,
            pipeline,
            host,
            user,
            project,
            sandbox,
            ..
        } = result;
        Self { after: 0, outputs, log, usage, finished, run, step, pipeline, host, user, project, sandbox }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::tests::broken_machine;
    use crate::records::tests::new_result;
    use crate::scene::Scene;

    #[test]
    fn a_content_is_admitted_only_as_what_it_is() {
        let scene = Scene::new();
        let (here, digest) = (b"bytes".to_vec(), Digest::of(b"bytes"));
        let wrong = scene.cache.admit(&[(digest, false, b"other".to_vec())]);
        assert!(matches!(wrong, Err(CacheError::Changed { .. })));
        scene.cache.admit(&[(digest, false, here.clone()), (digest, false, here)]).unwrap();
        assert_eq!(scene.cache.contents(&scene.cache.put(b"bytes").unwrap()).unwrap(), [(digest, 5)]);
        let large = scene.cache.place_for(Digest::of(b"large"));
        fs::write(&large, "larger").unwrap();
        let wrong = scene.cache.admit_file(&large, Digest::of(b"large"), true);
        assert!(matches!(wrong, Err(CacheError::Changed { .. })));
        fs::write(&large, "large").unwrap();
        scene.cache.admit_file(&large, Digest::of(b"large"), true).unwrap();
        assert!(!large.exists());
        assert!(scene.cache.open_content(Digest::of(b"large")).is_ok());
        let left = scene.cache.inner.layout.temporary().read_dir_utf8().unwrap();
        assert_eq!(left.filter(|entry| entry.as_ref().unwrap().file_name().starts_with("blob-")).count(), 0);
    }

    #[test]
    fn a_result_that_was_withdrawn_is_known_when_it_comes_back() {
        let scene = Scene::new();
        let artifact = scene.cache.put(b"one").unwrap();
        let result = scene.cache.publish(b"recipe", new_result(0, artifact)).unwrap();
        assert!(!scene.cache.is_withdrawn(&result).unwrap());
        scene.cache.quarantine(&result.key, 1, &broken_machine()).unwrap();
        assert!(scene.cache.is_withdrawn(&ActionResult { number: 9, ..result.clone() }).unwrap());
        assert!(!scene.cache.is_withdrawn(&ActionResult { run: "another".into(), ..result }).unwrap());
    }
}
