//! What the file system says of a file, kept to ask later whether the file is still the same without opening it.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::look::file_artifact;
use crate::scan::FileFacts;
use crate::stamp::{Clock, Stamp};
use crate::{Artifact, Cache};

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
        Some(Self::from(&facts(path)?.stamp))
    }

    fn stamp(&self) -> Stamp {
        let Self { device, inode, size, modified, changed } = *self;
        Stamp { device, inode, size, modified, changed }
    }
}

impl From<&Stamp> for FileStamp {
    fn from(stamp: &Stamp) -> Self {
        let Stamp { device, inode, size, modified, changed } = *stamp;
        Self { device, inode, size, modified, changed }
    }
}

fn facts(path: &Utf8Path) -> Option<FileFacts> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| FileFacts::of(&metadata))
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

    /// The same with what the files are, read where that is not known; many at once cost less than one by one.
    #[must_use]
    pub fn settled_files(&self, paths: &[Utf8PathBuf]) -> Vec<Option<(FileStamp, Artifact)>> {
        let clock = Clock::probe(&self.inner.layout.temporary(), self.inner.is_local);
        let settled = |path: &Utf8PathBuf| facts(path).filter(|facts| clock.has_passed(&facts.stamp));
        let found: Vec<Option<FileFacts>> = paths.iter().map(settled).collect();
        let wanted: Vec<(&Utf8PathBuf, Stamp)> = paths
            .iter()
            .zip(&found)
            .filter_map(|(path, facts)| Some((path, facts.as_ref()?.stamp)))
            .collect();
        let one = |file: &(&Utf8PathBuf, Stamp)| self.digests(&[*file]).ok().map(|digests| digests[0]);
        let mut digests = match self.digests(&wanted) {
            Ok(digests) => digests.into_iter().map(Some).collect(),
            // One that cannot be read does not take the others with it.
            Err(_) => wanted.iter().map(one).collect::<Vec<_>>(),
        }
        .into_iter();
        let mut pair = |facts: FileFacts| {
            let (digest, read) = digests.next().flatten()?;
            // It may have changed between the look and the reading.
            let artifact = || file_artifact(digest, read.size, facts.executable);
            (read == facts.stamp).then(|| (FileStamp::from(&read), artifact()))
        };
        found.into_iter().map(|facts| facts.and_then(&mut pair)).collect()
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
    fn files_at_rest_are_told_with_what_they_are() {
        let scene = Scene::new();
        let mut paths: Vec<_> =
            (0..20).map(|number| scene.write(&format!("{number}"), format!("content {number}"))).collect();
        crate::scene::make_executable(&paths[3]);
        paths.push(scene.path("nothing"));
        std::os::unix::fs::symlink("3", scene.path("link")).unwrap();
        paths.push(scene.path("link"));
        let told = loop {
            let told = scene.cache.settled_files(&paths);
            if told[..20].iter().all(Option::is_some) {
                break told;
            }
        };
        for (path, told) in paths.iter().zip(&told).take(20) {
            let (stamp, artifact) = told.as_ref().unwrap();
            assert_eq!(FileStamp::of(path), Some(*stamp));
            assert_eq!(*artifact, scene.look(path.file_name().unwrap()).artifact);
        }
        assert_eq!(told[20..], [None, None]);
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
