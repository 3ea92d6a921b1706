//! Frames: the empty folders of step folders that were used up, kept for the next step whose folder looks the same.
//!
//! The steps of a matrix all have the same folders, so making one of these step folders is a rename, and clearing it away is
//! another. A frame carries nothing of its past: it was walked through and emptied after its last process had ended, its folders
//! have the mode that they were made with, and what has another owner or extended attributes is not used again. Folders that no
//! step touched since they were found like that need not be walked through again: their stamps tell.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::stamp::{Clock, Stamp};
use crate::{Cache, CacheError};

/// So many are kept at most.
const MOST: usize = 32;

/// The folders of a step folder, as they were made.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Relative to the step folder, parents first.
    folders: Arc<BTreeSet<Utf8PathBuf>>,
    mode: u32,
    device: u64,
    /// The stamps of those that nothing but folders of the frame lay in when it was cleared, and that were left alone then.
    at_rest: Arc<BTreeMap<Utf8PathBuf, Stamp>>,
    /// What time it was when the step got it, if that tells anything.
    given: Option<Clock>,
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
    folders: Vec<Used>,
    files: Vec<(Utf8PathBuf, Metadata)>,
    linked: Vec<Linked>,
}

/// A folder in a step folder that was used.
struct Used {
    path: Utf8PathBuf,
    metadata: Metadata,
    /// Whether nobody touched it since it was last cleared.
    is_at_rest: bool,
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
        let metadata = fs::symlink_metadata(at)?;
        let (mode, device) = (metadata.mode() & 0o7777, metadata.dev());
        Ok(Self { folders: Arc::new(folders), mode, device, at_rest: Arc::default(), given: None })
    }

    /// Whether this folder of the frame was not touched since it was last cleared: a touch would have changed the stamp, if that
    /// was older than a tick of the clock when the step got the frame.
    fn is_at_rest(&self, folder: &Utf8Path, stamp: &Stamp) -> bool {
        self.at_rest.get(folder) == Some(stamp) && self.given.is_some_and(|clock| clock.has_passed(stamp))
    }

    /// The folders of the frame that lie in this one.
    fn inside<'a>(&'a self, folder: &'a Utf8Path) -> impl Iterator<Item = &'a Utf8PathBuf> {
        self.folders.iter().filter(move |path| path.parent() == Some(folder))
    }

    /// Makes the used folders, which nothing lies in any more, be as they were made. None if they are others, or somebody else's.
    fn restored(&self, at: &Utf8Path, contents: &Contents) -> io::Result<Option<Self>> {
        let emptied = contents.files.iter().map(|(path, _)| path);
        let emptied = emptied.chain(contents.linked.iter().map(|linked| &linked.path));
        let mut touched: BTreeSet<&Utf8Path> = emptied.filter_map(|path| path.parent()).collect();
        let mut found = 0;
        let mut at_rest = BTreeMap::new();
        for used in contents.folders.iter().rev() {
            let own = used.path.strip_prefix(at).map_err(io::Error::other)?;
            let is_root = own.as_str().is_empty();
            if !is_root && !self.folders.contains(own) {
                fs::remove_dir(&used.path)?;
                touched.extend(used.path.parent());
                continue;
            }
            found += usize::from(!is_root);
            if !used.is_at_rest {
                if !is_plain(&used.path, &used.metadata) {
                    return Ok(None);
                }
                if used.metadata.mode() & 0o7777 != self.mode {
                    fs::set_permissions(&used.path, Permissions::from_mode(self.mode))?;
                    touched.insert(&used.path);
                }
            }
            // The stamp of the root changes with its name.
            if !is_root && !touched.contains(used.path.as_path()) {
                at_rest.insert(own.to_owned(), Stamp::of(&used.metadata));
            }
        }
        let restored = Self { at_rest: Arc::new(at_rest), ..self.clone() };
        Ok((found == self.folders.len()).then_some(restored))
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
                Ok(()) => {
                    let given = self.inner.is_local.then(|| Clock::of_system(frame.device));
                    return Ok(Frame { given, ..frame });
                }
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
        let Some(contents) = contents(at, frame)? else { return Ok(false) };
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
            let Some(frame) = frame.restored(at, &contents)? else { return Ok(false) };
            let Some(path) = self.inner.frames.room() else { return Ok(false) };
            fs::rename(at, &path)?;
            self.inner.frames.put(path, frame);
            Ok(true)
        };
        clear().map_err(io)
    }
}

