//! The journal of a run: its events as JSON lines, appended as they happen, synced when a step that took long, or a run that executed something, ends.
//!
//! On disk, in `.tidemill/runs/<run>/`: `journal.jsonl`; `alive`, a file that the run holds locked while it lives; and one
//! log per attempt. A line that a crash cut short is passed over by readers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};

use camino::Utf8PathBuf;

use super::error::RecordError;
use super::history::History;
use crate::event::{Event, Stamped, Subscriber};
use crate::name::RunId;

/// The name of the journal in a run's folder.
pub(super) const JOURNAL: &str = "journal.jsonl";
/// The name of the file that a living run holds locked.
pub(super) const ALIVE: &str = "alive";

/// A step that took less is told without waiting until that is on the disk, in milliseconds.
const LONG_MS: u64 = 1000;

/// Writes the journal of one run, and lets the index of the history know when the run ended.
#[derive(Debug)]
pub struct Journal {
    history: History,
    run: RunId,
    file: File,
    path: Utf8PathBuf,
    /// Held until the run ends, however it ends.
    _alive: File,
}

impl Journal {
    /// Begins the journal of a run in its folder.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn begin(history: &History, run: &RunId) -> Result<Self, RecordError> {
        let folder = history.folder.join(run.as_str());
        let path = folder.join(JOURNAL);
        let io = |source| RecordError::Io { path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(io)?;
        let alive = File::create(folder.join(ALIVE)).map_err(io)?;
        alive.lock().map_err(io)?;
        let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(io)?;
        Ok(Self { history: history.clone(), run: run.clone(), file, path, _alive: alive })
    }

    fn write(&mut self, event: &Stamped) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        match event.event {
            // What cost little is not worth waiting for the disk.
            Event::StepSucceeded { usage, .. } if usage.wall_ms < LONG_MS => Ok(()),
            Event::StepSucceeded { .. } | Event::StepFailed { .. } => self.file.sync_data(),
            Event::RunFinished { counts, .. } if counts.executed + counts.failed > 0 => self.file.sync_data(),
            _ => Ok(()),
        }
    }
}

impl Subscriber for Journal {
    fn takes_lists(&self) -> bool {
        true
    }

    fn on(&mut self, event: &Stamped) {
        // The history is no reason to stop weeks of work; the results themselves are kept elsewhere.
        if let Err(error) = self.write(event) {
            tracing::error!(path = %self.path, %error, "the journal of this run cannot be written");
        }
        if matches!(event.event, Event::RunFinished { .. }) {
            self.history.ended(&self.run);
        }
    }
}
