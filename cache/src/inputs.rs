//! Copies of what was an input: small text files of the project, and the listings of its folders, so that an explanation can
//! show later which file changed, and how.
//!
//! They prove nothing and nobody waits for them: they are not synced, a copy that is not what its name says counts as
//! missing, and all of them may be deleted. `gc` keeps those that a kept recipe names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::manifest::Kind;
use crate::survey::grandchildren;
use crate::{Cache, CacheError, Digest, Document, Manifest, Seen};

/// A text up to this size, in bytes, is small: its lines are compared.
pub const SMALL: u64 = 64 << 10;
/// A longer listing of a folder is not kept, in bytes: that of about a hundred thousand files.
const LONGEST_LISTING: usize = 16 << 20;
/// So many files of one input are kept.
const MOST_FILES: usize = 500;

impl Cache {
    /// Keeps a copy of what was seen at `source`: of small texts their bytes, of a folder its listing and its small texts. What
    /// cannot be kept is left out.
    pub fn keep_input(&self, seen: &Seen, source: &Utf8Path) {
        if let Err(error) = self.try_keep_input(seen, source) {
            tracing::debug!(%source, %error, "no copy of an input is kept");
        }
    }

    fn try_keep_input(&self, seen: &Seen, source: &Utf8Path) -> io::Result<()> {
        let Some(manifest) = &seen.manifest else {
            return self.keep_text(seen.artifact.digest, seen.artifact.size, source);
        };
        let digest = seen.artifact.digest;
        if !self.inner.layout.input(&digest).exists() {
            let bytes = manifest.encode();
            if bytes.len() <= LONGEST_LISTING {
                self.keep_copy(digest, &bytes)?;
            }
        }
        let small = manifest.entries().iter().filter_map(|entry| match entry.kind {
            Kind::File { size, digest, .. } if size <= SMALL => {
                Some((digest, size, entry.path.below(source)))
            }
            _ => None,
        });
        for (digest, size, path) in small.take(MOST_FILES) {
            self.keep_text(digest, size, &path)?;
        }
        Ok(())
    }

    fn keep_text(&self, digest: Digest, size: u64, source: &Utf8Path) -> io::Result<()> {
        if size > SMALL || self.inner.layout.input(&digest).exists() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        fs::File::open(source)?.take(SMALL + 1).read_to_end(&mut bytes)?;
        let is_text = !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok();
        if is_text && Digest::of(&bytes) == digest { self.keep_copy(digest, &bytes) } else { Ok(()) }
    }

    fn keep_copy(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        let path = self.inner.layout.input(&digest);
        let folder = path.parent().expect("a copy lies in a folder");
        fs::create_dir_all(folder)?;
        let mut file =
            tempfile::Builder::new().prefix("input-").tempfile_in(self.inner.layout.temporary())?;
        file.write_all(bytes)?;
        match file.persist(&path) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.error),
        }
    }

    /// The bytes of this digest, if there are few, and they are among the copies or contents.
    #[must_use]
    pub fn small_content(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.copy_of(digest, SMALL).or_else(|| self.content(*digest, SMALL).ok())
    }

    /// The listing of a folder that was an input or an artifact, if it is still there.
    #[must_use]
    pub fn listing(&self, folder: &Digest) -> Option<Manifest> {
        let limit = LONGEST_LISTING as u64;
        let bytes = self.copy_of(folder, limit).or_else(|| self.content(*folder, limit).ok())?;
        Manifest::decode(&bytes)
    }

    fn copy_of(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let path = self.inner.layout.input(digest);
        let size = fs::metadata(&path).ok()?.len();
        let bytes = fs::read(&path).ok().filter(|_| size <= limit)?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// The copies that none of these recipes names, with their sizes.
    pub(crate) fn unnamed_copies(&self, recipes: &[Document]) -> Result<Vec<(Utf8PathBuf, u64)>, CacheError> {
        let mut named = BTreeSet::new();
        for recipe in recipes {
            digests_in(recipe, &mut named);
        }
        for folder in named.clone() {
            let Some(listing) = self.copy_of(&folder, LONGEST_LISTING as u64) else { continue };
            let Some(manifest) = Manifest::decode(&listing) else { continue };
            named.extend(manifest.entries().iter().filter_map(|entry| match entry.kind {
                Kind::File { digest, .. } => Some(digest),
                Kind::Folder | Kind::Link { .. } => None,
            }));
        }
        let mut unnamed = Vec::new();
        for path in grandchildren(&self.inner.layout.inputs())? {
            let digest = path.file_name().and_then(|name| name.parse::<Digest>().ok());
            if digest.is_none_or(|digest| !named.contains(&digest)) {
                let size = fs::symlink_metadata(&path).map_or(0, |facts| facts.len());
                unnamed.push((path, size));
            }
        }
        unnamed.sort_unstable();
        Ok(unnamed)
    }
}

