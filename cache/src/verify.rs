//! Verification: blobs are read again and every record is looked at, whatever the index says. What is damaged is removed, or made
//! good again where that is wanted.

use std::fs::{self, File};
use std::io;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::blob::each;
use crate::discard::remove;
use crate::layout::Blob;
use crate::records::{decode_recipe, read_if_there};
use crate::repair::{Remedy, Source};
use crate::sample::Sample;
use crate::{Cache, CacheError, Digest, Key, hash};

/// Where a content may be had that is damaged here.
pub type Remedies<'a> = dyn Fn(&Digest) -> Vec<Source> + Sync + 'a;

/// What is verified, and what becomes of what is damaged.
#[derive(Clone, Copy, Default)]
pub struct Verification<'a> {
    /// Which blobs are read; all without one. Records are small: all of them are looked at.
    pub sample: Option<Sample>,
    /// Where the content of a digest may lie, if what is damaged is to be made good again.
    pub repair: Option<&'a Remedies<'a>>,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many blobs were read.
    pub objects: u64,
    /// Of how many.
    pub of_objects: u64,
    /// What decided which, if not all were.
    pub seed: Option<u64>,
    /// How many bytes.
    pub bytes: u64,
    /// How many recipes were looked at.
    pub recipes: u64,
    /// How many action results.
    pub results: u64,
    /// What was not as it should be, each thing once. It has been removed, so that it is made again when it is needed, or repaired.
    pub damaged: Vec<Damage>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub path: Utf8PathBuf,
    /// What it should have been.
    #[serde(flatten)]
    pub what: Damaged,
    /// Where its content came from, if it was made good again.
    pub repaired: Option<Remedy>,
}

/// What a damaged file should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Damaged {
    /// Content of an artifact.
    Object {
        /// The content.
        digest: Digest,
    },
    /// A recipe.
    Recipe {
        /// Its key.
        key: Key,
    },
    /// An action result.
    Result {
        /// Its key.
        key: Key,
    },
}

/// Far longer than a record takes to be written.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(20);

