//! The files of an outbox: one for each entry, written aside, synced and renamed. What was told is removed; what cannot be told is moved
//! to the dead ones.
//!
//! On disk, in `.tidemill/outbox/`: `<id>.json`, `dead/<id>.json`, and `lock`, which whoever tells holds locked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::entry::{Entry, EntryId};
use super::error::OutboxError;

/// Below the state folder.
const FOLDER: &str = "outbox";
/// Below that.
const DEAD: &str = "dead";
const LOCK: &str = "lock";
/// Larger files are no entries, in bytes.
const LARGEST: u64 = 8 << 20;

/// What is to be told in a project.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: Utf8PathBuf,
}

impl Outbox {
    /// The outbox below a state folder.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Makes the folders if they are not there.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn open(&self) -> Result<(), OutboxError> {
        let dead = self.dead_folder();
        fs::create_dir_all(&dead).map_err(|source| OutboxError::Io { path: dead, source })
    }

    /// Takes what is to be told. Says whether it is new: what waits already, or lies among the dead, is not taken again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&self, entry: &Entry) -> Result<bool, OutboxError> {
        self.open()?;
        let path = self.path(entry.id);
        if path.exists() || self.dead_path(entry.id).exists() {
            return Ok(false);
        }
        self.write(&path, entry)?;
        Ok(true)
    }

    /// What waits, in the order in which it was written.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn waiting(&self) -> Result<Vec<Entry>, OutboxError> {
        entries(&self.folder)
    }

    /// What could not be told, in the order in which it was written.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn dead(&self) -> Result<Vec<Entry>, OutboxError> {
        entries(&self.dead_folder())
    }

    /// Whether it waits.
    #[must_use]
    pub fn waits(&self, id: EntryId) -> bool {
        self.path(id).exists()
    }

    /// The entry among the dead ones, if it is there.
    #[must_use]
    pub fn dead_entry(&self, id: EntryId) -> Option<Entry> {
        read(&self.dead_path(id)).ok()
    }

    /// Notes how far it has come, unless somebody has removed it meanwhile.
    pub(super) fn note(&self, entry: &Entry) -> Result<(), OutboxError> {
        let path = self.path(entry.id);
        if path.exists() { self.write(&path, entry) } else { Ok(()) }
    }

    /// It was told.
    pub(super) fn told(&self, id: EntryId) -> Result<(), OutboxError> {
        remove(&self.path(id))
    }

    /// It cannot be told.
    pub(super) fn bury(&self, entry: &Entry) -> Result<(), OutboxError> {
        self.note(entry)?;
        self.rename(&self.path(entry.id), &self.dead_path(entry.id))
    }

    /// Has a dead one tried again, as if it were new.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn retry(&self, entry: &Entry, now: Timestamp) -> Result<(), OutboxError> {
        let path = self.dead_path(entry.id);
        self.write(&path, &Entry { attempts: 0, tried: None, next: now, ..entry.clone() })?;
        self.rename(&path, &self.path(entry.id))
    }

    /// Forgets what waits or is dead.
    ///
    /// # Errors
    /// If the file system says no.
    pub fn forget(&self, id: EntryId) -> Result<(), OutboxError> {
        remove(&self.path(id))?;
        remove(&self.dead_path(id))
    }

    /// The lock that whoever tells holds; none if another process has it.
    pub(super) fn lock(&self) -> Result<Option<File>, OutboxError> {
        self.open()?;
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| OutboxError::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(OutboxError::Io { path, source }),
        }
    }

    /// Writes a file of the outbox: all of it, or nothing.
    pub(super) fn write_bytes(&self, path: &Utf8Path, bytes: &[u8]) -> Result<(), OutboxError> {
        let folder = path.parent().unwrap_or(&self.folder);
        let written = || {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        written().map_err(|source| OutboxError::Io { path: path.to_owned(), source })
    }

    fn write(&self, path: &Utf8Path, entry: &Entry) -> Result<(), OutboxError> {
        let bytes = serde_json::to_vec_pretty(entry).map_err(io::Error::from);
        let bytes = bytes.map_err(|source| OutboxError::Io { path: path.to_owned(), source })?;
        self.write_bytes(path, &bytes)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), OutboxError> {
        match fs::rename(from, to) {
            // Somebody has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.map_err(|source| OutboxError::Io { path: from.to_owned(), source }),
        }
    }

    fn path(&self, id: EntryId) -> Utf8PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn dead_folder(&self) -> Utf8PathBuf {
        self.folder.join(DEAD)
    }

    fn dead_path(&self, id: EntryId) -> Utf8PathBuf {
        self.dead_folder().join(format!("{id}.json"))
    }
}

