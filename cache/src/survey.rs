//! What lies in a store: every object, recipe and result, and what was left behind by a process that died.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::layout::{Blob, key_of_record};
use crate::record::TEMPORARY;
use crate::{Cache, CacheError, Key};

/// What lies in a store.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) objects: Vec<(Blob, u64)>,
    /// The keys that have recipes: on their own, or with a result.
    pub(crate) recipes: Vec<Key>,
    /// The keys that have results.
    pub(crate) results: Vec<Key>,
    /// Names that mean nothing: unfinished records.
    pub(crate) strays: Vec<Utf8PathBuf>,
}

/// How much a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// How many blobs.
    pub objects: u64,
    /// Bytes in all blobs.
    pub bytes: u64,
    /// How many recipes.
    pub recipes: u64,
    /// How many action results.
    pub results: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
}

impl Cache {
    /// Counts what the cache holds.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn stats(&self) -> Result<CacheStats, CacheError> {
        let survey = self.survey()?;
        let mut results = 0;
        for key in &survey.results {
            results += self.numbers(key)?.results.len() as u64;
        }
        Ok(CacheStats {
            objects: survey.objects.len() as u64,
            bytes: survey.objects.iter().map(|(_, size)| size).sum(),
            recipes: survey.recipes.len() as u64,
            results,
            index_bytes: fs::metadata(self.inner.layout.index()).map_or(0, |metadata| metadata.len()),
        })
    }

    /// The keys that have results, also if none of them counts, in order.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn keys_with_results(&self) -> Result<Vec<Key>, CacheError> {
        let paths = grandchildren(&self.inner.layout.results())?;
        let mut keys: Vec<Key> = paths.iter().filter_map(|path| key_of_record(path.file_name()?)).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    pub(crate) fn survey(&self) -> Result<Survey, CacheError> {
        let layout = &self.inner.layout;
        let mut survey = Survey::default();
        for path in grandchildren(&layout.objects())? {
            match path.file_name().and_then(Blob::parse) {
                Some(blob) => {
                    let size = fs::symlink_metadata(&path).map_or(0, |facts| facts.len());
                    survey.objects.push((blob, size));
                }
                None => survey.strays.push(path),
            }
        }
        for path in grandchildren(&layout.recipes())? {
            match path.file_name().and_then(|name| name.parse().ok()) {
                Some(key) => survey.recipes.push(key),
                None => survey.strays.push(path),
            }
        }
        for path in grandchildren(&layout.results())? {
            match path.file_name().and_then(key_of_record) {
                Some(key) => {
                    survey.results.push(key);
                    let unfinished =
                        |path: &Utf8PathBuf| path.file_name().is_some_and(|name| name.starts_with(TEMPORARY));
                    if path.is_dir() {
                        survey.strays.extend(children(&path)?.into_iter().filter(unfinished));
                    }
                }
                None => survey.strays.push(path),
            }
        }
        survey.strays.extend(children(&layout.temporary())?);
        survey.objects.sort_unstable();
        survey.recipes.extend(&survey.results);
        for keys in [&mut survey.recipes, &mut survey.results] {
            keys.sort_unstable();
            keys.dedup();
        }
        survey.strays.sort_unstable();
        Ok(survey)
    }
}

pub(crate) fn grandchildren(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, CacheError> {
    let mut found = Vec::new();
    for shard in children(folder)? {
        if shard.is_dir() {
            found.extend(children(&shard)?);
        } else {
            found.push(shard);
        }
    }
    Ok(found)
}

pub(crate) fn children(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, CacheError> {
    match folder.read_dir_utf8() {
        Ok(listing) => {
            let path = |entry: io::Result<camino::Utf8DirEntry>| entry.map(camino::Utf8DirEntry::into_path);
            listing.map(path).collect::<Result<_, _>>().map_err(CacheError::io("list", folder))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CacheError::io("list", folder)(error)),
    }
}
