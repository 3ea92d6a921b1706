//! The presence of a process that runs steps: a folder among those of the runs, with a file that it holds locked while it lives. With it,
//! other processes leave its step folders alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::RecordError;
use super::history::History;
use super::journal::ALIVE;
use crate::name::RunId;

/// A process that runs steps and keeps no journal.
#[derive(Debug)]
pub struct Presence {
    folder: Utf8PathBuf,
    /// Held until it ends, however it ends.
    _alive: File,
}

impl Presence {
    /// Makes the folder of this id, and locks it.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn begin(history: &History, run: &RunId) -> Result<Self, RecordError> {
        let folder = history.folder.join(run.as_str());
        match hold(&folder) {
            Ok(alive) => Ok(Self { folder, _alive: alive }),
            Err(source) => Err(RecordError::Io { path: folder, source }),
        }
    }

    /// Removes the folder: nothing in it is history.
    pub fn end(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder, %error, "a folder without history could not be removed");
        }
    }
}

/// Makes the folder of a run, and a file in it that is locked as long as this lives. If another process has it, that one is left alone.
pub(super) fn hold(folder: &Utf8Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let path = folder.join(ALIVE);
    let mut alive = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match alive.try_lock() {
        Ok(()) => alive.set_len(0)?,
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Only who finds it locked reads this.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    writeln!(alive, "{} {host}", std::process::id())?;
    Ok(alive)
}
