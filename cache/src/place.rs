//! Giving out what the store holds: as clones, links or copies, never as something through which a blob can be written to
//! without it being noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::{each, stat};
use crate::cache::absolute;
use crate::discard::Linked;
use crate::layout::Blob;
use crate::manifest::Kind;
use crate::stamp::Stamp;
use crate::{Artifact, Cache, CacheError, Digest, Form, Manifest};

/// What is done with the placed content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is read: clones, else links to the blobs; small files are copied.
    ReadOnly,
    /// It is its owner's to change: clones, else copies.
    Writable,
    /// The same, but large files that cannot be cloned are links to the blobs, which their owner must not change.
    Linked,
}

/// Up to this size a copy costs no more than a link and the doubts that come with it.
const SMALL: u64 = 64 << 10;
/// From this size on, a file that may be linked although somebody could want to change it is.
const LARGE: u64 = 16 << 20;

/// A blob, how it was when it was verified, and where it goes to.
struct Delivery {
    blob: Blob,
    stamp: Stamp,
    at: Utf8PathBuf,
}

impl Cache {
    /// Places an artifact at a path where nothing is yet; the folder above it exists.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if its content is gone or was damaged; otherwise if the file system says no. Nothing is
    /// left at the path then.
    pub fn place(&self, artifact: &Artifact, at: &Utf8Path, how: Place) -> Result<(), CacheError> {
        let at = absolute(at)?;
        match fs::symlink_metadata(&at) {
            Ok(_) => return Err(CacheError::io("create", &at)(io::ErrorKind::AlreadyExists.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CacheError::io("create", &at)(error)),
        }
        let placed = self.place_all(artifact, &at, how);
        if placed.is_err() {
            self.discard(&at)?;
        }
        placed
    }

    fn place_all(&self, artifact: &Artifact, at: &Utf8Path, how: Place) -> Result<(), CacheError> {
        let mut goals: Vec<(Blob, Utf8PathBuf)> = Vec::new();
        if artifact.form == Form::Folder {
            let manifest = self.manifest(artifact)?;
            make_frame(&manifest, at)?;
            for entry in manifest.entries() {
                if let Kind::File { executable, digest, .. } = entry.kind {
                    goals.push((Blob { digest, executable }, entry.path.below(at)));
                }
            }
        } else {
            let executable = artifact.form == Form::Executable;
            goals.push((Blob { digest: artifact.digest, executable }, at.to_owned()));
        }
        let blobs: Vec<Blob> =
            goals.iter().map(|(blob, _)| *blob).collect::<BTreeSet<_>>().into_iter().collect();
        let stamps: BTreeMap<Blob, Stamp> = blobs.iter().copied().zip(self.ensure(&blobs)?).collect();
        let deliveries: Vec<Delivery> =
            goals.into_iter().map(|(blob, at)| Delivery { blob, stamp: stamps[&blob], at }).collect();
        let folder = if artifact.form == Form::Folder { at } else { at.parent().unwrap_or(at) };
        let device = stat(folder)?.map_or(0, |stamp| stamp.device);
        let linked = each(&deliveries, |delivery| self.deliver(delivery, device, how))?;
        let linked: Vec<Stamp> = linked.into_iter().flatten().collect();
        self.record(&linked);
        Ok(())
    }

    /// Places one file: the blob's stamp if it was linked.
    fn deliver(&self, delivery: &Delivery, device: u64, how: Place) -> Result<Option<Stamp>, CacheError> {
        match self.deliver_in_place(delivery, device, how) {
            // A collection of garbage took it out since it was looked at.
            Err(error) if error.is_absence() => {
                self.ensure(&[delivery.blob])?;
                self.deliver_in_place(delivery, device, how)
            }
            other => other,
        }
    }

    fn deliver_in_place(
        &self,
        delivery: &Delivery,
        device: u64,
        how: Place,
    ) -> Result<Option<Stamp>, CacheError> {
        let Delivery { blob, stamp, at } = delivery;
        let object = self.inner.layout.object(*blob);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound if !object.exists() => CacheError::Missing { digest: blob.digest },
            _ => CacheError::io("create", at)(error),
        };
        let mode = match (how, blob.executable) {
            (Place::ReadOnly, _) => blob.mode(),
            (Place::Writable | Place::Linked, executable) => owners_mode(executable),
        };
        let may_link = match how {
            Place::ReadOnly => stamp.size > SMALL,
            Place::Linked => stamp.size >= LARGE,
            Place::Writable => false,
        };
        let cloned = self.inner.clones.try_clone(&object, stamp.device, at, device).map_err(failed)?;
        if !cloned {
            if may_link && stamp.device == device {
                match self.link(&object, *blob, at) {
                    Ok(stamp) => return Ok(stamp),
                    // At the limit of links, or where a mount or a setting of the kernel forbids them, it is copied.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            if how == Place::ReadOnly && stamp.size <= SMALL {
                let bytes = fs::read(&object).map_err(failed)?;
                self.inner.parts.write(at, &bytes, mode).map_err(failed)?;
                return Ok(None);
            }
            fs::copy(&object, at).map_err(failed)?;
        }
        fs::set_permissions(at, Permissions::from_mode(mode)).map_err(failed)?;
        Ok(None)
    }

    /// Puts a small file at a path, in place of a file that may lie there: it is there as a whole or not at all. False: it is no
    /// small file, and nothing was done.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if its content is gone or was damaged; otherwise if the file system says no, such as that the path
    /// lies on another file system than the store, or is a folder.
    pub fn put_over(&self, artifact: &Artifact, at: &Utf8Path) -> Result<bool, CacheError> {
        let executable = match artifact.form {
            Form::File => false,
            Form::Executable => true,
            Form::Folder => return Ok(false),
        };
        if artifact.size > SMALL {
            return Ok(false);
        }
        let at = absolute(at)?;
        let blob = Blob { digest: artifact.digest, executable };
        self.ensure(&[blob])?;
        let object = self.inner.layout.object(blob);
        let read = || match fs::read(&object) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CacheError::Missing { digest: blob.digest })
            }
            bytes => bytes.map_err(CacheError::io("read", &object)),
        };
        let bytes = match read() {
            // A collection of garbage took it out since it was looked at.
            Err(CacheError::Missing { .. }) => self.ensure(&[blob]).and_then(|_| read())?,
            other => other?,
        };
        let made = self.inner.parts.write_aside(&bytes, owners_mode(executable));
        let made = made.map_err(CacheError::io("create", &at))?;
        self.rename(&made, &at)
            .inspect_err(|_| drop(fs::remove_file(&made)))
            .map_err(CacheError::io("create", &at))?;
        Ok(true)
    }

    /// Gives what was placed its name, in place of a file that may lie there. Blobs that get or lose a name by that stay known.
    ///
    /// # Errors
    /// If the file system says no; as for [`fs::rename`], a folder takes no other's place.
    pub fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        let link = |path: &Utf8Path| Linked::new(path, &fs::symlink_metadata(path).ok()?);
        let links: Vec<Linked> = [link(from), link(to)].into_iter().flatten().collect();
        if links.is_empty() {
            return fs::rename(from, to);
        }
        let stamps: Vec<Stamp> = links.iter().map(|link| link.facts.stamp).collect();
        let recorded = self.recorded(&stamps);
        self.learn(recorded.iter().copied().flatten());
        let blob = |(link, recorded): (&Linked, &Option<(Stamp, Digest)>)| {
            recorded.map(|(_, digest)| Blob { digest, executable: link.facts.executable })
        };
        let blobs: Vec<Blob> = links.iter().zip(&recorded).filter_map(blob).collect();
        self.renewing(&blobs, || fs::rename(from, to))?;
        self.record(&stamps);
        Ok(())
    }

    /// Links a blob to a path.
    fn link(&self, object: &Utf8Path, blob: Blob, at: &Utf8Path) -> io::Result<Option<Stamp>> {
        self.renewing(&[blob], || {
            fs::hard_link(object, at)?;
            Ok(Some(Stamp::of(&fs::symlink_metadata(at)?)))
        })
    }

    /// Does something by which blobs get or lose names, and renews the stamps of those that were the known ones before.
    pub(crate) fn renewing<T>(&self, blobs: &[Blob], work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        // The lock is held meanwhile, so that nobody takes the change for another's.
        let mut known = self.known();
        let at = |blob: &Blob| {
            let metadata = fs::symlink_metadata(self.inner.layout.object(*blob)).ok()?;
            Some(Stamp::of(&metadata))
        };
        let was_known = |blob: &Blob| {
            let before = at(blob)?;
            let is_known = known.get(&(before.device, before.inode)) == Some(&(before, blob.digest));
            is_known.then_some((*blob, before))
        };
        let before: Vec<(Blob, Stamp)> = blobs.iter().filter_map(was_known).collect();
        let done = work()?;
        for (blob, before) in before {
            if let Some(after) = at(&blob)
                && after.is_same_content_as(&before)
            {
                known.insert((after.device, after.inode), (after, blob.digest));
            }
        }
        Ok(done)
    }
}

