//! The history of a project: all its runs, newest first.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};

use camino::{Utf8Path, Utf8PathBuf};

use super::fold::RunRecord;
use super::journal::{ALIVE, JOURNAL};
use crate::event::Stamped;
use crate::name::RunId;

/// The runs of a project.
#[derive(Debug, Clone)]
pub struct History {
    folder: Utf8PathBuf,
}

/// A history that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No run is meant.
    #[error("there is no run {text:?}")]
    NotFound {
        /// What was asked for.
        text: String,
    },
    /// There is no run at all.
    #[error("nothing has run in this project yet")]
    Empty,
    /// Several runs are meant.
    #[error("{text:?} may mean several runs: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// The first few of them.
        candidates: Vec<String>,
    },
}

impl RecordError {
    /// Whether the user named something wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

impl History {
    /// The history of the project with this state folder.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        Self { folder: state.join("runs") }
    }

    /// The ids of all runs, newest first.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn ids(&self) -> Result<Vec<RunId>, RecordError> {
        let io = |source| RecordError::Io { path: self.folder.clone(), source };
        let listing = match self.folder.read_dir_utf8() {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut ids = Vec::new();
        for entry in listing {
            let entry = entry.map_err(io)?;
            ids.extend(RunId::new(entry.file_name()).ok());
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The newest runs, newest first; all of them without a limit.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn list(&self, limit: Option<usize>) -> Result<Vec<RunRecord>, RecordError> {
        let mut records = Vec::new();
        for id in self.ids()? {
            if limit.is_some_and(|limit| records.len() >= limit) {
                break;
            }
            records.extend(self.record(&id)?);
        }
        Ok(records)
    }

    /// The run that a text means: an id, the beginning of exactly one id, or `last`.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn find(&self, text: &str) -> Result<RunRecord, RecordError> {
        let ids = self.ids()?;
        let means = |id: &&RunId| text == "last" || id.as_str().starts_with(text);
        let mut found = ids.iter().filter(means);
        let id = match (found.next(), text) {
            (None, "last") => return Err(RecordError::Empty),
            (None, _) => return Err(RecordError::NotFound { text: text.to_owned() }),
            (Some(id), _) => id,
        };
        let mut others = found.filter(|_| text != "last" && id.as_str() != text).peekable();
        if others.peek().is_some() {
            let candidates = std::iter::once(id).chain(others).take(5).map(ToString::to_string).collect();
            return Err(RecordError::Ambiguous { text: text.to_owned(), candidates });
        }
        self.record(id)?.ok_or_else(|| RecordError::NotFound { text: text.to_owned() })
    }

    /// The events of a run. Lines that a crash cut short or that make no sense are passed over.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events(&self, run: &RunId) -> Result<Vec<Stamped>, RecordError> {
        let path = self.folder.join(run.as_str()).join(JOURNAL);
        let io = |source| RecordError::Io { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut events = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            events.extend(serde_json::from_slice::<Stamped>(&line.map_err(io)?).ok());
        }
        Ok(events)
    }

    /// Whether the process of a run lives: it holds a lock that dies with it.
    #[must_use]
    pub fn is_alive(&self, run: &RunId) -> bool {
        let alive = File::open(self.folder.join(run.as_str()).join(ALIVE));
        alive.is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    fn record(&self, run: &RunId) -> Result<Option<RunRecord>, RecordError> {
        Ok(RunRecord::fold(&self.events(run)?, self.is_alive(run)))
    }
}