/// The entries in a folder. What is none is moved aside, and told.
fn entries(folder: &Utf8Path) -> Result<Vec<Entry>, OutboxError> {
    let failed = |source| OutboxError::Io { path: folder.to_owned(), source };
    let listing = match folder.read_dir_utf8() {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for file in listing {
        let path = file.map_err(failed)?.into_path();
        if path.file_stem().is_none_or(|stem| stem.parse::<EntryId>().is_err())
            || path.extension() != Some("json")
        {
            continue;
        }
        match read(&path) {
            Ok(entry) => entries.push(entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%path, %error, "this is no entry of an outbox, and is left as .refused");
                fs::rename(&path, path.with_extension("refused")).map_err(failed)?;
            }
        }
    }
    entries.sort_by_key(|entry| (entry.at, entry.id));
    Ok(entries)
}

fn read(path: &Utf8Path) -> io::Result<Entry> {
    if fs::metadata(path)?.len() > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    let entry: Entry = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
    match entry.is_known() {
        true => Ok(entry),
        false => Err(io::Error::other("a newer version has written it")),
    }
}

fn remove(path: &Utf8Path) -> Result<(), OutboxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(OutboxError::Io { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NotifyName;
    use crate::outbox::{Recipient, What};
    use tidemill_triggers::CloudEvent;

    fn entry(key: &str) -> Entry {
        let to = Recipient::Sink { name: NotifyName::new("ops").unwrap() };
        let event = CloudEvent::new(key, "/x", "a.b").unwrap();
        Entry::new(to, key, What::Event(Box::new(event)), Timestamp::UNIX_EPOCH)
    }

    fn ids(entries: Result<Vec<Entry>, OutboxError>) -> Vec<EntryId> {
        entries.unwrap().iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn what_was_put_is_there_once_until_it_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::below(Utf8Path::from_path(folder.path()).unwrap());
        assert!(outbox.waiting().unwrap().is_empty() && outbox.dead().unwrap().is_empty());
        let (one, two) = (entry("1"), entry("2"));
        assert!(outbox.put(&one).unwrap() && outbox.put(&two).unwrap());
        assert!(!outbox.put(&one).unwrap(), "it waits already");
        assert_eq!(outbox.waiting().unwrap().len(), 2);
        outbox.told(one.id).unwrap();
        assert_eq!(ids(outbox.waiting()), [two.id]);
        // A dead one is not put again, and comes back as if it were new.
        let tried = Entry { attempts: 12, last_error: Some("no".to_owned()), ..two };
        outbox.bury(&tried).unwrap();
        assert_eq!((ids(outbox.waiting()), ids(outbox.dead())), (vec![], vec![tried.id]));
        assert!(!outbox.put(&tried).unwrap());
        outbox.retry(&outbox.dead_entry(tried.id).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        let back = outbox.waiting().unwrap();
        assert_eq!((back[0].attempts, back[0].last_error.as_deref()), (0, Some("no")));
        // What somebody has removed is not written again.
        outbox.forget(tried.id).unwrap();
        outbox.note(&tried).unwrap();
        outbox.bury(&tried).unwrap();
        assert_eq!((ids(outbox.waiting()), ids(outbox.dead())), (vec![], vec![]));
    }

    #[test]
    fn one_process_tells_at_a_time_and_what_is_no_entry_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::below(Utf8Path::from_path(folder.path()).unwrap());
        let held = outbox.lock().unwrap();
        assert!(held.is_some() && outbox.lock().unwrap().is_none());
        drop(held);
        assert!(outbox.lock().unwrap().is_some());
        let path = outbox.folder().join(format!("{}.json", entry("1").id));
        fs::write(&path, "{").unwrap();
        assert!(outbox.waiting().unwrap().is_empty() && path.with_extension("refused").exists());
    }
}
