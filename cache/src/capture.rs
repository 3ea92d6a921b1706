//! Taking in what a step wrote: its files are moved into the store, not copied.

use std::fs::{self, Metadata};

use camino::{Utf8Path, Utf8PathBuf};

use crate::cache::absolute;
use crate::layout::Blob;
use crate::look::{file_artifact, files, is_absent, manifest_of, read_all};
use crate::scan::{FileFacts, Found, Owner, allow_seen, scan};
use crate::stamp::Stamp;
use crate::take_in::{How, Incoming};
use crate::{Artifact, Cache, CacheError, Digest, IgnoreRules};

impl Cache {
    /// Takes the file or folder at `path` into the store; afterwards it is no longer there. `None`: nothing was there.
    ///
    /// Nobody may write to it any more. A file that has other names too is copied, since they may be someone else's; so is
    /// what a symbolic link at `path` itself points to, and the link stays.
    ///
    /// # Errors
    /// If it cannot be read or moved, or holds something that cannot be part of a tree.
    pub fn capture(&self, path: &Utf8Path, rules: &IgnoreRules) -> Result<Option<Artifact>, CacheError> {
        let path = absolute(path)?;
        let own = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        if own.is_symlink() {
            return self.capture_copy(&path, rules);
        }
        let artifact = if own.is_dir() {
            self.capture_folder(&path, rules, Owner::Us)?
        } else if own.is_file() {
            allow_seen(&path, &own, 0o400)?;
            self.capture_file(&path, &own, How::Move)?
        } else {
            return Err(CacheError::Special { path });
        };
        self.discard(&path)?;
        Ok(Some(artifact))
    }

    /// Takes a copy of the file or folder at `path` into the store, or of what a link there points to: it may belong to someone else.
    /// `None`: nothing is there.
    ///
    /// # Errors
    /// If it cannot be read or copied, does not stand still, or holds something that cannot be part of a tree.
    pub fn capture_copy(&self, path: &Utf8Path, rules: &IgnoreRules) -> Result<Option<Artifact>, CacheError> {
        let path = &absolute(path)?;
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(CacheError::io("read", path)(error)),
        };
        if metadata.is_dir() {
            self.capture_folder(path, rules, Owner::Project).map(Some)
        } else if metadata.is_file() {
            self.capture_file(path, &metadata, How::Copy).map(Some)
        } else {
            Err(CacheError::Special { path: path.to_owned() })
        }
    }

    fn capture_file(&self, path: &Utf8Path, metadata: &Metadata, how: How) -> Result<Artifact, CacheError> {
        let facts = FileFacts::of(metadata);
        let (digest, stamp) = read_all(&[&path.to_owned()])?[0];
        let blob = Blob { digest, executable: facts.executable };
        let how = if facts.names > 1 { How::Copy } else { how };
        self.take_in(vec![Incoming { source: path.to_owned(), stamp, blob, how }])?;
        Ok(file_artifact(digest, stamp.size, facts.executable))
    }

    fn capture_folder(
        &self,
        path: &Utf8Path,
        rules: &IgnoreRules,
        owner: Owner,
    ) -> Result<Artifact, CacheError> {
        let found = scan(path, rules, owner)?;
        let paths: Vec<_> = files(&found).map(|(at, _)| at).collect();
        let digests = read_all(&paths)?;
        let incoming = incoming(&found, &digests, owner);
        let manifest = manifest_of(path, found, &digests)?;
        self.take_in(incoming)?;
        self.put_manifest(&manifest)
    }
}

