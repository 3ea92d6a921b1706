//! Condemned results: taken out of sight by a collection of garbage, and not removed yet.
//!
//! A condemned result has a name that says so, in the folder of its key. Whoever asks for a result lists that folder anyway, and gives a
//! condemned one its name back, with its contents. So only those are removed that nobody asked for.

use std::fs;
use std::io;

use camino::Utf8PathBuf;

use crate::discard::remove;
use crate::parts::rename_to_free;
use crate::records::{QUARANTINED, decode_result, name, read_if_there};
use crate::trash::is_generation;
use crate::{ActionResult, Cache, CacheError, Key};

/// What stands behind the number of a condemned result, before the name of the generation.
const CONDEMNED: &str = ".condemned-";

impl Cache {
    /// A result that is condemned, as it lies there.
    pub(crate) fn condemned(
        &self,
        key: &Key,
        number: u64,
        generation: &str,
    ) -> Result<Option<ActionResult>, CacheError> {
        let bytes = read_if_there(&self.condemned_path(key, number, generation))?;
        Ok(bytes.and_then(|bytes| decode_result(key, number, &bytes)))
    }

    /// Takes a result out of sight of those who do not ask for it.
    pub(crate) fn condemn_result(&self, key: &Key, number: u64, generation: &str) -> Result<(), CacheError> {
        let (from, to) = (self.result_path(key, number), self.condemned_path(key, number, generation));
        let folder = self.inner.layout.results_of(key);
        let renamed = fs::create_dir_all(&folder).and_then(|()| fs::rename(&from, &to));
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Earlier versions kept the first one with the others.
                match fs::rename(folder.join(name(number)), &to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(CacheError::io("move", &from)(error))
                    }
                    _ => Ok(()),
                }
            }
            renamed => renamed.map_err(CacheError::io("move", &from)),
        }
    }

    /// Gives a condemned result its name back. Its contents come first, so that none is removed while it counts.
    pub(crate) fn spare_result(&self, key: &Key, number: u64, generation: &str) -> Result<(), CacheError> {
        let from = self.condemned_path(key, number, generation);
        if let Some(result) = self.condemned(key, number, generation)? {
            for artifact in result.artifacts() {
                self.available(artifact)?;
            }
        }
        let to = self.result_path(key, number);
        match rename_to_free(&from, &to) {
            // Somebody else did it, or it was removed just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A file system that cannot rename to a free name: what is there is the same record.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                fs::rename(&from, &to).map_err(CacheError::io("move", &from))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove(&from).map(drop),
            renamed => renamed.map_err(CacheError::io("move", &from)),
        }
    }

    /// Removes a result that is condemned, and the folder of its key if nothing of it is left.
    pub(crate) fn remove_condemned(
        &self,
        key: &Key,
        number: u64,
        generation: &str,
    ) -> Result<bool, CacheError> {
        let removed = remove(&self.condemned_path(key, number, generation))?;
        let numbers = self.numbers(key)?;
        let folder = self.inner.layout.results_of(key);
        if numbers.results.is_empty() && numbers.condemned.is_empty() {
            for number in numbers.quarantined {
                remove(&folder.join(format!("{}{QUARANTINED}", name(number))))?;
            }
        }
        // It stays if somebody puts something there just now.
        drop(fs::remove_dir(folder));
        Ok(removed)
    }

    pub(crate) fn condemned_path(&self, key: &Key, number: u64, generation: &str) -> Utf8PathBuf {
        self.inner.layout.results_of(key).join(format!("{}{CONDEMNED}{generation}", name(number)))
    }
}

/// Whether this is the name of something condemned.
pub(crate) fn is_condemned(name: &str) -> bool {
    name.contains(CONDEMNED)
}

/// The number and the generation of such a name.
pub(crate) fn parse_condemned(name: &str) -> Option<(u64, String)> {
    let (number, generation) = name.split_once(CONDEMNED)?;
    Some((number.parse().ok()?, generation.to_owned())).filter(|_| is_generation(generation))
}
