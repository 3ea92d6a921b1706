//! Spare parts: small files of step folders that were used up, written anew for the next.
//!
//! Some file systems (ext4) are slow to make a file for a while after many were removed, which is just what a run of many small
//! steps does. A part carries nothing of its past: it is overwritten and cut to its new length, its mode is set anew, and what
//! has another owner or extended attributes is not used again.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::shelf::Shelf;

/// So many are put aside at most.
const MOST: usize = 64;
/// Larger files give their room back.
const LARGEST: u64 = 1 << 20;

/// The parts that this process put aside.
#[derive(Debug)]
pub(crate) struct Parts(Shelf<()>);

impl Parts {
    /// Parts that lie in this folder.
    pub(crate) fn new(folder: Utf8PathBuf) -> Self {
        Self(Shelf::new(folder, "part", MOST))
    }

    /// Writes a new file; an error if there is one.
    pub(crate) fn write(&self, at: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let reused = self.0.take(|()| true).and_then(|(part, ())| {
            let file = File::options().write(true).open(&part).ok()?;
            match rename_to_free(&part, at) {
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

    /// A name here that nobody else uses.
    pub(crate) fn name(&self) -> Utf8PathBuf {
        self.0.name()
    }

    /// Writes a new file under a name of its own here, for whoever renames it to its place at once.
    pub(crate) fn write_aside(&self, bytes: &[u8], mode: u32) -> io::Result<Utf8PathBuf> {
        let path = self.0.name();
        self.write(&path, bytes, mode).inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok(path)
    }

    /// Puts a file aside, if it can be used again; whether it was.
    pub(crate) fn put(&self, path: &Utf8Path, metadata: &Metadata) -> io::Result<bool> {
        let is_small = metadata.is_file() && metadata.nlink() == 1 && metadata.len() <= LARGEST;
        if !is_small || !is_plain(path, metadata) {
            return Ok(false);
        }
        let Some(part) = self.0.room() else { return Ok(false) };
        fs::rename(path, &part)?;
        fs::set_permissions(&part, Permissions::from_mode(0o600))?;
        self.0.put(part, ());
        Ok(true)
    }
}

/// Whether a file or folder is ours and nobody set attributes on it.
pub(crate) fn is_plain(path: &Utf8Path, metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
        && rustix::fs::llistxattr(path.as_std_path(), &mut [0_u8; 0]) == Ok(0)
}

/// Renames to a name that nobody has.
pub(crate) fn rename_to_free(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let renamed = renameat_with(CWD, from.as_std_path(), CWD, to.as_std_path(), RenameFlags::NOREPLACE);
    renamed.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, mode};

    fn parts(scene: &Scene) -> Parts {
        fs::create_dir(scene.path("parts")).unwrap();
        Parts::new(scene.path("parts"))
    }

    fn put(parts: &Parts, path: &Utf8Path) -> bool {
        parts.put(path, &fs::symlink_metadata(path).unwrap()).unwrap()
    }

    #[test]
    fn a_part_carries_nothing_of_its_past() {
        let scene = Scene::new();
        let parts = parts(&scene);
        for (name, content) in [("long", vec![b'x'; 5000]), ("secret", b"secret".to_vec())] {
            assert!(put(&parts, &scene.write(name, content)));
            assert!(!scene.path(name).exists());
        }
        for (name, content) in [("a", "hello"), ("b", "")] {
            parts.write(&scene.path(name), content.as_bytes(), 0o644).unwrap();
            assert_eq!(fs::read(scene.path(name)).unwrap(), content.as_bytes());
            assert_eq!(mode(&scene.path(name)), 0o644);
        }
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), 0, "all parts were used");
    }

    #[test]
    fn nothing_is_overwritten() {
        let scene = Scene::new();
        let parts = parts(&scene);
        assert!(put(&parts, &scene.write("a", "a")));
        scene.write("mine", "mine");
        assert!(parts.write(&scene.path("mine"), b"other", 0o644).is_err());
        assert_eq!(fs::read(scene.path("mine")).unwrap(), b"mine");
    }

    #[test]
    fn what_others_could_see_is_not_used_again() {
        let scene = Scene::new();
        let parts = parts(&scene);
        let linked = scene.write("linked", "linked");
        fs::hard_link(&linked, scene.path("other")).unwrap();
        let large = scene.write("large", vec![0; usize::try_from(LARGEST).unwrap() + 1]);
        std::os::unix::fs::symlink("linked", scene.path("symlink")).unwrap();
        for path in [&linked, &large, &scene.path("symlink")] {
            assert!(!put(&parts, path));
            assert!(path.symlink_metadata().is_ok());
        }
    }

    #[test]
    fn two_processes_never_use_the_same_name() {
        let scene = Scene::new();
        let one = parts(&scene);
        let other = Parts::new(scene.path("parts"));
        let made = [&one, &other].map(|parts| parts.write_aside(b"content", 0o644).unwrap());
        assert_ne!(made[0], made[1]);
        assert!(made.iter().all(|path| fs::read(path).unwrap() == b"content"));
    }

    #[test]
    fn parts_go_with_the_process() {
        let scene = Scene::new();
        let parts = parts(&scene);
        for number in 0..2 * MOST {
            put(&parts, &scene.write(&format!("step/{number}"), "content"));
        }
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), MOST);
        drop(parts);
        assert_eq!(scene.path("parts").read_dir_utf8().unwrap().count(), 0);
    }
}