/// Every digest that a document holds.
fn digests_in(document: &Document, into: &mut BTreeSet<Digest>) {
    match document {
        Document::Bytes(bytes) => {
            into.extend(<[u8; 32]>::try_from(bytes.as_slice()).ok().map(Digest::from_bytes));
        }
        Document::List(items) => items.iter().for_each(|item| digests_in(item, into)),
        Document::Map(members) => members.values().for_each(|member| digests_in(member, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;
    use crate::{Key, Roots};

    fn kept(scene: &Scene, name: &str) -> Seen {
        let seen = scene.look(name);
        scene.cache.keep_input(&seen, &scene.path(name));
        seen
    }

    #[test]
    fn small_texts_and_listings_are_kept() {
        let scene = Scene::new();
        scene.write("data/a.csv", "a\n1\n");
        scene.write("data/image", b"\x89PNG\0");
        scene.write("data/large.csv", "1\n".repeat(40_000));
        let seen = kept(&scene, "data");
        let text = Digest::of(b"a\n1\n");
        fs::remove_dir_all(scene.path("data")).unwrap();
        assert_eq!(scene.cache.listing(&seen.artifact.digest), seen.manifest);
        assert_eq!(scene.cache.small_content(&text).as_deref(), Some(b"a\n1\n".as_slice()));
        assert_eq!(scene.cache.small_content(&Digest::of(b"\x89PNG\0")), None);
        assert_eq!(grandchildren(&scene.cache.inner.layout.inputs()).unwrap().len(), 2);
    }

    #[test]
    fn a_copy_that_was_changed_counts_as_missing() {
        let scene = Scene::new();
        scene.write("train.py", "print(1)");
        let digest = kept(&scene, "train.py").artifact.digest;
        fs::write(scene.cache.inner.layout.input(&digest), "print(2)").unwrap();
        assert_eq!(scene.cache.small_content(&digest), None);
        // A file that is not what was seen any more is not kept under the old name.
        let seen = scene.look("train.py");
        scene.write("train.py", "print(3)");
        fs::remove_file(scene.cache.inner.layout.input(&digest)).unwrap();
        scene.cache.keep_input(&seen, &scene.path("train.py"));
        assert_eq!(scene.cache.small_content(&digest), None);
    }

    #[test]
    fn gc_keeps_the_copies_of_kept_recipes() {
        let scene = Scene::new();
        scene.write("data/a.csv", "a");
        scene.write("old.py", "old");
        let (data, old) = (kept(&scene, "data").artifact, kept(&scene, "old.py").artifact);
        let recipe = Document::map([("inputs", Document::List(vec![data.identity()]))]);
        let key: Key = scene.cache.put_recipe(&recipe.encode().unwrap()).unwrap();
        let plan = scene.cache.gc_plan(&Roots { keys: vec![key], ..Roots::default() }).unwrap();
        assert_eq!((plan.inputs.len(), plan.bytes), (1, 3));
        scene.cache.gc(&plan).unwrap();
        assert_eq!(scene.cache.small_content(&old.digest), None);
        assert!(scene.cache.listing(&data.digest).is_some());
        assert!(scene.cache.small_content(&Digest::of(b"a")).is_some());
    }
}
