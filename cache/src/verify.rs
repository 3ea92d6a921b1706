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
        damaged.extend(each(&survey.recipes, |key| self.check_recipe(key))?.into_iter().flatten());
        for key in &survey.results {
            for number in self.numbers(key)?.results {
                report.results += 1;
                if self.numbered(key, number)?.is_none() {
                    let path = self.result_path(key, number);
                    damaged.push(Damage { path, what: Damaged::Result });
                }
            }
        }
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
            let read = File::open(&path)
                .and_then(|file| hash::of_blob(&file))
                .map_err(CacheError::io("read", &path))?;
            if read.is_some_and(|(digest, _)| digest == blob.digest) {
                return Ok(None);
            }
        }
        Ok(Some(Damage { path, what: Damaged::Object }))
    }

    fn check_recipe(&self, key: &Key) -> Result<Option<Damage>, CacheError> {
        let path = self.inner.layout.recipe(key);
        let is_damaged = read_if_there(&path)?.is_some_and(|bytes| decode_recipe(key, &bytes).is_none());
        Ok(is_damaged.then_some(Damage { path, what: Damaged::Recipe }))
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
        let key = scene.cache.put_recipe(&Document::Int(1)).unwrap();
        scene.cache.publish(&key, new_result(0, sound.clone())).unwrap();
        scene.cache.publish(&key, new_result(1, spoilt.clone())).unwrap();
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
