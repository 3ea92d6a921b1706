//! Frames: the empty folders of step folders that were used up, kept for the next step whose folder looks the same.
//!
//! The steps of a matrix all have the same folders, so making one of these step folders is a rename, and clearing it away is
//! another. A frame carries nothing of its past: it was walked through and emptied after its last process had ended, its folders
//! have the mode that they were made with, and what has another owner or extended attributes is not used again.

use std::collections::BTreeSet;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cache::absolute;
use crate::discard::Linked;
use crate::parts::{is_plain, rename_to_free};
use crate::scan::allow;
use crate::shelf::Shelf;
use crate::{Cache, CacheError};

/// So many are kept at most.
const MOST: usize = 32;

/// The folders of a step folder, as they were made.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Relative to the step folder, parents first.
    folders: Arc<BTreeSet<Utf8PathBuf>>,
    mode: u32,
}

/// The frames that this process keeps.
pub(crate) type Frames = Shelf<Frame>;

/// Frames that lie in this folder.
pub(crate) fn frames(folder: Utf8PathBuf) -> Frames {
    Shelf::new(folder, "frame", MOST)
}

/// What lies in a step folder that was used.
#[derive(Default)]
struct Contents {
    /// Parents first.
    folders: Vec<(Utf8PathBuf, Metadata)>,
    files: Vec<(Utf8PathBuf, Metadata)>,
    linked: Vec<Linked>,
}

impl Frame {
    fn make(at: &Utf8Path, folders: BTreeSet<Utf8PathBuf>) -> io::Result<Self> {
        fs::create_dir_all(at)?;
        for folder in &folders {
            let folder = at.join(folder);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                made => made?,
            }
        }
        Ok(Self { folders: Arc::new(folders), mode: fs::symlink_metadata(at)?.mode() & 0o7777 })
    }

    /// Makes the used folders be as they were made: whether they are just those, and nobody else's.
    fn is_restored(&self, at: &Utf8Path, used: &[(Utf8PathBuf, Metadata)]) -> io::Result<bool> {
        let mut found = 0;
        for (path, metadata) in used.iter().rev() {
            let own = path.strip_prefix(at).map_err(io::Error::other)?;
            if own.as_str().is_empty() {
                // The step folder itself.
            } else if self.folders.contains(own) {
                found += 1;
            } else {
                fs::remove_dir(path)?;
                continue;
            }
            if !is_plain(path, metadata) {
                return Ok(false);
            }
            if metadata.mode() & 0o7777 != self.mode {
                fs::set_permissions(path, Permissions::from_mode(self.mode))?;
            }
        }
        Ok(found == self.folders.len())
    }
}