fn incoming(found: &[Found], digests: &[(Digest, Stamp)], owner: Owner) -> Vec<Incoming> {
    let incoming = |((at, facts), (digest, stamp)): ((&Utf8PathBuf, &FileFacts), &(Digest, Stamp))| {
        let how = if owner == Owner::Us && facts.names == 1 { How::Move } else { How::Copy };
        let blob = Blob { digest: *digest, executable: facts.executable };
        Incoming { source: at.clone(), stamp: *stamp, blob, how }
    };
    files(found).zip(digests).map(incoming).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::scene::{Scene, make_executable, mode, stamp};
    use crate::{Form, Kind, Place};

    fn capture(scene: &Scene, name: &str) -> Artifact {
        scene.cache.capture(&scene.path(name), &IgnoreRules::builtin()).unwrap().unwrap()
    }

    fn object(scene: &Scene, artifact: &Artifact) -> Utf8PathBuf {
        let executable = artifact.form == Form::Executable;
        scene.cache.inner.layout.object(Blob { digest: artifact.digest, executable })
    }

    #[test]
    fn a_file_is_moved_and_sealed() {
        let scene = Scene::new();
        let inode = stamp(&scene.write("out", "model")).inode;
        let artifact = capture(&scene, "out");
        let object = object(&scene, &artifact);
        assert_eq!((stamp(&object).inode, mode(&object)), (inode, 0o444));
        assert!(!scene.path("out").exists());
        assert_eq!(scene.cache.read(&artifact, 100).unwrap(), b"model");
        assert!(matches!(scene.cache.read(&artifact, 4), Err(CacheError::TooLarge { size: 5, .. })));
    }

    #[test]
    fn nothing_is_captured_as_nothing() {
        let scene = Scene::new();
        assert_eq!(scene.cache.capture(&scene.path("out"), &IgnoreRules::builtin()).unwrap(), None);
    }

    #[test]
    fn what_is_there_already_is_dropped() {
        let scene = Scene::new();
        scene.write("first", "model");
        let first = capture(&scene, "first");
        let inode = stamp(&object(&scene, &first)).inode;
        scene.write("second", "model");
        assert_eq!(capture(&scene, "second"), first);
        assert!(!scene.path("second").exists());
        assert_eq!(stamp(&object(&scene, &first)).inode, inode);
    }

    #[test]
    fn a_file_with_other_names_and_a_link_are_copied() {
        let scene = Scene::new();
        let kept = scene.write("kept", "model");
        fs::hard_link(&kept, scene.path("out")).unwrap();
        let artifact = capture(&scene, "out");
        assert_ne!(stamp(&object(&scene, &artifact)).inode, stamp(&kept).inode);
        assert_eq!(mode(&kept) & 0o200, 0o200);
        scene.write("other", "other model");
        symlink("other", scene.path("link")).unwrap();
        assert_eq!(scene.cache.read(&capture(&scene, "link"), 100).unwrap(), b"other model");
        assert!(scene.path("other").exists());
    }

    #[test]
    fn an_input_that_is_linked_to_an_output_stays_sound() {
        let scene = Scene::new();
        let input = scene.cache.put(&vec![7; 100_000]).unwrap();
        fs::create_dir(scene.path("step")).unwrap();
        scene.cache.place(&input, &scene.path("step/in"), Place::ReadOnly).unwrap();
        fs::hard_link(scene.path("step/in"), scene.path("step/out")).unwrap();
        assert_eq!(capture(&scene, "step/out"), input);
        scene.cache.discard(&scene.path("step")).unwrap();
        assert!(scene.cache.available(&input).unwrap());
    }

    #[test]
    fn a_tree_keeps_what_counts() {
        let scene = Scene::new();
        make_executable(&scene.write("tree/bin/tool", "#!/bin/sh"));
        scene.write("tree/data", "data");
        scene.write("tree/__pycache__/x.pyc", "noise");
        fs::create_dir_all(scene.path("tree/empty/folder")).unwrap();
        symlink("../data", scene.path("tree/bin/link")).unwrap();
        let seen = scene.look("tree");
        let artifact = capture(&scene, "tree");
        assert_eq!(artifact, seen.artifact);
        assert_eq!((artifact.form, artifact.files, artifact.size), (Form::Folder, 2, 13));
        let manifest = scene.cache.manifest(&artifact).unwrap();
        assert_eq!(Some(&manifest), seen.manifest.as_ref());
        let paths: Vec<&str> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["bin/link", "bin/tool", "data", "empty/folder"]);
        assert_eq!(manifest.get("bin/link").unwrap().kind, Kind::Link { target: "../data".into() });
        assert!(!scene.path("tree").exists());
    }

    #[test]
    fn a_tree_without_permissions_is_captured() {
        use std::os::unix::fs::PermissionsExt as _;
        let scene = Scene::new();
        let file = scene.write("tree/inner/a", "a");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(scene.path("tree/inner"), fs::Permissions::from_mode(0o500)).unwrap();
        let artifact = capture(&scene, "tree");
        assert_eq!(artifact.files, 1);
        assert!(!scene.path("tree").exists());
    }

    #[test]
    fn an_output_that_cannot_be_a_tree_is_an_error() {
        let scene = Scene::new();
        scene.write("tree/a", "a");
        symlink("/etc/hostname", scene.path("tree/out")).unwrap();
        let captured = scene.cache.capture(&scene.path("tree"), &IgnoreRules::builtin());
        assert!(matches!(captured, Err(CacheError::Escapes { .. })));
    }

    #[test]
    fn two_threads_capture_the_same_content() {
        let scene = Scene::new();
        for round in 0..10 {
            let names = [format!("{round}/a"), format!("{round}/b"), format!("{round}/c")];
            let captured = std::thread::scope(|scope| {
                let capture = |name: &String| {
                    scene.write(name, format!("content {round}"));
                    let (cache, path) = (scene.another_process(), scene.path(name));
                    scope.spawn(move || cache.capture(&path, &IgnoreRules::builtin()).unwrap().unwrap())
                };
                let threads = names.iter().map(capture).collect::<Vec<_>>();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(captured.iter().all(|artifact| *artifact == captured[0]));
            assert!(scene.cache.available(&captured[0]).unwrap());
        }
    }
}
