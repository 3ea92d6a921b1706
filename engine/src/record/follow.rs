//! Reading the journal of a run while it grows, and finding the process that writes it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::Utf8PathBuf;

use super::error::RecordError;
use super::history::History;
use super::journal::ALIVE;
use crate::event::Stamped;
use crate::name::RunId;

/// A journal that is read while it grows.
#[derive(Debug)]
pub struct Follower {
    path: Utf8PathBuf,
    read: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Follower {
    /// The events that were told since the last call. Lines that make no sense are passed over.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn more(&mut self) -> Result<Vec<Stamped>, RecordError> {
        let io = |source| RecordError::Io { path: self.path.clone(), source };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        file.seek(SeekFrom::Start(self.read)).map_err(io)?;
        let count = file.read_to_end(&mut self.begun).map_err(io)?;
        self.read += count as u64;
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        let lines = whole.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

impl History {
    /// Reads the journal of a run from its beginning, while it grows.
    #[must_use]
    pub fn follow(&self, run: &RunId) -> Follower {
        Follower { path: self.journal(run), read: 0, begun: Vec::new() }
    }

    /// The process of a run, and the host that it is on; what it says is true while the run [lives](History::is_alive).
    #[must_use]
    pub fn process(&self, run: &RunId) -> Option<(i32, String)> {
        let text = std::fs::read_to_string(self.folder.join(run.as_str()).join(ALIVE)).ok()?;
        let (process, host) = text.trim_end().split_once(' ')?;
        Some((process.parse().ok()?, host.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::event::{Event, Subscriber as _};
    use crate::record::Journal;

    #[test]
    fn what_was_told_since_is_read_and_the_process_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(Utf8Path::from_path(folder.path()).unwrap());
        let run = RunId::new("20261130-000000-aaaaaa").unwrap();
        let mut follower = history.follow(&run);
        assert!(follower.more().unwrap().is_empty(), "it has not begun");
        let mut journal = Journal::begin(&history, &run).unwrap();
        let mut tell = |message: &str| {
            let event = Event::Notice { message: message.to_owned() };
            journal.on(&Stamped { at: jiff::Timestamp::UNIX_EPOCH, event });
            journal.flush();
        };
        tell("one");
        tell("two");
        assert_eq!(follower.more().unwrap().len(), 2);
        tell("three");
        let more = follower.more().unwrap();
        assert!(
            matches!(&more[..], [Stamped { event: Event::Notice { message }, .. }] if message == "three")
        );
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(history.process(&run).map(|(process, _)| process), Some(own));
    }
}
