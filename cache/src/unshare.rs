//! Giving a placed folder files of its own, so that whoever works in it cannot reach a blob or a file of the project.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::stat;
use crate::cache::absolute;
use crate::discard::{Linked, collect};
use crate::{Cache, CacheError};

/// A file that is another's too: a link to a blob, or a symbolic link to a file of the project.
struct Shared {
    path: Utf8PathBuf,
    /// What is read through it.
    source: Utf8PathBuf,
    size: u64,
    link: Option<Linked>,
}

/// What came of making files one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    /// It is its folder's own.
    Own,
    /// Nothing was done: there is not enough room in the budget.
    Shared,
}

impl Cache {
    /// Replaces what a folder shares by copies that keep their mode: links to blobs anywhere in it, and the absolute symbolic
    /// links to files that [`Cache::bring`] made at or below `inputs`. Clones are free; of the others, the smallest first,
    /// copies are made of `budget` bytes in all. Tells which files stay shared: a link to a blob is read-only.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn unshare(
        &self,
        folder: &Utf8Path,
        inputs: &[Utf8PathBuf],
        budget: u64,
    ) -> Result<Vec<Utf8PathBuf>, CacheError> {
        let folder = absolute(folder)?;
        let mut shared = Vec::new();
        let mut links = Vec::new();
        collect(&folder, &mut links)?;
        for link in links {
            let (path, size) = (link.path.clone(), link.facts.stamp.size);
            shared.push(Shared { source: path.clone(), path, size, link: Some(link) });
        }
        for input in inputs {
            symbolic(&absolute(input)?, &mut shared)?;
        }
        shared.sort_by(|a, b| (a.size, &a.path).cmp(&(b.size, &b.path)));
        let (mut left, mut stay) = (budget, Vec::new());
        for file in shared {
            if self.make_own(&file, &mut left)? == Done::Shared {
                stay.push(file.path);
            }
        }
        stay.sort();
        Ok(stay)
    }

    fn make_own(&self, file: &Shared, left: &mut u64) -> Result<Done, CacheError> {
        let Shared { path, source, size, link } = file;
        let new = path.with_file_name(format!(".{}.own", path.file_name().unwrap_or_default()));
        let facts = fs::metadata(source).map_err(CacheError::io("read", source))?;
        let device = stat(path.parent().unwrap_or(path))?.map_or(0, |stamp| stamp.device);
        let cloned = self.inner.clones.try_clone(source, facts.dev(), &new, device);
        if !cloned.map_err(CacheError::io("create", &new))? {
            if *size > *left {
                return Ok(Done::Shared);
            }
            *left -= size;
            fs::copy(source, &new).map_err(CacheError::io("create", &new))?;
        }
        fs::set_permissions(&new, facts.permissions()).map_err(CacheError::io("create", &new))?;
        // A blob that loses a name is renewed in the index.
        if let Some(link) = link {
            self.unlink(std::slice::from_ref(link))?;
        }
        fs::rename(&new, path).map_err(CacheError::io("create", path))?;
        Ok(Done::Own)
    }
}

/// Finds the absolute symbolic links to files at or below a path. Those of artifacts are relative and stay inside.
fn symbolic(path: &Utf8Path, shared: &mut Vec<Shared>) -> Result<(), CacheError> {
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            for entry in path.read_dir_utf8().map_err(CacheError::io("list", &path))? {
                paths.push(entry.map_err(CacheError::io("list", &path))?.into_path());
            }
        } else if metadata.is_symlink()
            && let Ok(source) = path.read_link_utf8()
            && source.is_absolute()
            && let Ok(target) = fs::metadata(&source)
            && target.is_file()
        {
            shared.push(Shared { path, source, size: target.len(), link: None });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Place;
    use crate::scene::{Scene, mode, stamp, tamper};

    use super::*;

    const BIG: usize = 100_000;
    const LARGE: usize = 2 << 20;

    #[test]
    fn what_is_edited_then_is_nobody_elses() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        let source = scene.write("data.csv", vec![2; LARGE]);
        let seen = scene.look("data.csv");
        fs::create_dir(scene.path("folder")).unwrap();
        let (blob, file) = (scene.path("folder/blob"), scene.path("folder/file"));
        scene.cache.place(&big, &blob, Place::ReadOnly).unwrap();
        scene.cache.bring(&seen, &source, &file).unwrap();
        let stay = scene.cache.unshare(&scene.path("folder"), std::slice::from_ref(&file), u64::MAX).unwrap();
        assert!(stay.is_empty());
        assert_eq!((mode(&blob), fs::read(&blob).unwrap()), (0o444, vec![1; BIG]));
        tamper(&blob);
        fs::write(&file, "edited").unwrap();
        assert!(scene.cache.available(&big).unwrap());
        assert_eq!(fs::read(&source).unwrap(), vec![2; LARGE]);
    }

    #[test]
    fn what_is_too_much_stays_shared_and_is_named() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        fs::create_dir(scene.path("folder")).unwrap();
        let blob = scene.path("folder/blob");
        scene.cache.place(&big, &blob, Place::ReadOnly).unwrap();
        let inode = stamp(&blob).inode;
        let stay = scene.cache.unshare(&scene.path("folder"), &[], 10).unwrap();
        // Where the file system has clones, nothing was shared.
        let names = fs::metadata(&blob).unwrap().nlink();
        assert_eq!(stay, if names > 1 { vec![blob.clone()] } else { Vec::new() });
        assert_eq!(stamp(&blob).inode, inode);
        assert!(scene.cache.available(&big).unwrap());
        assert_eq!(fs::read_dir(scene.path("folder")).unwrap().count(), 1);
    }
}
