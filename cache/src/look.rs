//! Looking at the project: what a file or folder is, read only where the stat cache does not know.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use crate::cache::absolute;
use crate::manifest::{Entry, Kind};
use crate::scan::{FileFacts, Found, MANY, Owner, Thing, gone_or_io, scan};
use crate::stamp::{Clock, Stamp};
use crate::{Artifact, Cache, CacheError, Digest, Form, IgnoreRules, Manifest, hash};

/// What was seen at a path of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The artifact that it is.
    pub artifact: Artifact,
    /// What is in it, if it is a folder.
    pub manifest: Option<Manifest>,
}

impl Cache {
    /// Looks at a file or folder of the project; a symbolic link at `path` itself is followed. `None`: nothing is there.
    ///
    /// # Errors
    /// If it cannot be read, does not stand still, or holds something that cannot be part of a tree.
    pub fn look(&self, path: &Utf8Path, rules: &IgnoreRules) -> Result<Option<Seen>, CacheError> {
        let path = absolute(path)?;
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        if metadata.is_file() {
            let facts = FileFacts::of(&metadata);
            let (digest, stamp) = self.digests(&[(&path, facts.stamp)])?[0];
            return Ok(Some(Seen {
                artifact: file_artifact(digest, stamp.size, facts.executable),
                manifest: None,
            }));
        }
        if !metadata.is_dir() {
            return Err(CacheError::Special { path });
        }
        let found = scan(&path, rules, Owner::Project)?;
        let files: Vec<_> = files(&found).map(|(at, facts)| (at, facts.stamp)).collect();
        let digests = self.digests(&files)?;
        let manifest = manifest_of(&path, found, &digests)?;
        Ok(Some(Seen { artifact: manifest.artifact(), manifest: Some(manifest) }))
    }

    /// The digests of project files, and their stamps when they were read; in one transaction for all of them.
    pub(crate) fn digests(
        &self,
        files: &[(&Utf8PathBuf, Stamp)],
    ) -> Result<Vec<(Digest, Stamp)>, CacheError> {
        let stamps: Vec<Stamp> = files.iter().map(|(_, stamp)| *stamp).collect();
        let mut digests: Vec<Option<(Digest, Stamp)>> =
            (self.inner.index.find(&stamps).into_iter().zip(&stamps))
                .map(|(known, stamp)| {
                    known.filter(|(known, _)| known == stamp).map(|(stamp, digest)| (digest, stamp))
                })
                .collect();
        let unknown: Vec<usize> = (0..files.len()).filter(|index| digests[*index].is_none()).collect();
        if !unknown.is_empty() {
            // The clock is read before the files are: what changes afterwards gets a later stamp.
            let clock = Clock::probe(&self.inner.layout.temporary(), self.inner.is_local);
            let paths: Vec<&Utf8PathBuf> = unknown.iter().map(|index| files[*index].0).collect();
            let read = read_all(&paths)?;
            let settled = read.iter().filter(|(_, stamp)| clock.has_passed(stamp));
            self.inner.index.keep(&settled.map(|(digest, stamp)| (*stamp, *digest)).collect::<Vec<_>>());
            for (index, read) in unknown.into_iter().zip(read) {
                digests[index] = Some(read);
            }
        }
        Ok(digests.into_iter().map(|digest| digest.expect("what was not known was read")).collect())
    }
}

/// Reads files to their digests: several at once, and big ones by several threads.
pub(crate) fn read_all(paths: &[&Utf8PathBuf]) -> Result<Vec<(Digest, Stamp)>, CacheError> {
    let read = |path: &&Utf8PathBuf| {
        let settled = hash::settled(path).map_err(gone_or_io("read", path))?;
        settled.ok_or_else(|| CacheError::Changed { path: (*path).clone() })
    };
    if paths.len() < MANY { paths.iter().map(read).collect() } else { paths.par_iter().map(read).collect() }
}

/// The files among what was found, in order.
pub(crate) fn files(found: &[Found]) -> impl Iterator<Item = (&Utf8PathBuf, &FileFacts)> {
    found.iter().filter_map(|found| match &found.thing {
        Thing::File(facts) => Some((&found.at, facts)),
        Thing::EmptyFolder | Thing::Link { .. } => None,
    })
}

/// The manifest of what was found below `root`, given the digests of its [`files`] in order.
pub(crate) fn manifest_of(
    root: &Utf8Path,
    found: Vec<Found>,
    digests: &[(Digest, Stamp)],
) -> Result<Manifest, CacheError> {
    let mut digests = digests.iter();
    let entry = |found: Found| {
        let kind = match found.thing {
            Thing::File(facts) => {
                let (digest, stamp) = digests.next().expect("there is a digest for every file");
                Kind::File { executable: facts.executable, size: stamp.size, digest: *digest }
            }
            Thing::EmptyFolder => Kind::Folder,
            Thing::Link { target } => Kind::Link { target },
        };
        Entry { path: found.path, kind }
    };
    Manifest::new(found.into_iter().map(entry).collect()).map_err(|error| error.below(root))
}

pub(crate) fn file_artifact(digest: Digest, size: u64, executable: bool) -> Artifact {
    Artifact { form: if executable { Form::Executable } else { Form::File }, digest, size, files: 1 }
}

