//! Making the content of a damaged blob good again, from wherever it may be had.

use std::io;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::layout::Blob;
use crate::take_in::{How, Incoming};
use crate::{Cache, CacheError, Digest, hash};

/// A place where the content of a digest may lie. It is read and compared with the digest before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file outside of the cache.
    File(Utf8PathBuf),
    /// The listing of a folder outside of the cache: where that lies, and its bytes.
    Listing(Utf8PathBuf, Vec<u8>),
}

/// Where the content of a damaged blob came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Remedy {
    /// The blob with the same content and the other executable bit.
    Twin,
    /// A copy outside of the cache.
    Copy {
        /// Where it lies.
        path: Utf8PathBuf,
    },
    /// The store of the team.
    Store,
}

impl Cache {
    /// Makes a blob good again that was removed because it was damaged; none if its content is nowhere to be had.
    ///
    /// The places are asked in the order of what they cost: the store of the team after all that lies on this machine.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub(crate) fn mend(
        &self,
        blob: Blob,
        sources: impl FnOnce(&Digest) -> Vec<Source>,
    ) -> Result<Option<Remedy>, CacheError> {
        if self.is_sound_here(blob)? {
            return Ok(Some(Remedy::Twin));
        }
        for source in sources(&blob.digest) {
            if let Some(path) = self.mend_from(blob, source)? {
                return Ok(Some(Remedy::Copy { path }));
            }
        }
        let is_there = self.bring_blobs(&[blob]) && self.is_sound_here(blob)?;
        Ok(is_there.then_some(Remedy::Store))
    }

    /// Whether a blob is here, or could be made from its twin.
    fn is_sound_here(&self, blob: Blob) -> Result<bool, CacheError> {
        match self.ensure_here(&[blob]) {
            Ok(_) => Ok(true),
            // It is gone, or was tampered with so that only its bytes tell.
            Err(CacheError::Missing { .. } | CacheError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The path of the source, if it has the content.
    fn mend_from(&self, blob: Blob, source: Source) -> Result<Option<Utf8PathBuf>, CacheError> {
        let path = match source {
            Source::Listing(path, bytes) => {
                let is_it = Digest::of(&bytes) == blob.digest && !blob.executable;
                return Ok(if is_it { self.put(&bytes).map(|_| Some(path))? } else { None });
            }
            Source::File(path) => path,
        };
        let read = match hash::settled(&path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        let Some((digest, stamp)) = read else { return Ok(None) };
        if digest != blob.digest {
            return Ok(None);
        }
        match self.take_in(vec![Incoming { source: path.clone(), stamp, blob, how: How::Copy }]) {
            Ok(()) => Ok(Some(path)),
            Err(CacheError::Changed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scene::{Scene, make_executable, tamper};
    use crate::{IgnoreRules, Place, Verification};

    fn verify(scene: &Scene, sources: &(dyn Fn(&Digest) -> Vec<Source> + Sync)) -> Vec<Option<Remedy>> {
        let report = scene.cache.verify(&Verification { sample: None, repair: Some(sources) }).unwrap();
        report.damaged.into_iter().map(|damage| damage.repaired).collect()
    }

    #[test]
    fn the_twin_helps() {
        let scene = Scene::new();
        make_executable(&scene.write("tool", "#!/bin/sh"));
        let tool = scene.cache.capture(&scene.path("tool"), &IgnoreRules::builtin()).unwrap().unwrap();
        scene.cache.put(b"#!/bin/sh").unwrap();
        tamper(&scene.cache.inner.layout.object(Blob { digest: tool.digest, executable: true }));
        assert_eq!(verify(&scene, &|_| panic!("nobody else is asked")), [Some(Remedy::Twin)]);
        assert!(verify(&scene, &|_| Vec::new()).is_empty(), "it is told once");
        scene.cache.place(&tool, &scene.path("again"), Place::ReadOnly).unwrap();
        assert_eq!(fs::read(scene.path("again")).unwrap(), b"#!/bin/sh");
    }

    #[test]
    fn a_copy_helps_if_it_is_one() {
        let scene = Scene::new();
        let artifact = scene.cache.put(b"content").unwrap();
        let blob = Blob { digest: artifact.digest, executable: false };
        tamper(&scene.cache.inner.layout.object(blob));
        let [other, gone, copy] = ["other", "gone", "copy"].map(|name| scene.path(name));
        fs::write(&other, "c0ntent").unwrap();
        fs::write(&copy, "content").unwrap();
        let sources = |_: &Digest| [&gone, &other, &copy].map(|path| Source::File(path.clone())).to_vec();
        assert_eq!(verify(&scene, &sources), [Some(Remedy::Copy { path: copy.clone() })]);
        assert!(scene.cache.available(&artifact).unwrap());
        assert_eq!(fs::read(&copy).unwrap(), b"content", "the copy stays what it is");
    }

    #[test]
    fn a_listing_helps_if_it_is_the_one() {
        let scene = Scene::new();
        scene.write("tree/a", "a");
        let seen = scene.look("tree");
        let tree = scene.cache.capture(&scene.path("tree"), &IgnoreRules::builtin()).unwrap().unwrap();
        tamper(&scene.cache.inner.layout.object(Blob { digest: tree.digest, executable: false }));
        let bytes = seen.manifest.unwrap().encode();
        let sources = |_: &Digest| vec![Source::Listing("somewhere".into(), bytes.clone())];
        assert_eq!(verify(&scene, &sources), [Some(Remedy::Copy { path: "somewhere".into() })]);
        assert!(scene.cache.available(&tree).unwrap());
    }

    #[test]
    fn what_is_nowhere_to_be_had_is_told() {
        let scene = Scene::new();
        let artifact = scene.cache.put(b"content").unwrap();
        tamper(&scene.cache.inner.layout.object(Blob { digest: artifact.digest, executable: false }));
        assert_eq!(verify(&scene, &|_| Vec::new()), [None]);
        assert!(!scene.cache.available(&artifact).unwrap());
    }
}