impl Cache {
    /// Reads blobs and all records, removes what is damaged, and makes it good again if that is wanted.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn verify(&self, verification: &Verification<'_>) -> Result<VerifyReport, CacheError> {
        let survey = self.survey()?;
        let of_objects = survey.objects.len() as u64;
        let objects = match &verification.sample {
            Some(sample) => sample.take(survey.objects),
            None => survey.objects,
        };
        let mut report = VerifyReport {
            objects: objects.len() as u64,
            of_objects,
            seed: verification.sample.map(|sample| sample.seed),
            bytes: objects.iter().map(|(_, size)| size).sum(),
            recipes: survey.recipes.len() as u64,
            ..VerifyReport::default()
        };
        let blobs: Vec<Blob> =
            each(&objects, |(blob, _)| self.check_object(*blob))?.into_iter().flatten().collect();
        let damage = |blob: &Blob| Damage {
            path: self.inner.layout.object(*blob),
            what: Damaged::Object { digest: blob.digest },
            repaired: None,
        };
        let mut damaged: Vec<Damage> = blobs.iter().map(damage).collect();
        let mut results = Vec::new();
        for key in &survey.results {
            results.extend(self.numbers(key)?.results.into_iter().map(|number| (*key, number)));
        }
        report.results = results.len() as u64;
        damaged.extend(self.damaged_records(survey.recipes, results)?);
        for damage in &damaged {
            remove(&damage.path)?;
        }
        if let Some(sources) = verification.repair {
            // They are the first of what is damaged.
            for (blob, damage) in blobs.into_iter().zip(&mut damaged) {
                damage.repaired = self.mend(blob, sources)?;
            }
        }
        report.damaged = damaged;
        Ok(report)
    }

    /// The blob, if it is damaged.
    fn check_object(&self, blob: Blob) -> Result<Option<Blob>, CacheError> {
        let path = self.inner.layout.object(blob);
        let is_file = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.is_file(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        if is_file {
            let read = match File::open(&path).and_then(|file| hash::of_blob(&file)) {
                // A collection of garbage took it out.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                read => read.map_err(CacheError::io("read", &path))?,
            };
            if read.is_some_and(|(digest, _)| digest == blob.digest) {
                return Ok(None);
            }
        }
        Ok(Some(blob))
    }

    /// The records that are damaged for longer than it takes to write one: half of one may be in the making.
    fn damaged_records(
        &self,
        mut recipes: Vec<Key>,
        mut results: Vec<(Key, u64)>,
    ) -> Result<Vec<Damage>, CacheError> {
        let recipe = |key: &Key| -> Result<Option<Key>, CacheError> {
            let bytes = read_if_there(&self.inner.layout.recipe(key))?;
            Ok(bytes.is_some_and(|bytes| decode_recipe(key, &bytes).is_none()).then_some(*key))
        };
        let result = |(key, number): &(Key, u64)| -> Result<Option<(Key, u64)>, CacheError> {
            Ok(self.numbered(key, *number)?.is_none().then_some((*key, *number)))
        };
        for look in 0..2 {
            if look > 0 && !(recipes.is_empty() && results.is_empty()) {
                std::thread::sleep(MOMENT);
            }
            recipes = each(&recipes, recipe)?.into_iter().flatten().collect();
            results = each(&results, result)?.into_iter().flatten().collect();
        }
        let recipes =
            recipes.into_iter().map(|key| (self.inner.layout.recipe(&key), Damaged::Recipe { key }));
        let results = results
            .into_iter()
            .map(|(key, number)| (self.result_path(&key, number), Damaged::Result { key }));
        Ok(recipes.chain(results).map(|(path, what)| Damage { path, what, repaired: None }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::new_result;
    use crate::scene::{Scene, tamper};
    use crate::{Document, Place};

    #[test]
    fn what_is_damaged_is_listed_and_made_again() {
        let scene = Scene::new();
        let sound = scene.cache.put(b"sound").unwrap();
        let spoilt = scene.cache.put(b"spoilt").unwrap();
        let recipe = Document::Int(1).encode().unwrap();
        let key = scene.cache.put_recipe(&recipe).unwrap();
        scene.cache.publish(&recipe, new_result(0, sound.clone())).unwrap();
        scene.cache.publish(&recipe, new_result(1, spoilt.clone())).unwrap();
        let verify = || scene.cache.verify(&Verification::default()).unwrap();
        let report = verify();
        let counts = (report.objects, report.bytes, report.recipes, report.results);
        assert_eq!((counts, report.damaged.len()), ((2, 11, 1, 2), 0));

        tamper(&scene.cache.inner.layout.object(Blob { digest: spoilt.digest, executable: false }));
        tamper(&scene.cache.inner.layout.recipe(&key));
        tamper(&scene.cache.result_path(&key, 2));
        let what: Vec<Damaged> = verify().damaged.iter().map(|damage| damage.what).collect();
        let digest = spoilt.digest;
        assert_eq!(what, [Damaged::Object { digest }, Damaged::Recipe { key }, Damaged::Result { key }]);
        assert_eq!(verify().damaged, [], "each thing is told once");

        assert_eq!(scene.cache.result(&key).unwrap().unwrap().number, 1);
        let placed = scene.cache.place(&spoilt, &scene.path("out"), Place::ReadOnly);
        assert!(matches!(placed, Err(CacheError::Missing { .. })));
        assert!(scene.cache.available(&sound).unwrap());
        assert_eq!(scene.cache.put(b"spoilt").unwrap(), spoilt);
        scene.cache.place(&spoilt, &scene.path("out"), Place::ReadOnly).unwrap();
    }

    #[test]
    fn a_sample_is_of_the_blobs_alone() {
        let scene = Scene::new();
        let artifacts: Vec<_> = (0..20_u8).map(|number| scene.cache.put(&[number]).unwrap()).collect();
        let recipe = Document::Int(1).encode().unwrap();
        let result = scene.cache.publish(&recipe, new_result(0, artifacts[0].clone())).unwrap();
        for artifact in &artifacts {
            tamper(&scene.cache.inner.layout.object(Blob { digest: artifact.digest, executable: false }));
        }
        tamper(&scene.cache.result_path(&result.key, 1));
        let sample = Some(Sample { size: crate::SampleSize::Count(5), seed: 7 });
        let report = scene.cache.verify(&Verification { sample, repair: None }).unwrap();
        assert_eq!((report.objects, report.of_objects, report.seed), (5, 20, Some(7)));
        assert_eq!(report.damaged.len(), 6, "five blobs and the result");
        let report = scene.cache.verify(&Verification::default()).unwrap();
        assert_eq!((report.objects, report.damaged.len()), (15, 15));
    }
}