/// Nothing is there; also not where a folder on the way is a file.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes};
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::scene::{Scene, make_executable, stamp, tamper};

    #[test]
    fn what_is_known_is_not_read() {
        let scene = Scene::new();
        let path = scene.write("a", "content");
        scene.look_until_recorded("a");
        // If the index says something else of the same stamp, that is believed: the file is not opened.
        scene.cache.inner.index.keep(&[(stamp(&path), Digest::of(b"other"))]);
        assert_eq!(scene.look("a").artifact.digest, Digest::of(b"other"));
    }

    #[test]
    fn other_content_under_the_same_size_and_time_is_noticed() {
        let scene = Scene::new();
        let path = scene.write("a", "content");
        let before = scene.look_until_recorded("a");
        let (size, modified) = (stamp(&path).size, stamp(&path).modified);
        tamper(&path);
        assert_eq!((stamp(&path).size, stamp(&path).modified), (size, modified));
        assert_ne!(scene.look("a"), before);
    }

    #[test]
    fn a_file_that_is_too_young_is_read_each_time() {
        let scene = Scene::new();
        for round in 0..200_u32 {
            // Again and again within one tick of the clock, always of the same size.
            scene.write("a", round.to_le_bytes());
            assert_eq!(scene.look("a").artifact.digest, Digest::of(&round.to_le_bytes()));
        }
    }

    #[test]
    fn a_file_from_the_future_is_never_recorded() {
        let scene = Scene::new();
        let path = scene.write("a", "content");
        let times = FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(3600));
        fs::File::open(&path).unwrap().set_times(times).unwrap();
        scene.write("b", "content");
        scene.look_until_recorded("b");
        scene.look("a");
        assert_eq!(scene.cache.inner.index.find(&[stamp(&path)]), [None]);
    }

    #[test]
    fn touched_is_not_changed() {
        let scene = Scene::new();
        let path = scene.write("a", "content");
        let before = scene.look_until_recorded("a");
        fs::File::open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).unwrap();
        assert_eq!(scene.look("a"), before);
    }

    #[test]
    fn a_link_is_followed_and_nothing_is_nothing() {
        let scene = Scene::new();
        scene.write("real/a", "content");
        symlink("real", scene.path("link")).unwrap();
        symlink("nowhere", scene.path("dangling")).unwrap();
        assert_eq!(scene.look("link"), scene.look("real"));
        for name in ["absent", "dangling", "real/a/below"] {
            assert_eq!(scene.cache.look(&scene.path(name), &IgnoreRules::builtin()).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn the_executable_bit_is_part_of_a_file() {
        let scene = Scene::new();
        let path = scene.write("tool", "#!/bin/sh");
        let before = scene.look("tool").artifact;
        make_executable(&path);
        let after = scene.look("tool").artifact;
        assert_eq!((before.form, after.form), (Form::File, Form::Executable));
        assert_eq!(before.digest, after.digest);
    }

    #[test]
    fn what_cannot_be_in_a_tree_is_named() {
        use std::os::unix::ffi::OsStrExt as _;
        let scene = Scene::new();
        let look = |name: &str| scene.cache.look(&scene.path(name), &IgnoreRules::builtin());
        scene.write("case/README", "");
        scene.write("case/readme", "");
        assert!(
            matches!(look("case"), Err(CacheError::Collision { first, .. }) if first.ends_with("case/README"))
        );
        scene.write("form/\u{e9}", "");
        scene.write("form/e\u{301}", "");
        assert!(matches!(look("form"), Err(CacheError::Collision { .. })));
        scene.write("escape/a", "");
        symlink("../case", scene.path("escape/out")).unwrap();
        assert!(
            matches!(look("escape"), Err(CacheError::Escapes { path, .. }) if path == scene.path("escape/out"))
        );
        scene.write("special/a", "");
        let socket = std::os::unix::net::UnixListener::bind(scene.path("special/socket")).unwrap();
        assert!(matches!(look("special"), Err(CacheError::Special { path }) if path.ends_with("socket")));
        drop(socket);
        scene.write("bytes/a", "");
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        fs::write(scene.path("bytes").as_std_path().join(name), "").unwrap();
        assert!(matches!(look("bytes"), Err(CacheError::NotUtf8 { .. })));
    }

    #[test]
    fn what_the_rules_leave_out_does_not_count() {
        let scene = Scene::new();
        scene.write("tree/a.py", "a");
        let before = scene.look("tree");
        for name in ["__pycache__/a.pyc", ".git/HEAD", ".tidemill/x", ".DS_Store", "raw/b.tmp", "out/c"] {
            scene.write(&format!("tree/{name}"), "noise");
        }
        scene.write(".tidemillignore", "*.tmp\n/tree/out/\n");
        let rules = IgnoreRules::load(&scene.path("")).unwrap();
        fs::remove_file(scene.write("tree/raw/b.tmp", "")).unwrap();
        fs::remove_dir(scene.path("tree/raw")).unwrap();
        assert_eq!(scene.cache.look(&scene.path("tree"), &rules).unwrap().unwrap(), before);
        assert_ne!(scene.look("tree"), before);
    }
}