/// The mode of a file that is its owner's to change.
fn owners_mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// Makes the folders and symbolic links of a manifest.
pub(crate) fn make_frame(manifest: &Manifest, at: &Utf8Path) -> Result<(), CacheError> {
    fs::create_dir(at).map_err(CacheError::io("create", at))?;
    let mut folders = BTreeSet::new();
    for entry in manifest.entries() {
        let own = (entry.kind == Kind::Folder).then(|| entry.path.clone());
        let mut next = own.or_else(|| entry.path.parent());
        while let Some(folder) = next {
            next = folder.parent();
            if !folders.insert(folder) {
                break;
            }
        }
    }
    for folder in folders {
        let path = folder.below(at);
        fs::create_dir(&path).map_err(CacheError::io("create", &path))?;
    }
    for entry in manifest.entries() {
        if let Kind::Link { target } = &entry.kind {
            let path = entry.path.below(at);
            symlink(target, &path).map_err(CacheError::io("create", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::IgnoreRules;
    use crate::scene::{Scene, make_executable, mode, stamp, tamper};

    const BIG: usize = 100_000;

    #[test]
    fn a_large_file_is_shared_and_a_small_one_copied() {
        let scene = Scene::new();
        let (big, small) = (scene.cache.put(&vec![1; BIG]).unwrap(), scene.cache.put(b"small").unwrap());
        scene.cache.place(&big, &scene.path("big"), Place::ReadOnly).unwrap();
        scene.cache.place(&small, &scene.path("small"), Place::ReadOnly).unwrap();
        assert_eq!((mode(&scene.path("big")), mode(&scene.path("small"))), (0o444, 0o444));
        let object = scene.cache.inner.layout.object(Blob { digest: small.digest, executable: false });
        assert_ne!(stamp(&object).inode, stamp(&scene.path("small")).inode);
    }

    #[test]
    fn a_writable_copy_is_the_owners() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        scene.cache.place(&big, &scene.path("big"), Place::Writable).unwrap();
        assert_eq!(mode(&scene.path("big")), 0o644);
        fs::write(scene.path("big"), "mine").unwrap();
        assert!(scene.cache.available(&big).unwrap());
        assert!(matches!(
            scene.cache.place(&big, &scene.path("big"), Place::Writable),
            Err(CacheError::Io { .. })
        ));
        assert_eq!(fs::read(scene.path("big")).unwrap(), b"mine");
    }

    #[test]
    fn a_small_file_is_put_over_another_one_as_a_whole() {
        let scene = Scene::new();
        let small = scene.cache.put(b"small").unwrap();
        let tool = Artifact { form: Form::Executable, ..small.clone() };
        let at = scene.write("there", "a longer one that lies there");
        for (artifact, expected) in [(&small, 0o644), (&tool, 0o755)] {
            assert!(scene.cache.put_over(artifact, &at).unwrap());
            assert_eq!((fs::read(&at).unwrap(), mode(&at)), (b"small".to_vec(), expected));
        }
        // A blob that is linked there loses a name, not its content.
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        scene.cache.place(&big, &scene.path("link"), Place::ReadOnly).unwrap();
        assert!(scene.cache.put_over(&small, &scene.path("link")).unwrap());
        assert!(scene.cache.available(&big).unwrap());
        assert!(!scene.cache.put_over(&big, &at).unwrap());
        fs::create_dir(scene.path("folder")).unwrap();
        assert!(matches!(scene.cache.put_over(&small, &scene.path("folder")), Err(CacheError::Io { .. })));
        assert_eq!(scene.cache.inner.layout.temporary().read_dir_utf8().unwrap().count(), 0);
        tamper(&scene.cache.inner.layout.object(Blob { digest: small.digest, executable: false }));
        tamper(&scene.cache.inner.layout.object(Blob { digest: small.digest, executable: true }));
        assert!(matches!(scene.cache.put_over(&small, &at), Err(CacheError::Missing { .. })));
        assert_eq!(fs::read(&at).unwrap(), b"small");
    }

    #[test]
    fn a_large_file_may_be_linked_and_stays_known_when_it_gets_and_loses_its_name() {
        let scene = Scene::new();
        let size = usize::try_from(LARGE).unwrap();
        let blobs = [1, 2].map(|byte| scene.cache.put(&vec![byte; size]).unwrap());
        let is_known = |artifact: &Artifact| {
            let object = scene.cache.inner.layout.object(Blob { digest: artifact.digest, executable: false });
            let stamp = stamp(&object);
            scene.cache.inner.index.find(&[stamp]) == [Some((stamp, artifact.digest))]
        };
        let at = scene.path("published");
        for (artifact, byte) in blobs.iter().zip([1, 2]) {
            scene.another_process().place(artifact, &scene.path("new"), Place::Linked).unwrap();
            scene.another_process().rename(&scene.path("new"), &at).unwrap();
            assert_eq!(fs::read(&at).unwrap(), vec![byte; size]);
            assert!(blobs.iter().all(is_known));
        }
        // Where the file system has clones, it is one, and the owner's.
        let is_link = fs::metadata(&at).unwrap().nlink() > 1;
        assert_eq!(mode(&at), if is_link { 0o444 } else { 0o644 });
        let small = scene.cache.put(b"small").unwrap();
        scene.cache.place(&small, &scene.path("small"), Place::Linked).unwrap();
        assert_eq!(mode(&scene.path("small")), 0o644);
    }

    #[test]
    fn linking_and_unlinking_leaves_a_blob_known() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        let object = scene.cache.inner.layout.object(Blob { digest: big.digest, executable: false });
        let is_recorded = |cache: &Cache| {
            let stamp = stamp(&object);
            cache.inner.index.find(&[stamp]) == [Some((stamp, big.digest))]
        };
        assert!(is_recorded(&scene.cache));
        for name in ["a", "b"] {
            fs::create_dir(scene.path(name)).unwrap();
            scene.another_process().place(&big, &scene.path(name).join("big"), Place::ReadOnly).unwrap();
            assert!(is_recorded(&scene.cache));
        }
        scene.cache.discard(&scene.path("a")).unwrap();
        scene.another_process().discard(&scene.path("b")).unwrap();
        assert!(is_recorded(&scene.cache));
        assert!(!scene.path("a").exists());
    }

    #[test]
    fn many_threads_share_a_blob_without_doubting_it() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (scene, big) = (&scene, &big);
                scope.spawn(move || {
                    for round in 0..20 {
                        let at = scene.path(&format!("{thread}-{round}"));
                        scene.cache.place(big, &at, Place::ReadOnly).unwrap();
                        assert_eq!(fs::metadata(&at).unwrap().len(), BIG as u64);
                        scene.cache.discard(&at).unwrap();
                    }
                });
            }
        });
        let stamp = stamp(&scene.cache.inner.layout.object(Blob { digest: big.digest, executable: false }));
        assert_eq!(scene.cache.inner.index.find(&[stamp]), [Some((stamp, big.digest))]);
    }

    #[test]
    fn a_blob_written_to_through_a_link_is_noticed_and_never_served() {
        let scene = Scene::new();
        let big = scene.cache.put(&vec![1; BIG]).unwrap();
        scene.cache.place(&big, &scene.path("link"), Place::ReadOnly).unwrap();
        tamper(&scene.path("link"));
        scene.cache.discard(&scene.path("link")).unwrap();
        let placed = scene.cache.place(&big, &scene.path("again"), Place::ReadOnly);
        // Where the file system has clones, the link was one, and the blob is as it was.
        if scene.cache.available(&big).unwrap() {
            placed.unwrap();
        } else {
            assert!(matches!(placed, Err(CacheError::Missing { digest }) if digest == big.digest));
            assert!(!scene.path("again").exists());
        }
    }

    #[test]
    fn a_tampered_blob_is_missing_until_it_is_made_again() {
        let scene = Scene::new();
        let artifact = scene.cache.put(b"content").unwrap();
        let object = scene.cache.inner.layout.object(Blob { digest: artifact.digest, executable: false });
        assert!(scene.cache.seems_available(&artifact));
        tamper(&object);
        assert!(!scene.cache.available(&artifact).unwrap());
        assert!(!scene.cache.seems_available(&artifact));
        assert!(matches!(scene.cache.read(&artifact, 100), Err(CacheError::Missing { .. })));
        assert_eq!(scene.cache.put(b"content").unwrap(), artifact);
        assert!(scene.cache.available(&artifact).unwrap());
    }

    #[test]
    fn a_tree_with_a_missing_file_is_not_placed() {
        let scene = Scene::new();
        scene.write("tree/a", "a");
        scene.write("tree/b/c", "c");
        let tree = scene.cache.capture(&scene.path("tree"), &IgnoreRules::builtin()).unwrap().unwrap();
        let digest = crate::Digest::of(b"c");
        fs::remove_file(scene.cache.inner.layout.object(Blob { digest, executable: false })).unwrap();
        assert!(!scene.cache.available(&tree).unwrap());
        let placed = scene.cache.place(&tree, &scene.path("again"), Place::Writable);
        assert!(matches!(placed, Err(CacheError::Missing { digest: missing }) if missing == digest));
        assert!(!scene.path("again").exists());
    }

    #[test]
    fn the_executable_twin_is_made_from_the_other() {
        let scene = Scene::new();
        let file = scene.cache.put(b"#!/bin/sh").unwrap();
        let tool = Artifact { form: Form::Executable, ..file };
        assert!(scene.cache.available(&tool).unwrap());
        scene.cache.place(&tool, &scene.path("tool"), Place::ReadOnly).unwrap();
        assert_eq!(mode(&scene.path("tool")), 0o555);
    }

    #[test]
    fn artifacts_are_assembled_to_a_folder() {
        let scene = Scene::new();
        scene.write("tree/x", "x");
        let tree = scene.cache.capture(&scene.path("tree"), &IgnoreRules::builtin()).unwrap().unwrap();
        let file = scene.cache.put(b"file").unwrap();
        let entries = [("1-b".to_owned(), tree), ("0-a".to_owned(), file)];
        let folder = scene.cache.assemble(&entries).unwrap();
        scene.cache.place(&folder, &scene.path("all"), Place::Writable).unwrap();
        assert_eq!(fs::read(scene.path("all/0-a")).unwrap(), b"file");
        assert_eq!(fs::read(scene.path("all/1-b/x")).unwrap(), b"x");
        assert_eq!(scene.look("all").artifact, folder);
        let twice = [entries[0].clone(), entries[0].clone()];
        assert!(matches!(scene.cache.assemble(&twice), Err(CacheError::Collision { .. })));
        assert!(scene.cache.assemble(&[("..".to_owned(), entries[0].1.clone())]).is_err());
    }

    /// A tree: paths of files, their content and whether they are executable; without content, an empty folder.
    fn trees() -> impl Strategy<Value = BTreeMap<String, Option<(Vec<u8>, bool)>>> {
        let content = prop::option::of((prop::collection::vec(any::<u8>(), 0..9), any::<bool>()));
        prop::collection::btree_map("[a-d]{1,2}(/[a-d\u{e4}]{1,2}){0,3}", content, 0..24).prop_map(|tree| {
            let is_below = |path: &String, other: &String| {
                path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
            };
            let is_free =
                |path: &String| !tree.keys().any(|other| is_below(path, other) || is_below(other, path));
            tree.iter()
                .filter(|(path, _)| is_free(path))
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect()
        })
    }

    fn build<'a>(
        scene: &Scene,
        root: &str,
        tree: impl Iterator<Item = (&'a String, &'a Option<(Vec<u8>, bool)>)>,
    ) {
        fs::create_dir(scene.path(root)).unwrap();
        for (path, content) in tree {
            let path = format!("{root}/{path}");
            match content {
                Some((bytes, executable)) => {
                    let path = scene.write(&path, bytes);
                    if *executable {
                        make_executable(&path);
                    }
                }
                None => fs::create_dir_all(scene.path(&path)).unwrap(),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_tree_that_is_captured_and_placed_is_the_same(tree in trees()) {
            let scene = Scene::new();
            build(&scene, "one", tree.iter());
            build(&scene, "two", tree.iter().rev());
            let seen = scene.look("one");
            prop_assert_eq!(&scene.look("two"), &seen);
            let captured = scene.cache.capture(&scene.path("one"), &IgnoreRules::builtin()).unwrap().unwrap();
            prop_assert_eq!(&captured, &seen.artifact);
            for (name, how) in [("read", Place::ReadOnly), ("write", Place::Writable)] {
                scene.cache.place(&captured, &scene.path(name), how).unwrap();
                prop_assert_eq!(&scene.look(name), &seen);
            }
            scene.cache.bring(&seen, &scene.path("two"), &scene.path("brought")).unwrap();
            prop_assert_eq!(&scene.look("brought"), &seen);
        }
    }
}
