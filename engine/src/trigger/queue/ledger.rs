//! The file of a queue: one record per line, each batch of them written and synced at once before anybody is told.
//!
//! A crash can cut the last line short; what it would have said was told to nobody, so it is cut off. Any other line that cannot be
//! read is damage that somebody has to look at.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::arrival::{Arrival, ArrivalId, Fate};
use super::error::QueueError;
use super::state::Snapshot;
use crate::name::RunId;

/// The version of the records; a newer program may write what this one would not understand.
const VERSION: u32 = 1;
/// The folder below the state folder.
const FOLDER: &str = "triggers";
/// The records.
const LEDGER: &str = "queue.jsonl";
/// What the one process that has the queue holds locked.
const LOCK: &str = "lock";
/// The lock is waited for so long, and looked at so often.
const PATIENCE: Duration = Duration::from_millis(500);
const OFTEN: Duration = Duration::from_millis(20);
/// A longer line is no record, in bytes: the largest, which says all, stays far below.
const LONGEST: u64 = 1 << 30;

/// What is noted of one thing after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record", deny_unknown_fields)]
pub(super) enum Record {
    /// The first line.
    Begin { version: u32 },
    /// These arrived; and what is remembered of where they came from, so that they do not come again.
    Arrived {
        arrivals: Vec<Arrival>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        marks: Vec<(String, String)>,
    },
    /// A run is about to begin.
    Began { arrival: ArrivalId, run: RunId, at: jiff::Timestamp },
    /// A run was lost; the arrival waits again.
    Again { arrival: ArrivalId },
    /// An arrival is done with.
    Settled { arrival: ArrivalId, fate: Fate, at: jiff::Timestamp },
    /// When the ledger was written anew: all that those before said.
    Snapshot { state: Box<Snapshot> },
}

/// The open file, and the lock on it.
#[derive(Debug)]
pub(super) struct Ledger {
    path: Utf8PathBuf,
    file: File,
    /// How much of the file is whole records.
    length: u64,
    /// Held as long as this lives.
    _lock: File,
}

impl Ledger {
    /// Takes the queue below a state folder, and reads what it says.
    pub(super) fn open(state: &Utf8Path, mut take: impl FnMut(Record)) -> Result<Self, QueueError> {
        let folder = state.join(FOLDER);
        let path = folder.join(LEDGER);
        let io = |source| QueueError::Io { path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(io)?;
        let lock = lock(&folder)?;
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(io)?;
        let mut ledger = Self { path: path.clone(), file, length: 0, _lock: lock };
        ledger.read(&mut take)?;
        if ledger.length == 0 {
            ledger.append(&[Record::Begin { version: VERSION }])?;
            sync_folder(&folder).map_err(io)?;
        }
        Ok(ledger)
    }

    /// Reads what the queue below a state folder says, whoever has it. What is just being written may be passed over.
    pub(super) fn peek(state: &Utf8Path, take: impl FnMut(Record)) -> Result<(), QueueError> {
        let path = state.join(FOLDER).join(LEDGER);
        match each(&path, take) {
            Err(QueueError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            read => read.map(drop),
        }
    }

    fn read(&mut self, take: &mut impl FnMut(Record)) -> Result<(), QueueError> {
        let whole = each(&self.path, take)?;
        self.length = whole.length;
        if whole.is_cut_short {
            let cut = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
            cut.map_err(|source| QueueError::Io { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    /// Adds records; they are on the disk when this returns. If that fails, none of them is there.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), QueueError> {
        let bytes = lines(records);
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(source) => {
                // Half a line before the next one would be damage. If this fails too, the next start cuts it off.
                let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
                Err(QueueError::Io { path: self.path.clone(), source })
            }
        }
    }

    /// How long the file is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Puts this in the place of all records that are there.
    pub(super) fn replace(&mut self, snapshot: Snapshot) -> Result<(), QueueError> {
        let io = |source| QueueError::Io { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(&self.path).to_owned();
        let bytes =
            lines(&[Record::Begin { version: VERSION }, Record::Snapshot { state: Box::new(snapshot) }]);
        let mut new = tempfile::Builder::new().prefix(".queue-").tempfile_in(&folder).map_err(io)?;
        new.write_all(&bytes).and_then(|()| new.as_file().sync_data()).map_err(io)?;
        new.persist(&self.path).map_err(|error| io(error.error))?;
        sync_folder(&folder).map_err(io)?;
        self.file = OpenOptions::new().append(true).read(true).open(&self.path).map_err(io)?;
        self.length = bytes.len() as u64;
        Ok(())
    }
}

/// How much of a file is whole records.
struct Whole {
    length: u64,
    /// Whether a crash cut a last one short.
    is_cut_short: bool,
}

/// Reads the records of a file one by one.
fn each(path: &Utf8Path, mut take: impl FnMut(Record)) -> Result<Whole, QueueError> {
    let io = |source| QueueError::Io { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let (mut line, mut number) = (Vec::new(), 0);
    let mut whole = Whole { length: 0, is_cut_short: false };
    loop {
        line.clear();
        let count = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(io)?;
        if count as u64 == LONGEST && line.last() != Some(&b'\n') {
            let reason = format!("it is longer than {LONGEST} bytes");
            return Err(QueueError::Damaged { path: path.to_owned(), line: number + 1, reason });
        }
        if count == 0 || line.last() != Some(&b'\n') {
            return Ok(Whole { is_cut_short: count > 0, ..whole });
        }
        number += 1;
        let damaged = |reason| QueueError::Damaged { path: path.to_owned(), line: number, reason };
        match serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))? {
            Record::Begin { version } if version > VERSION => {
                return Err(QueueError::Newer { path: path.to_owned(), version });
            }
            record => take(record),
        }
        whole.length += count as u64;
    }
}

fn lines(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record).expect("records have text keys and are written to memory");
        bytes.push(b'\n');
    }
    bytes
}

fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn lock(folder: &Utf8Path) -> Result<File, QueueError> {
    let path = folder.join(LOCK);
    let io = |source| QueueError::Io { path: path.clone(), source };
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // One that was just killed may have left it to a child for the moment in which that began.
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(OFTEN),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io)?;
                return Err(QueueError::Busy { holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
    // Only who finds it locked reads this.
    file.set_len(0).map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}
