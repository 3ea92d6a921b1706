//! Garbage collection: what nothing refers to any more, first as a plan, then removed.
//!
//! A plan is good until the next run starts: a run may come to need what the plan would remove. Results go before
//! recipes, and recipes before blobs, so that whatever interrupts it leaves no result behind whose blobs it took.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Serialize;

use crate::discard::remove;
use crate::layout::Blob;
use crate::lease::Quiet;
use crate::manifest::blobs;
use crate::{ActionResult, Artifact, Cache, CacheError, Digest, Form, Key, Manifest};

/// What must stay.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// Keys whose recipe, results and current artifacts stay.
    pub keys: Vec<Key>,
    /// Contents that stay; of a folder, all that is in it.
    pub digests: Vec<Digest>,
    /// Results that ended since then stay, with all that they refer to.
    pub keep_since: Option<SystemTime>,
}

/// What a garbage collection would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GcPlan {
    /// Keys whose results would go.
    pub results: Vec<Key>,
    /// Keys whose recipe would go.
    pub recipes: Vec<Key>,
    /// Blobs that would go.
    pub objects: Vec<PlannedObject>,
    /// Copies of inputs that would go: no recipe that stays names them.
    pub inputs: Vec<Utf8PathBuf>,
    /// What dead processes left behind.
    pub leftovers: Vec<Utf8PathBuf>,
    /// Bytes in the blobs and copies that would go.
    pub bytes: u64,
    /// How many blobs would stay.
    pub kept: u64,
    /// How many runs there had been; none if one was going on.
    #[serde(skip)]
    generation: Option<u64>,
}

/// A blob that would be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedObject {
    /// Its digest.
    pub digest: Digest,
    /// Whether it is the one with the executable bit.
    pub executable: bool,
    /// Its bytes.
    pub size: u64,
}

/// What a garbage collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// How many keys lost their results.
    pub results: u64,
    /// How many recipes.
    pub recipes: u64,
    /// How many blobs.
    pub objects: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Cache {
    /// What a garbage collection would remove if only `roots` must stay.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn gc_plan(&self, roots: &Roots) -> Result<GcPlan, CacheError> {
        let generation = match Quiet::now(&self.inner.layout.running()) {
            Ok(quiet) => Some(quiet.generation),
            Err(CacheError::Busy) => None,
            Err(error) => return Err(error),
        };
        let survey = self.survey()?;
        let rooted: BTreeSet<Key> = roots.keys.iter().copied().collect();
        let since = roots.keep_since.and_then(|since| Timestamp::try_from(since).ok());
        let mut reached = Reached::new(self);
        for digest in &roots.digests {
            reached.content(*digest)?;
        }
        let mut kept_keys = rooted.clone();
        for key in &survey.results {
            for (place, result) in self.results(key)?.iter().enumerate() {
                let is_young = since.is_some_and(|since| result.finished >= since);
                if is_young || (place == 0 && rooted.contains(key)) {
                    kept_keys.insert(*key);
                    reached.result(result)?;
                }
            }
        }
        let (kept, lost): (Vec<_>, Vec<_>) =
            survey.objects.into_iter().partition(|(blob, _)| reached.digests.contains(&blob.digest));
        let mut recipes = Vec::new();
        for key in &kept_keys {
            recipes.extend(self.recipe(key)?);
        }
        let inputs = self.unnamed_copies(&recipes)?;
        let unkept = |keys: Vec<Key>| keys.into_iter().filter(|key| !kept_keys.contains(key)).collect();
        Ok(GcPlan {
            results: unkept(survey.results),
            recipes: unkept(survey.recipes),
            bytes: lost.iter().map(|(_, size)| size).chain(inputs.iter().map(|(_, size)| size)).sum(),
            inputs: inputs.into_iter().map(|(path, _)| path).collect(),
            objects: lost.into_iter().map(|(blob, size)| PlannedObject::new(blob, size)).collect(),
            leftovers: survey.strays,
            kept: kept.len() as u64,
            generation,
        })
    }

    /// Removes what a plan says.
    ///
    /// # Errors
    /// [`CacheError::Busy`] if a run is going on or one has started since the plan was made.
    pub fn gc(&self, plan: &GcPlan) -> Result<GcReport, CacheError> {
        let layout = &self.inner.layout;
        let quiet = Quiet::now(&layout.running())?;
        if plan.generation != Some(quiet.generation) {
            return Err(CacheError::Busy);
        }
        let mut report = GcReport::default();
        self.forget_changes()?;
        for key in &plan.results {
            report.results += u64::from(self.remove_results(key)?);
        }
        self.inner.index.forget_results(&plan.results);
        for key in &plan.recipes {
            let went_with_its_result = plan.results.binary_search(key).is_ok();
            report.recipes += u64::from(remove(&layout.recipe(key))? || went_with_its_result);
        }
        for object in &plan.objects {
            let blob = Blob { digest: object.digest, executable: object.executable };
            if remove(&layout.object(blob))? {
                report.objects += 1;
                report.bytes += object.size;
            }
        }
        for path in &plan.inputs {
            let size = std::fs::symlink_metadata(path).map_or(0, |facts| facts.len());
            if remove(path)? {
                report.bytes += size;
            }
        }
        for leftover in &plan.leftovers {
            remove(leftover)?;
        }
        self.remove_free_leases()?;
        Ok(report)
    }

    /// Removes the files of leases whose holders died.
    fn remove_free_leases(&self) -> Result<(), CacheError> {
        let folder = self.inner.layout.leases();
        let Ok(listing) = folder.read_dir_utf8() else { return Ok(()) };
        for entry in listing {
            let entry = entry.map_err(CacheError::io("list", &folder))?;
            if let Ok(key) = entry.file_name().parse() {
                // A lease that is dropped removes its file.
                drop(self.try_lease(&key)?);
            }
        }
        Ok(())
    }
}

