//! Letting contents go while a run goes on: what this process made, and nothing refers to any more that it knows of.
//!
//! A blob is taken out into a generation of the [trash](crate::trash) that belongs to this run, and removed as soon as no other process
//! lives that may need it. If another one lived meanwhile, whoever lets go is asked which contents others refer to; these are put back.
//! A run that dies leaves its generation to the next collection of garbage.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::blob::stat;
use crate::discard::remove;
use crate::layout::Blob;
use crate::live::{Own, Running};
use crate::trash::Generation;
use crate::{Artifact, Cache, CacheError, Digest, Form};

/// The blobs that this process made, noted from when somebody wants to let some go.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Captured from what steps wrote, and not there before.
    captured: HashSet<Blob>,
    /// Kept for the engine's own purposes too.
    kept: HashSet<Blob>,
}

/// Lets contents go.
#[derive(Debug)]
pub struct Release {
    cache: Cache,
    own: Own,
    /// Whether nobody else lived when this one came, and how often places had been taken.
    alone: bool,
    starts: u64,
    /// How many artifacts that are wanted need a blob.
    wanted: HashMap<Blob, u64>,
    /// What was let go of in this process.
    gone: HashSet<Blob>,
    generation: Option<Generation>,
    /// Taken out and not removed yet.
    pending: BTreeMap<Blob, u64>,
}

impl Cache {
    /// Begins to note what this process makes, so that it can be let go.
    ///
    /// # Errors
    /// If it cannot be told who else uses the store.
    pub fn release(&self, running: &Running) -> Result<Release, CacheError> {
        self.inner.made.get_or_init(Mutex::default);
        let alive = self.alive()?;
        Ok(Release {
            cache: self.clone(),
            own: running.own.clone(),
            alone: alive.lives.iter().all(|life| running.own.is(life)),
            starts: alive.starts,
            wanted: HashMap::new(),
            gone: HashSet::new(),
            generation: None,
            pending: BTreeMap::new(),
        })
    }

    /// Notes blobs that were captured and not there before.
    pub(crate) fn note_captured(&self, blobs: impl Iterator<Item = Blob>) {
        if let Some(made) = self.inner.made.get() {
            made.lock().unwrap_or_else(PoisonError::into_inner).captured.extend(blobs);
        }
    }

    /// Notes a blob that is kept whatever becomes of the outputs of steps.
    pub(crate) fn note_kept(&self, blob: Blob) {
        if let Some(made) = self.inner.made.get() {
            made.lock().unwrap_or_else(PoisonError::into_inner).kept.insert(blob);
        }
    }

    /// Whether this process made a blob, and keeps it for nothing else.
    fn may_go(&self, blob: Blob) -> bool {
        self.inner.made.get().is_some_and(|made| {
            let made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.captured.contains(&blob) && !made.kept.contains(&blob) && !made.kept.contains(&blob.twin())
        })
    }
}

