//! The journal of a run: its events as JSON lines, appended as they happen, those of one moment together, synced when a step that
//! took long, or a run that executed something, ends.
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

/// The name of the file that says by what other hosts know the process of a run, where hosts share the state folder.
pub(super) const PRESENCE: &str = "presence";

/// A step that took less is told without waiting until that is on the disk, and a run that took less is left to whoever asks the
/// index next, in milliseconds.
const LONG_MS: u64 = 1000;
/// So many bytes do not wait for the end of the moment.
const MUCH: usize = 1 << 16;

/// Writes the journal of one run, and lets the index of the history know when a run with metrics, or one that took long, ended.
#[derive(Debug)]
pub struct Journal {
    history: History,
    run: RunId,
    file: File,
    /// Lines that are not written yet.
    gathered: Vec<u8>,
    path: Utf8PathBuf,
    /// Whether metrics were told.
    has_metrics: bool,
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
        Ok(Self {
            history: history.clone(),
            run: run.clone(),
            file,
            gathered: Vec::new(),
            path,
            has_metrics: false,
            _alive: alive,
        })
    }

    fn take(&mut self, event: &Stamped) -> io::Result<()> {
        serde_json::to_writer(&mut self.gathered, event)?;
        self.gathered.push(b'\n');
        let is_to_sync = match event.event {
            // What cost little is not worth waiting for the disk.
            Event::StepSucceeded { usage, .. } => usage.wall_ms >= LONG_MS,
            Event::StepFailed { .. } => true,
            Event::RunFinished { counts, .. } => counts.executed + counts.failed > 0,
            _ => false,
        };
        if is_to_sync || self.gathered.len() > MUCH || matches!(event.event, Event::RunFinished { .. }) {
            self.write()?;
        }
        if is_to_sync { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() { Ok(()) } else { self.file.write_all(&gathered) }
    }

    /// The history is no reason to stop weeks of work; the results themselves are kept elsewhere.
    fn complain(&self, written: io::Result<()>) {
        if let Err(error) = written {
            tracing::error!(path = %self.path, %error, "the journal of this run cannot be written");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let written = self.write();
        self.complain(written);
    }
}

impl Subscriber for Journal {
    fn takes_lists(&self) -> bool {
        true
    }

    fn flush(&mut self) {
        let written = self.write();
        self.complain(written);
    }

    fn on(&mut self, event: &Stamped) {
        let taken = self.take(event);
        self.complain(taken);
        match event.event {
            Event::Metrics { .. } => self.has_metrics = true,
            // A short run need not wait for the index: whoever asks next reads its few lines. But the next run with metrics is
            // compared with this one without a look at all there are.
            Event::RunFinished { wall_ms, .. } if self.has_metrics || wall_ms >= LONG_MS => {
                self.history.ended(&self.run);
            }
            _ => {}
        }
    }
}
