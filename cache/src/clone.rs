//! Copying a file without copying its bytes, where the file system can; who could not once is not asked again.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;

/// Between which devices clones do not work.
#[derive(Debug, Default)]
pub(crate) struct Clones {
    refused: Mutex<HashSet<(u64, u64)>>,
}

impl Clones {
    /// Clones `from` if it can be done, else copies its bytes.
    pub(crate) fn copy(&self, from: &Utf8Path, source: u64, to: &Utf8Path, target: u64) -> io::Result<()> {
        if !self.try_clone(from, source, to, target)? {
            std::fs::copy(from, to)?;
        }
        Ok(())
    }

    /// Clones `from`, on device `source`, to `to`, which must not exist and lies on device `target`. False: it cannot be
    /// done here. The mode of the new file is unspecified.
    pub(crate) fn try_clone(
        &self,
        from: &Utf8Path,
        source: u64,
        to: &Utf8Path,
        target: u64,
    ) -> io::Result<bool> {
        let refused = || self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused().contains(&(source, target)) {
            return Ok(false);
        }
        match reflink_copy::reflink(from, to) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                Err(error)
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
            Err(_) => {
                refused().insert((source, target));
                Ok(false)
            }
        }
    }
}
