//! The journal of a run: its events as JSON lines, appended as they happen, those of one moment together, synced when a step that
//! took long, or a run that executed something, ends.
//!
//! On disk, in `.tidemill/runs/<run>/`: `journal.jsonl`; `alive`, a file that the run holds locked while it lives; and one
//! log per attempt. A line that a crash cut short is passed over by readers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use camino::Utf8PathBuf;

use super::error::RecordError;
use super::history::History;
use super::presence::hold;
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
        let held = folder.join(ALIVE);
        let alive = hold(&folder).map_err(|source| RecordError::Io { path: held, source })?;
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

    /// Writes what was gathered. What cannot be written stays for the next time, so that a disk which was full for a moment leaves no
    /// gap.
    fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        let mut result = Ok(());
        while written < self.gathered.len() && result.is_ok() {
            match self.file.write(&self.gathered[written..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        self.gathered.drain(..written);
        result
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
        if let Event::RunFinished { .. } = event.event {
            self.history.leave_ending(&self.run);
        }
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

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::event::{Counts, Outcome};

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(Utf8Path::from_path(folder.path()).unwrap());
        let run = RunId::new("20261120-235501-482k3fq").unwrap();
        let mut journal = Journal::begin(&history, &run).unwrap();
        let tell = |journal: &mut Journal, event| {
            journal.on(&Stamped { at: jiff::Timestamp::UNIX_EPOCH, event });
            journal.flush();
        };
        let notice = |message: &str| Event::Notice { message: message.to_owned() };
        tell(&mut journal, notice("first"));
        // A file that cannot be written, in place of a disk that is full for a moment.
        let file = std::mem::replace(&mut journal.file, File::open(&journal.path).unwrap());
        tell(&mut journal, notice("second"));
        tell(&mut journal, notice("third"));
        journal.file = file;
        let counts = Counts::default();
        tell(&mut journal, Event::RunFinished { outcome: Outcome::Succeeded, wall_ms: 5, counts });
        let text = std::fs::read_to_string(&journal.path).unwrap();
        let events: Vec<Stamped> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<String> = events.iter().map(|stamped| format!("{:?}", stamped.event)).collect();
        assert_eq!(events.len(), 4, "{kinds:#?}");
        for (kind, word) in kinds.iter().zip(["first", "second", "third", "Succeeded"]) {
            assert!(kind.contains(word), "{kinds:#?}");
        }
    }
}
