//! An append-only log of small numbered records: a model's versions, an alias's moves, an effect's successes.
//!
//! On disk it is a folder of files `00000001.json`, `00000002.json` …, each written under a temporary name, synced, and
//! then linked to its number exclusively: who loses the race for a number is told so. A reader never sees a partial entry.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Serialize, de::DeserializeOwned};

use crate::record;

/// An append-only log in a folder. Cheap to make; nothing is created until the first entry.
#[derive(Debug, Clone)]
pub struct Log {
    folder: Utf8PathBuf,
}

/// A log that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process wrote this number first.
    #[error("entry {number} of {folder} was written by someone else in the meantime")]
    Taken {
        /// The log's folder.
        folder: Utf8PathBuf,
        /// The number.
        number: u64,
    },
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry does not hold what it should.
    #[error("{path} is damaged")]
    Damaged {
        /// The entry's file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Log {
    /// The log in this folder.
    #[must_use]
    pub fn at(folder: impl Into<Utf8PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// The number of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn last_number(&self) -> Result<u64, LogError> {
        Ok(self.numbers()?.last().copied().unwrap_or(0))
    }

    /// The newest entry and its number.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last<T: DeserializeOwned>(&self) -> Result<Option<(u64, T)>, LogError> {
        match self.last_number()? {
            0 => Ok(None),
            number => Ok(Some((number, self.read(number)?))),
        }
    }

    /// All entries, oldest first, with their numbers.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn entries<T: DeserializeOwned>(&self) -> Result<Vec<(u64, T)>, LogError> {
        self.numbers()?.into_iter().map(|number| Ok((number, self.read(number)?))).collect()
    }

    /// One entry.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn read<T: DeserializeOwned>(&self, number: u64) -> Result<T, LogError> {
        let path = self.path(number);
        let bytes = fs::read(&path).map_err(|source| LogError::Io { path: path.clone(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| LogError::Damaged { path, source })
    }

    /// Writes entry `number` durably, if nobody has.
    ///
    /// # Errors
    /// [`LogError::Taken`] if the number exists already.
    pub fn create<T: Serialize>(&self, number: u64, entry: &T) -> Result<(), LogError> {
        let path = self.path(number);
        let mut bytes = serde_json::to_vec_pretty(entry)
            .map_err(|source| LogError::Damaged { path: path.clone(), source })?;
        bytes.push(b'\n');
        match record::create(&path, &bytes) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LogError::Taken { folder: self.folder.clone(), number }),
            Err(source) => Err(LogError::Io { path, source }),
        }
    }

    /// Writes the next entry, whatever others write meanwhile, and returns its number.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn append<T: Serialize>(&self, entry: &T) -> Result<u64, LogError> {
        loop {
            let number = self.last_number()? + 1;
            match self.create(number, entry) {
                Err(LogError::Taken { .. }) => {}
                other => return other.map(|()| number),
            }
        }
    }

    fn path(&self, number: u64) -> Utf8PathBuf {
        self.folder.join(format!("{number:08}.json"))
    }

    fn numbers(&self) -> Result<Vec<u64>, LogError> {
        let io = |source| LogError::Io { path: self.folder.clone(), source };
        let listing = match self.folder.read_dir_utf8() {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut numbers = Vec::new();
        for entry in listing {
            let entry = entry.map_err(io)?;
            if let Some(number) = entry.file_name().strip_suffix(".json").and_then(|text| text.parse().ok()) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::at(Utf8Path::from_path(folder.path()).unwrap().join("log"));
        assert_eq!(log.last::<String>().unwrap(), None);
        assert_eq!(log.append(&"one").unwrap(), 1);
        assert_eq!(log.append(&"two").unwrap(), 2);
        assert!(matches!(log.create(2, &"again"), Err(LogError::Taken { number: 2, .. })));
        assert_eq!(log.entries::<String>().unwrap(), [(1, "one".to_owned()), (2, "two".to_owned())]);
    }
}