impl Release {
    /// An artifact is wanted: what it needs stays until it is let go as often.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn want(&mut self, artifact: &Artifact) -> Result<(), CacheError> {
        for blob in self.blobs(artifact)? {
            *self.wanted.entry(blob).or_default() += 1;
        }
        Ok(())
    }

    /// Whether something that an artifact needs was let go before it was wanted.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn is_gone(&self, artifact: &Artifact) -> Result<bool, CacheError> {
        if self.gone.is_empty() {
            return Ok(false);
        }
        let may_be_gone = self.blobs(artifact)?.iter().any(|blob| self.gone.contains(blob));
        Ok(may_be_gone && !self.cache.available(artifact)?)
    }

    /// An artifact that was wanted is known by another name now, and nothing goes.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn want_no_more(&mut self, artifact: &Artifact) -> Result<(), CacheError> {
        for blob in self.blobs(artifact)? {
            if let Some(count) = self.wanted.get_mut(&blob) {
                *count = count.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// An artifact is wanted no more: whether bytes of it go. The manifest of a folder stays.
    ///
    /// # Errors
    /// If a blob cannot be moved.
    pub fn let_go(&mut self, artifact: &Artifact) -> Result<bool, CacheError> {
        let mut any = false;
        for blob in self.blobs(artifact)? {
            let Some(count) = self.wanted.get_mut(&blob) else { continue };
            *count = count.saturating_sub(1);
            if *count > 0 {
                continue;
            }
            self.wanted.remove(&blob);
            if self.cache.may_go(blob) && !self.wanted.contains_key(&blob.twin()) {
                any |= self.take_out(blob)?;
            }
        }
        Ok(any)
    }

    /// Removes what was let go, unless another process lives that may need it. Where another one lived since this began, it is
    /// asked which contents are referred to elsewhere; if that cannot be told, nothing is removed.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove(&mut self, elsewhere: impl FnOnce() -> Option<Vec<Artifact>>) -> Result<(), CacheError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Who comes after this has found nothing of it in its place.
        let alive = self.cache.alive()?;
        if alive.lives.iter().any(|life| !self.own.is(life)) {
            self.alone = false;
            return Ok(());
        }
        let mut needed = HashSet::new();
        if !self.alone || alive.starts != self.starts {
            let Some(artifacts) = elsewhere() else { return Ok(()) };
            for artifact in &artifacts {
                needed.extend(self.blobs(artifact)?.into_iter().map(|blob| blob.digest));
            }
        }
        self.remove_but(&needed)
    }

    fn remove_but(&mut self, needed: &HashSet<Digest>) -> Result<(), CacheError> {
        let Some(generation) = &self.generation else { return Ok(()) };
        while let Some((blob, _)) = self.pending.pop_first() {
            match needed.contains(&blob.digest) {
                true => self.cache.put_back_from(blob, generation)?,
                false => remove(&generation.blob(blob))?,
            };
        }
        Ok(())
    }

    fn take_out(&mut self, blob: Blob) -> Result<bool, CacheError> {
        let size = stat(&self.cache.inner.layout.object(blob))?.map_or(0, |stamp| stamp.size);
        let generation = match self.generation.take() {
            Some(generation) => generation,
            None => self.cache.new_generation(Some(&self.own))?,
        };
        let generation = self.generation.insert(generation);
        let taken = self.cache.take_out(blob, generation)?;
        if taken {
            self.pending.insert(blob, size);
            self.gone.insert(blob);
        }
        Ok(taken)
    }

    /// The blobs of an artifact that can be let go: its files.
    fn blobs(&self, artifact: &Artifact) -> Result<Vec<Blob>, CacheError> {
        let mut blobs = match self.cache.blobs_of(artifact) {
            Ok(blobs) => blobs,
            // Then nothing of it can be told.
            Err(CacheError::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        if artifact.form == Form::Folder {
            blobs.retain(|blob| blob.digest != artifact.digest);
        }
        Ok(blobs)
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let Some(generation) = &self.generation else { return };
        let closed = match self.pending.is_empty() {
            true => generation.remove_if_empty(),
            // The next collection of garbage sees to it, when all have ended who live now.
            false => self.cache.close(generation, Some(&self.own)).map(drop),
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "what was let go stays in the trash");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;
    use crate::survey::children;
    use crate::{IgnoreRules, Place};

    fn capture(scene: &Scene, name: &str, bytes: &[u8]) -> Artifact {
        let path = scene.write(name, bytes);
        scene.cache.capture(&path, &IgnoreRules::builtin()).unwrap().unwrap()
    }

    fn trash(scene: &Scene) -> usize {
        let trash = children(&scene.cache.inner.layout.trash()).unwrap();
        trash.iter().map(|generation| children(generation).unwrap().len()).sum()
    }

    #[test]
    fn what_nobody_wants_any_more_goes_at_once() {
        let scene = Scene::new();
        let running = scene.cache.running().unwrap();
        let mut release = scene.cache.release(&running).unwrap();
        let (one, same) = (capture(&scene, "one", b"content"), capture(&scene, "two", b"content"));
        assert_eq!(one, same);
        release.want(&one).unwrap();
        release.want(&same).unwrap();
        assert!(!release.let_go(&one).unwrap(), "the other one is wanted");
        assert!(scene.cache.available(&one).unwrap());
        assert!(release.let_go(&same).unwrap());
        release.remove(|| panic!("nobody else was here")).unwrap();
        assert!(!scene.cache.available(&one).unwrap());
        drop(release);
        assert_eq!(children(&scene.cache.inner.layout.trash()).unwrap().len(), 0);
    }

    #[test]
    fn what_was_there_before_or_serves_another_purpose_stays() {
        let scene = Scene::new();
        let running = scene.cache.running().unwrap();
        let before = capture(&scene, "before", b"before");
        let mut release = scene.cache.release(&running).unwrap();
        let again = capture(&scene, "again", b"before");
        let logged = capture(&scene, "logged", b"");
        scene.cache.put(b"").unwrap();
        for artifact in [&again, &logged] {
            release.want(artifact).unwrap();
            assert!(!release.let_go(artifact).unwrap());
            assert!(scene.cache.available(artifact).unwrap());
        }
        assert_eq!(before, again);
    }

    #[test]
    fn the_files_of_a_folder_go_and_what_lay_in_it_stays_known() {
        let scene = Scene::new();
        let running = scene.cache.running().unwrap();
        let mut release = scene.cache.release(&running).unwrap();
        scene.write("tree/a", "a");
        scene.write("tree/b/c", "c");
        let tree = scene.cache.capture(&scene.path("tree"), &IgnoreRules::builtin()).unwrap().unwrap();
        let shared = capture(&scene, "a", b"a");
        release.want(&tree).unwrap();
        release.want(&shared).unwrap();
        assert!(release.let_go(&tree).unwrap());
        release.remove(|| None).unwrap();
        assert!(!scene.cache.available(&tree).unwrap());
        assert!(scene.cache.available(&shared).unwrap());
        assert_eq!(scene.cache.manifest(&tree).unwrap().entries().len(), 2);
    }

    #[test]
    fn beside_another_process_it_is_set_aside_and_found_again() {
        let scene = Scene::new();
        let running = scene.cache.running().unwrap();
        let mut release = scene.cache.release(&running).unwrap();
        let (wanted, referred, other) = (
            capture(&scene, "1", b"wanted"),
            capture(&scene, "2", b"referred"),
            capture(&scene, "3", b"other"),
        );
        let theirs = scene.another_process();
        let their_run = theirs.running().unwrap();
        for artifact in [&wanted, &referred, &other] {
            release.want(artifact).unwrap();
            assert!(release.let_go(artifact).unwrap());
        }
        release.remove(|| panic!("it lives")).unwrap();
        theirs.place(&wanted, &scene.path("placed"), Place::ReadOnly).unwrap();
        assert!(release.is_gone(&Artifact { ..other.clone() }).is_ok_and(|gone| !gone), "it is put back");
        drop(their_run);
        release.let_go(&other).unwrap();
        release.remove(|| None).unwrap();
        assert!(trash(&scene) > 1, "it could not be told what they refer to");
        release.remove(|| Some(vec![referred.clone()])).unwrap();
        assert!(scene.cache.available(&wanted).unwrap() && scene.cache.available(&referred).unwrap());
        assert_eq!(trash(&scene), 1, "only the owner's name is left");
    }

    #[test]
    fn what_a_run_that_died_let_go_is_left_to_the_next_collection() {
        let scene = Scene::new();
        let artifact;
        {
            let theirs = scene.another_process();
            let running = theirs.running().unwrap();
            let mut release = theirs.release(&running).unwrap();
            let path = scene.write("out", "out");
            artifact = theirs.capture(&path, &IgnoreRules::builtin()).unwrap().unwrap();
            release.want(&artifact).unwrap();
            release.let_go(&artifact).unwrap();
            let plan = scene.cache.gc_plan(&crate::Roots::default()).unwrap();
            scene.cache.gc(&plan).unwrap();
            assert_eq!(trash(&scene), 2, "a living run's own business");
            // It dies: nothing is dropped in order.
            std::mem::forget(release);
        }
        assert!(scene.cache.available(&artifact).unwrap(), "whoever misses it finds it");
        for _ in 0..2 {
            scene.cache.gc(&scene.cache.gc_plan(&crate::Roots::default()).unwrap()).unwrap();
        }
        assert_eq!(children(&scene.cache.inner.layout.trash()).unwrap().len(), 0);
    }
}