/// What lies in a step folder, and every folder can be emptied; none if a name is no UTF-8.
fn contents(root: &Utf8Path, frame: &Frame) -> Result<Option<Contents>, CacheError> {
    let mut contents = Contents::default();
    let mut next = vec![root.to_owned()];
    while let Some(folder) = next.pop() {
        let metadata = fs::symlink_metadata(&folder).map_err(CacheError::io("read", &folder))?;
        let own = folder.strip_prefix(root).unwrap_or(&folder);
        if frame.is_at_rest(own, &Stamp::of(&metadata)) {
            next.extend(frame.inside(own).map(|inner| root.join(inner)));
            contents.folders.push(Used { path: folder, metadata, is_at_rest: true });
            continue;
        }
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
        contents.folders.push(Used { path: folder, metadata, is_at_rest: false });
    }
    Ok(Some(contents))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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

    /// A step folder that was used twice, so that its quiet folders are at rest, given a third time.
    fn given_again(scene: &Scene, at: &Utf8Path, shape: &BTreeSet<Utf8PathBuf>) -> Frame {
        let mut frame = scene.cache.make_frame(at, shape.clone()).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < until, "no folder comes to rest");
            scene.cache.recycle(at, &frame).unwrap();
            frame = scene.cache.make_frame(at, shape.clone()).unwrap();
            let is_at_rest = |name: &Utf8PathBuf| {
                frame.is_at_rest(name, &Stamp::of(&fs::symlink_metadata(at.join(name)).unwrap()))
            };
            if shape.iter().all(is_at_rest) {
                return frame;
            }
        }
    }

    #[test]
    fn a_touch_of_a_folder_at_rest_is_seen() {
        let scene = Scene::new();
        let at = scene.path("step");
        let shape = folders(&["folder", "folder/in", "folder/in/deep", "tmp"]);
        type Touch = fn(&Scene);
        let touches: [(&str, Touch); 5] = [
            ("a file", |scene| drop(scene.write("step/tmp/secret", "secret"))),
            ("a deep file", |scene| drop(scene.write("step/folder/in/deep/secret", "secret"))),
            ("a folder", |scene| fs::create_dir(scene.path("step/folder/in/more")).unwrap()),
            ("a mode", |scene| {
                fs::set_permissions(scene.path("step/tmp"), Permissions::from_mode(0o777)).unwrap();
            }),
            ("a file come and gone", |scene| {
                fs::remove_file(scene.write("step/tmp/secret", "secret")).unwrap();
            }),
        ];
        for (what, touch) in touches {
            let frame = given_again(&scene, &at, &shape);
            let usual = mode(&at.join("folder"));
            touch(&scene);
            scene.cache.recycle(&at, &frame).unwrap();
            scene.cache.make_frame(&at, shape.clone()).unwrap();
            assert_eq!(below(&at), ["folder", "folder/in", "folder/in/deep", "tmp"], "{what}");
            assert!(shape.iter().all(|name| mode(&at.join(name)) == usual), "{what}");
            fs::remove_dir_all(&at).unwrap();
        }
    }

    #[test]
    fn a_folder_at_rest_that_is_gone_is_missed() {
        let scene = Scene::new();
        let at = scene.path("step");
        let shape = folders(&["folder", "folder/in", "tmp"]);
        let frame = given_again(&scene, &at, &shape);
        fs::remove_dir(at.join("folder/in")).unwrap();
        scene.cache.recycle(&at, &frame).unwrap();
        scene.cache.make_frame(&at, shape).unwrap();
        assert_eq!(below(&at), ["folder", "folder/in", "tmp"]);
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