impl Cache {
    /// Makes a step folder with these folders in it: relative paths, each with those above it.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn make_frame(&self, at: &Utf8Path, folders: BTreeSet<Utf8PathBuf>) -> Result<Frame, CacheError> {
        let at = absolute(at)?;
        let kept = self.inner.frames.take(|frame| *frame.folders == folders);
        if let Some((path, frame)) = kept {
            match rename_to_free(&path, &at) {
                Ok(()) => return Ok(frame),
                Err(_) => self.inner.frames.put(path, frame),
            }
        }
        Frame::make(&at, folders).map_err(CacheError::io("create", &at))
    }

    /// Clears away the step folder of an attempt whose processes have all ended, for the next one: nobody else may have anything
    /// in it open. The blobs that it holds links to are renewed in the index.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn recycle(&self, at: &Utf8Path, frame: &Frame) -> Result<(), CacheError> {
        let at = absolute(at)?;
        match self.emptied(&at, frame) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => self.discard(&at),
        }
    }

    /// Whether all that lay there was cleared away, and the frame put aside.
    fn emptied(&self, at: &Utf8Path, frame: &Frame) -> Result<bool, CacheError> {
        let io = CacheError::io("remove", at);
        let Some(contents) = contents(at)? else { return Ok(false) };
        self.unlink(&contents.linked)?;
        let clear = || -> io::Result<bool> {
            for linked in &contents.linked {
                match fs::remove_file(&linked.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            for (path, metadata) in &contents.files {
                if !self.inner.parts.put(path, metadata)? {
                    fs::remove_file(path)?;
                }
            }
            if !frame.is_restored(at, &contents.folders)? {
                return Ok(false);
            }
            let Some(path) = self.inner.frames.room() else { return Ok(false) };
            fs::rename(at, &path)?;
            self.inner.frames.put(path, frame.clone());
            Ok(true)
        };
        clear().map_err(io)
    }
}

/// What lies in a step folder, and every folder can be emptied; none if a name is no UTF-8.
fn contents(root: &Utf8Path) -> Result<Option<Contents>, CacheError> {
    let mut contents = Contents::default();
    let mut next = vec![root.to_owned()];
    while let Some(folder) = next.pop() {
        let metadata = fs::symlink_metadata(&folder).map_err(CacheError::io("read", &folder))?;
        if metadata.mode() & 0o700 != 0o700 {
            allow(&folder, 0o700)?;
        }
        for entry in fs::read_dir(&folder).map_err(CacheError::io("list", &folder))? {
            let entry = entry.map_err(CacheError::io("list", &folder))?;
            let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else { return Ok(None) };
            if entry.file_type().map_err(CacheError::io("read", &path))?.is_dir() {
                next.push(path);
                continue;
            }
            let metadata = entry.metadata().map_err(CacheError::io("read", &path))?;
            match Linked::new(&path, &metadata) {
                Some(linked) => contents.linked.push(linked),
                None => contents.files.push((path, metadata)),
            }
        }
        contents.folders.push((folder, metadata));
    }
    Ok(Some(contents))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, mode};

    fn folders(names: &[&str]) -> BTreeSet<Utf8PathBuf> {
        names.iter().copied().map(Utf8PathBuf::from).collect()
    }

    fn below(path: &Utf8Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = vec![path.to_owned()];
        while let Some(folder) = next.pop() {
            for entry in folder.read_dir_utf8().unwrap().map(Result::unwrap) {
                found.push(entry.path().strip_prefix(path).unwrap().to_string());
                next.extend(entry.file_type().unwrap().is_dir().then(|| entry.path().to_owned()));
            }
        }
        found.sort();
        found
    }

    fn inode(path: &Utf8Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn a_frame_carries_nothing_of_its_past() {
        let scene = Scene::new();
        let (first, second) = (scene.path("first"), scene.path("second"));
        let shape = folders(&["folder", "folder/in", "tmp"]);
        let frame = scene.cache.make_frame(&first, shape.clone()).unwrap();
        let (made, usual) = (inode(&first), mode(&first));
        scene.write("first/folder/in/data", "data");
        scene.write("first/folder/more/deep/cache", vec![b'x'; 3 << 20]);
        scene.write("first/tmp/secret", "secret");
        std::os::unix::fs::symlink("data", first.join("folder/in/link")).unwrap();
        fs::set_permissions(first.join("folder/in"), Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(first.join("folder/more"), Permissions::from_mode(0o000)).unwrap();
        scene.cache.recycle(&first, &frame).unwrap();
        assert!(!first.exists());
        scene.cache.make_frame(&second, shape).unwrap();
        assert_eq!(inode(&second), made, "it is the same frame");
        assert_eq!(below(&second), ["folder", "folder/in", "tmp"]);
        assert!(["folder", "folder/in", "tmp"].iter().all(|name| mode(&second.join(name)) == usual));
    }

    #[test]
    fn another_shape_gets_another_frame() {
        let scene = Scene::new();
        let first = scene.path("first");
        let frame = scene.cache.make_frame(&first, folders(&["folder", "tmp"])).unwrap();
        let made = inode(&first);
        scene.cache.recycle(&first, &frame).unwrap();
        let second = scene.path("second");
        scene.cache.make_frame(&second, folders(&["folder", "folder/in", "tmp"])).unwrap();
        assert_ne!(inode(&second), made);
        assert_eq!(below(&second), ["folder", "folder/in", "tmp"]);
    }

    #[test]
    fn a_frame_that_lost_a_folder_is_not_used_again() {
        let scene = Scene::new();
        let first = scene.path("first");
        let shape = folders(&["folder", "tmp"]);
        let frame = scene.cache.make_frame(&first, shape.clone()).unwrap();
        fs::remove_dir(first.join("tmp")).unwrap();
        scene.cache.recycle(&first, &frame).unwrap();
        assert!(!first.exists());
        scene.cache.make_frame(&first, shape).unwrap();
        assert_eq!(below(&first), ["folder", "tmp"]);
        assert_eq!(scene.cache.inner.frames.len(), 0);
    }

    #[test]
    fn nothing_is_overwritten() {
        let scene = Scene::new();
        let (first, second) = (scene.path("first"), scene.path("second"));
        let shape = folders(&["folder", "tmp"]);
        let frame = scene.cache.make_frame(&first, shape.clone()).unwrap();
        scene.cache.recycle(&first, &frame).unwrap();
        scene.write("second/mine", "mine");
        scene.cache.make_frame(&second, shape).unwrap();
        assert_eq!(below(&second), ["folder", "mine", "tmp"]);
    }

    #[test]
    fn frames_go_with_the_process() {
        let scene = Scene::new();
        let cache = scene.another_process();
        let frame = cache.make_frame(&scene.path("first"), folders(&["folder", "tmp"])).unwrap();
        cache.recycle(&scene.path("first"), &frame).unwrap();
        let temporary = cache.inner.layout.temporary();
        let kept = || below(&temporary).into_iter().filter(|path| path.starts_with("frame")).count();
        assert_eq!(kept(), 3);
        drop(cache);
        assert_eq!(kept(), 0);
    }
}