impl PlannedObject {
    fn new(blob: Blob, size: u64) -> Self {
        Self { digest: blob.digest, executable: blob.executable, size }
    }
}

/// The contents that something refers to.
struct Reached<'a> {
    cache: &'a Cache,
    digests: HashSet<Digest>,
}

impl<'a> Reached<'a> {
    fn new(cache: &'a Cache) -> Self {
        Self { cache, digests: HashSet::new() }
    }

    fn result(&mut self, result: &ActionResult) -> Result<(), CacheError> {
        result.artifacts().try_for_each(|artifact| self.artifact(artifact))
    }

    fn artifact(&mut self, artifact: &Artifact) -> Result<(), CacheError> {
        if artifact.form == Form::Folder {
            return self.content(artifact.digest);
        }
        self.digests.insert(artifact.digest);
        Ok(())
    }

    /// Content of unknown form: if it can be a manifest, what it lists stays too.
    fn content(&mut self, digest: Digest) -> Result<(), CacheError> {
        self.digests.insert(digest);
        for executable in [false, true] {
            let path = self.cache.inner.layout.object(Blob { digest, executable });
            if let Some(manifest) = read_manifest(&path).map_err(CacheError::io("read", &path))? {
                self.digests.extend(blobs(&manifest).into_keys().map(|blob| blob.digest));
            }
        }
        Ok(())
    }
}

/// The manifest in this file, if it is one; of other files only the beginning is read.
fn read_manifest(path: &Utf8Path) -> io::Result<Option<Manifest>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.by_ref().take(Manifest::OPENING_LENGTH as u64).read_to_end(&mut bytes)?;
    if !Manifest::may_begin(&bytes) {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(Manifest::decode(&bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::records::tests::new_result;
    use crate::scene::Scene;
    use crate::{Document, IgnoreRules};

    fn recipe(number: i64) -> Vec<u8> {
        Document::Int(number).encode().unwrap()
    }

    /// A folder artifact whose files are these numbers.
    fn folder(scene: &Scene, numbers: &[u8]) -> Artifact {
        scene.write("folder/always", "always");
        for number in numbers {
            scene.write(&format!("folder/{number}"), [*number]);
        }
        scene.cache.capture(&scene.path("folder"), &IgnoreRules::builtin()).unwrap().unwrap()
    }

    #[test]
    fn young_results_stay_with_their_blobs() {
        let scene = Scene::new();
        let recipes = [recipe(1), recipe(2)];
        let keys = recipes.each_ref().map(|recipe| Key::of_recipe(recipe));
        let mut artifacts = Vec::new();
        for (recipe, age) in recipes.iter().zip([100, 10]) {
            let artifact = scene.cache.put(&[age]).unwrap();
            let finished = Timestamp::now() - Duration::from_secs(u64::from(age));
            scene
                .cache
                .publish(recipe, crate::NewResult { finished, ..new_result(0, artifact.clone()) })
                .unwrap();
            artifacts.push(artifact);
        }
        let keep_since = SystemTime::now().checked_sub(Duration::from_secs(50));
        let plan = scene.cache.gc_plan(&Roots { keep_since, ..Roots::default() }).unwrap();
        assert_eq!(
            (plan.results.as_slice(), plan.recipes.as_slice(), plan.bytes),
            (&keys[..1], &keys[..1], 1)
        );
        let report = scene.cache.gc(&plan).unwrap();
        assert_eq!(report, GcReport { results: 1, recipes: 1, objects: 1, bytes: 1 });
        assert!(!scene.cache.available(&artifacts[0]).unwrap());
        assert!(scene.cache.available(&artifacts[1]).unwrap());
        assert_eq!(scene.cache.recipe(&keys[0]).unwrap(), None);
        assert!(scene.cache.result(&keys[1]).unwrap().is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_is_reachable_is_never_removed(
            steps in prop::collection::vec((prop::collection::vec(0..20_u8, 0..4), any::<bool>(), any::<bool>()), 1..6)
        ) {
            let scene = Scene::new();
            let mut roots = Roots::default();
            let mut reachable = Vec::new();
            for (index, (files, by_key, by_digest)) in steps.iter().enumerate() {
                let recipe = recipe(i64::try_from(index).unwrap());
                let key = Key::of_recipe(&recipe);
                let artifact = folder(&scene, files);
                scene.cache.publish(&recipe, new_result(0, artifact.clone())).unwrap();
                if *by_key {
                    roots.keys.push(key);
                }
                if *by_digest {
                    roots.digests.push(artifact.digest);
                }
                if *by_key || *by_digest {
                    reachable.push(artifact);
                }
            }
            let plan = scene.cache.gc_plan(&roots).unwrap();
            scene.cache.gc(&plan).unwrap();
            for artifact in &reachable {
                prop_assert!(scene.cache.available(artifact).unwrap());
            }
            for key in &roots.keys {
                prop_assert!(scene.cache.result(key).unwrap().is_some());
                prop_assert!(scene.cache.recipe(key).unwrap().is_some());
            }
            let again = scene.cache.gc_plan(&roots).unwrap();
            prop_assert!(again.results.is_empty() && again.recipes.is_empty() && again.objects.is_empty());
            prop_assert_eq!(reachable.is_empty(), scene.cache.stats().unwrap().objects == 0);
        }
    }
}
