//! Verification: every blob is read again and every record looked at, whatever the index says.

use std::fs::{self, File};
use std::io;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::blob::each;
use crate::discard::remove;
use crate::layout::Blob;
use crate::records::{decode_recipe, read_if_there};
use crate::{Cache, CacheError, Key, hash};

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many blobs were read.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many recipes were looked at.
    pub recipes: u64,
    /// How many action results.
    pub results: u64,
    /// What was not as it should be, and has been removed, so that it is made again when it is needed.
    pub damaged: Vec<Damage>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub path: Utf8PathBuf,
    /// What it should have been.
    pub what: Damaged,
}

/// What a damaged file should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damaged {
    /// Content of an artifact.
    Object,
    /// A recipe.
    Recipe,
    /// An action result.
    Result,
}

/// Far longer than a record takes to be written.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(20);

impl Cache {
    /// Reads every blob and every record, and removes what is damaged.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn verify(&self) -> Result<VerifyReport, CacheError> {
        let survey = self.survey()?;
        let mut report = VerifyReport {
            objects: survey.objects.len() as u64,
            bytes: survey.objects.iter().map(|(_, size)| size).sum(),
            recipes: survey.recipes.len() as u64,
            ..VerifyReport::default()
        };
        let mut damaged: Vec<Damage> = Vec::new();
        damaged.extend(each(&survey.objects, |(blob, _)| self.check_object(*blob))?.into_iter().flatten());
        let mut results = Vec::new();
        for key in &survey.results {
            results.extend(self.numbers(key)?.results.into_iter().map(|number| (*key, number)));
        }
        report.results = results.len() as u64;
        damaged.extend(self.damaged_records(survey.recipes, results)?);
        for damage in &damaged {
            remove(&damage.path)?;
        }
        report.damaged = damaged;
        Ok(report)
    }

    fn check_object(&self, blob: Blob) -> Result<Option<Damage>, CacheError> {
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
        Ok(Some(Damage { path, what: Damaged::Object }))
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
        let recipes = recipes.iter().map(|key| (self.inner.layout.recipe(key), Damaged::Recipe));
        let results = results.iter().map(|(key, number)| (self.result_path(key, *number), Damaged::Result));
        Ok(recipes.chain(results).map(|(path, what)| Damage { path, what }).collect())
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
        let report = scene.cache.verify().unwrap();
        let counts = (report.objects, report.bytes, report.recipes, report.results);
        assert_eq!((counts, report.damaged.len()), ((2, 11, 1, 2), 0));

        tamper(&scene.cache.inner.layout.object(Blob { digest: spoilt.digest, executable: false }));
        tamper(&scene.cache.inner.layout.recipe(&key));
        tamper(&scene.cache.result_path(&key, 2));
        let what: Vec<Damaged> =
            scene.cache.verify().unwrap().damaged.iter().map(|damage| damage.what).collect();
        assert_eq!(what, [Damaged::Object, Damaged::Recipe, Damaged::Result]);
        assert_eq!(scene.cache.verify().unwrap().damaged, []);

        assert_eq!(scene.cache.result(&key).unwrap().unwrap().number, 1);
        let placed = scene.cache.place(&spoilt, &scene.path("out"), Place::ReadOnly);
        assert!(matches!(placed, Err(CacheError::Missing { .. })));
        assert!(scene.cache.available(&sound).unwrap());
        assert_eq!(scene.cache.put(b"spoilt").unwrap(), spoilt);
        scene.cache.place(&spoilt, &scene.path("out"), Place::ReadOnly).unwrap();
    }
}
