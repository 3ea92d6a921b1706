//! The stash: files that make the next start fast and may be lost at any time, each proved whole by its own digest.

use std::fs;
use std::io::Write as _;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Cache, Digest};

/// How a file of the stash begins.
const MAGIC: &[u8; 8] = b"tm-sta1\n";
/// Where its content begins: after the magic and the digest of the content.
const BEGIN: usize = MAGIC.len() + 32;
/// So many files of one kind are kept, the newest.
const MOST: usize = 16;

impl Cache {
    /// Puts content away under a kind (a plain word) and a name, in place of what was there. That it cannot be written is no
    /// failure: it is made anew the next time.
    pub fn stash(&self, kind: &str, name: &Digest, content: &[u8]) {
        let path = self.stash_path(kind, name);
        if let Err(error) = write(&path, content) {
            tracing::debug!(%path, %error, "what makes the next start fast cannot be kept");
        }
        self.thin_out(kind);
    }

    /// What was put away last under this kind and name, with the bytes before it that prove it: the content is what stands
    /// behind [`Stashed::content`]. None if there is nothing, or if it is damaged.
    #[must_use]
    pub fn stashed(&self, kind: &str, name: &Digest) -> Option<Stashed> {
        let bytes = fs::read(self.stash_path(kind, name)).ok()?;
        let (digest, content) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        (Digest::of_large(content).as_bytes() == digest).then_some(Stashed { bytes })
    }

    fn stash_path(&self, kind: &str, name: &Digest) -> Utf8PathBuf {
        self.inner.layout.stash().join(format!("{kind}-{name}"))
    }

    fn thin_out(&self, kind: &str) {
        let Ok(listing) = self.inner.layout.stash().read_dir_utf8() else { return };
        let beginning = format!("{kind}-");
        let mut files: Vec<(SystemTime, Utf8PathBuf)> = listing
            .flatten()
            .filter(|entry| entry.file_name().starts_with(&beginning))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.into_path())))
            .collect();
        if files.len() > MOST {
            files.sort();
            files.iter().take(files.len() - MOST).for_each(|(_, path)| drop(fs::remove_file(path)));
        }
    }
}

/// Content of the stash.
#[derive(Debug, Clone)]
pub struct Stashed {
    bytes: Vec<u8>,
}

impl Stashed {
    /// The content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.bytes[BEGIN..]
    }
}

fn write(path: &Utf8Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(crate::record::TEMPORARY).tempfile_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(Digest::of_large(content).as_bytes())?;
    file.write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    #[test]
    fn what_is_put_away_is_found_until_it_is_damaged() {
        let scene = Scene::new();
        let name = Digest::of(b"name");
        assert!(scene.cache.stashed("graph", &name).is_none());
        scene.cache.stash("graph", &name, b"first");
        scene.cache.stash("graph", &name, b"second");
        assert_eq!(scene.another_process().stashed("graph", &name).unwrap().content(), b"second");
        assert!(scene.cache.stashed("memo", &name).is_none());
        let path = scene.cache.stash_path("graph", &name);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(scene.cache.stashed("graph", &name).is_none(), "cut at {cut}");
        }
        let mut other = whole.clone();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&path, other).unwrap();
        assert!(scene.cache.stashed("graph", &name).is_none());
    }

    #[test]
    fn only_the_newest_of_a_kind_are_kept() {
        let scene = Scene::new();
        for number in 0..2 * MOST as u64 {
            scene.cache.stash("memo", &Digest::of(&number.to_le_bytes()), b"content");
        }
        scene.cache.stash("graph", &Digest::of(b"another kind"), b"content");
        assert_eq!(scene.cache.inner.layout.stash().read_dir_utf8().unwrap().count(), MOST + 1);
    }
}
