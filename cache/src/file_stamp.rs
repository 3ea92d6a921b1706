//! What the file system says of a file, kept to ask later whether the file is still the same without opening it.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Cache;
use crate::stamp::{Clock, Stamp};

/// Identity, size and times of a regular file. While a [settled](Cache::settled_stamps) one stays the same, so does the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

impl FileStamp {
    /// The stamp that the file at this path has now; none if there is no regular file (a symbolic link is none).
    #[must_use]
    pub fn of(path: &Utf8Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let Stamp { device, inode, size, modified, changed } = Stamp::of(&metadata);
        metadata.is_file().then_some(Self { device, inode, size, modified, changed })
    }

    fn stamp(&self) -> Stamp {
        let Self { device, inode, size, modified, changed } = *self;
        Stamp { device, inode, size, modified, changed }
    }
}

/// From this many files on, several threads are faster than one.
const MANY: usize = 512;

impl Cache {
    /// The stamps of files that are at rest: a file that is changed after this call has another stamp. None for one that is so
    /// young that another content could hide behind the same stamp, and for what is no regular file.
    #[must_use]
    pub fn settled_stamps(&self, paths: &[Utf8PathBuf]) -> Vec<Option<FileStamp>> {
        let clock = Clock::probe(&self.inner.layout.temporary(), self.inner.is_local);
        stamps(paths)
            .into_iter()
            .map(|stamp| stamp.filter(|stamp| clock.has_passed(&stamp.stamp())))
            .collect()
    }
}

/// The stamps of these files as they are now.
#[must_use]
pub fn stamps(paths: &[Utf8PathBuf]) -> Vec<Option<FileStamp>> {
    match paths.len() < MANY {
        true => paths.iter().map(|path| FileStamp::of(path)).collect(),
        false => paths.par_iter().with_min_len(MANY / 4).map(|path| FileStamp::of(path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, tamper};

    #[test]
    fn a_file_at_rest_has_a_stamp_until_it_is_changed() {
        let scene = Scene::new();
        let path = scene.write("a", "content");
        let settled = loop {
            if let [Some(stamp)] = scene.cache.settled_stamps(std::slice::from_ref(&path))[..] {
                break stamp;
            }
        };
        assert_eq!(FileStamp::of(&path), Some(settled));
        tamper(&path);
        assert_ne!(FileStamp::of(&path), Some(settled));
        std::os::unix::fs::symlink("a", scene.path("link")).unwrap();
        assert_eq!(FileStamp::of(&scene.path("link")), None);
        assert_eq!(FileStamp::of(&scene.path("nothing")), None);
    }

    #[test]
    fn a_file_that_was_just_written_has_none() {
        let scene = Scene::new();
        for round in 0..50_u32 {
            let path = scene.write("a", round.to_le_bytes());
            if scene.cache.settled_stamps(std::slice::from_ref(&path))[0].is_none() {
                return;
            }
        }
        panic!("a file written within this tick of the clock counts as settled");
    }
}
