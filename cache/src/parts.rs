//! Spare parts: small files and empty folders of step folders that were discarded, used again for the next.
//!
//! Some file systems (ext4) are slow to make a file for a while after many were removed, which is just what a run of many small
//! steps does. A part carries nothing of its past: a folder is empty, a file is overwritten and cut to its new length, modes are
//! set anew, and what has another owner or extended attributes is not used again.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{Cache, CacheError};

/// So many files and so many folders are put aside at most.
const MOST: usize = 64;
/// Larger files give their room back.
const LARGEST: u64 = 1 << 20;

/// The parts that this process put aside.
#[derive(Debug)]
pub(crate) struct Parts {
    folder: Utf8PathBuf,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    files: Vec<Utf8PathBuf>,
    folders: Vec<Utf8PathBuf>,
    made: u64,
}

impl Parts {
    /// Parts that lie in this folder.
    pub(crate) fn new(folder: Utf8PathBuf) -> Self {
        Self { folder, shelf: Mutex::default() }
    }

    /// Writes a new file; an error if there is one.
    pub(crate) fn write(&self, at: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let part = self.shelf().files.pop();
        let reused = part.and_then(|part| {
            let file = File::options().write(true).open(&part).ok()?;
            match rename(&part, at) {
                Ok(()) => Some(file),
                // Something lies there, or it is on another file system.
                Err(_) => {
                    drop(fs::remove_file(&part));
                    None
                }
            }
        });
        let mut file = match reused {
            Some(file) => file,
            None => File::create_new(at)?,
        };
        file.write_all(bytes)?;
        // Overwritten first and cut afterwards: a file that is emptied first is flushed when it is closed.
        file.set_len(bytes.len() as u64)?;
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// Makes a folder, and those above it; one that is there already is left as it is.
    pub(crate) fn make_folder(&self, at: &Utf8Path) -> io::Result<()> {
        let part = self.shelf().folders.pop();
        if let Some(part) = part {
            if rename(&part, at).is_ok() {
                let is_empty = at.read_dir_utf8().is_ok_and(|mut entries| entries.next().is_none());
                if is_empty {
                    return fs::set_permissions(at, Permissions::from_mode(0o755));
                }
                fs::remove_dir_all(at)?;
            } else {
                self.shelf().folders.push(part);
            }
        }
        match fs::create_dir(at) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && at.is_dir() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(at.parent().ok_or(error)?)?;
                self.make_folder(at)
            }
            made => made,
        }
    }

    /// Puts aside what can be used again of a folder and what is in it; the rest stays. Whether nothing stays.
    pub(crate) fn take_apart(&self, folder: &Utf8Path) -> io::Result<bool> {
        let mut is_empty = true;
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            let taken = match entry.file_type()? {
                kind if kind.is_dir() => self.take_apart(entry.path())?,
                kind if kind.is_file() => self.put(entry.path(), |shelf| &mut shelf.files)?,
                _ => false,
            };
            is_empty &= taken;
        }
        Ok(is_empty && self.put(folder, |shelf| &mut shelf.folders)?)
    }

    fn put(&self, path: &Utf8Path, shelf: impl Fn(&mut Shelf) -> &mut Vec<Utf8PathBuf>) -> io::Result<bool> {
        let metadata = fs::symlink_metadata(path)?;
        let is_plain = metadata.is_dir() || (metadata.nlink() == 1 && metadata.len() <= LARGEST);
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        let has_attributes = || rustix::fs::llistxattr(path.as_std_path(), &mut [0_u8; 0]) != Ok(0);
        if !is_plain || !is_ours || has_attributes() {
            return Ok(false);
        }
        let part = {
            let mut all = self.shelf();
            if shelf(&mut all).len() >= MOST {
                return Ok(false);
            }
            all.made += 1;
            self.folder.join(format!("part-{}-{}", std::process::id(), all.made))
        };
        fs::rename(path, &part)?;
        if metadata.is_file() {
            fs::set_permissions(&part, Permissions::from_mode(0o600))?;
        }
        shelf(&mut self.shelf()).push(part);
        Ok(true)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let shelf = std::mem::take(&mut *self.shelf());
        shelf.files.iter().for_each(|path| drop(fs::remove_file(path)));
        shelf.folders.iter().for_each(|path| drop(fs::remove_dir(path)));
    }
}

/// Renames to a name that nobody has.
fn rename(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let renamed = renameat_with(CWD, from.as_std_path(), CWD, to.as_std_path(), RenameFlags::NOREPLACE);
    renamed.map_err(io::Error::from)
}

impl Cache {
    /// Makes a folder of a step folder, and those above it.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn make_folder(&self, at: &Utf8Path) -> Result<(), CacheError> {
        self.inner.parts.make_folder(at).map_err(CacheError::io("create", at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, mode};

    fn parts(scene: &Scene) -> Parts {
        fs::create_dir(scene.path("parts")).unwrap();
        Parts::new(scene.path("parts"))
    }

    #[test]
    fn a_part_carries_nothing_of_its_past() {
        let scene = Scene::new();
        let parts = parts(&scene);
        scene.write("step/in/long", vec![b'x'; 5000]);
        scene.write("step/in/secret", "secret");
        fs::set_permissions(scene.path("step/in"), Permissions::from_mode(0o777)).unwrap();
        assert!(parts.take_apart(&scene.path("step")).unwrap());
        assert!(!scene.path("step").exists());
        for (name, content) in [("a", "hello"), ("b", "")] {
            let folder = scene.path(&format!("next/{name}"));
            parts.make_folder(&folder).unwrap();
            assert_eq!((mode(&folder), folder.read_dir_utf8().unwrap().count()), (0o755, 0));
            parts.write(&folder.join("file"), content.as_bytes(), 0o644).unwrap();
            assert_eq!(fs::read(folder.join("file")).unwrap(), content.as_bytes());
            assert_eq!(mode(&folder.join("file")), 0o644);
        }
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), 0, "all parts were used");
    }

    #[test]
    fn nothing_is_overwritten() {
        let scene = Scene::new();
        let parts = parts(&scene);
        scene.write("step/a", "a");
        parts.take_apart(&scene.path("step")).unwrap();
        scene.write("mine", "mine");
        assert!(parts.write(&scene.path("mine"), b"other", 0o644).is_err());
        assert_eq!(fs::read(scene.path("mine")).unwrap(), b"mine");
        assert!(parts.make_folder(&scene.path("mine")).is_err());
    }

    #[test]
    fn what_others_could_see_is_not_used_again() {
        let scene = Scene::new();
        let parts = parts(&scene);
        let linked = scene.write("step/linked", "linked");
        fs::hard_link(&linked, scene.path("other")).unwrap();
        scene.write("step/large", vec![0; usize::try_from(LARGEST).unwrap() + 1]);
        std::os::unix::fs::symlink("linked", scene.path("step/symlink")).unwrap();
        assert!(!parts.take_apart(&scene.path("step")).unwrap());
        assert_eq!(scene.path("step").read_dir_utf8().unwrap().count(), 3);
    }

    #[test]
    fn parts_go_with_the_process() {
        let scene = Scene::new();
        let parts = parts(&scene);
        for number in 0..2 * MOST {
            scene.write(&format!("step/{number}/file"), "content");
        }
        parts.take_apart(&scene.path("step")).unwrap();
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), 2 * MOST);
        drop(parts);
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), 0);
    }
}
