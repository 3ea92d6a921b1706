//! Bringing the index up to date with the folder of the runs, whatever happened to it: runs of other processes, crashes,
//! deletions, a backup that was restored.
//!
//! Names first: the folder is listed only if the file system says that names came or went. A run whose folder is another one
//! than before is read again. Then the journals: one that has its end is read once; of the others it is asked each time whether
//! it grew and whether its run lives.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::thread;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use rustix::fs::{self, Dir, Mode, OFlags};
use rustix::io::Errno;
use tidemill_cache::FolderStamp;

use super::error::{RecordError, Trouble};
use super::fold::RunRecord;
use super::history::History;
use super::index::{Entry, JournalStamp, State, add, write};
use crate::name::RunId;

/// So many journals are read before what they tell is written: an interruption loses no more.
const BATCH: usize = 1000;

/// Lets the index know which runs there are.
pub(super) fn names(history: &History, connection: &Connection) -> Result<(), Trouble> {
    let now = FolderStamp::of(&history.folder).ok().map(FolderStamp::to_bytes);
    if now.is_some() && kept_stamp(connection)? == now.map(Vec::from) {
        return Ok(());
    }
    // One process at a time, from the listing to its end: a listing is never followed by what an older one says.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let stamp = FolderStamp::settled(&history.folder, &history.state).ok().flatten();
    let stamp = stamp.map(|stamp| stamp.to_bytes().to_vec()).unwrap_or_default();
    // The folder is listed while the index is read.
    let (listed, known) = thread::scope(|scope| {
        let listing = scope.spawn(|| list(history));
        let known = known(&transaction);
        (listing.join().expect("listing a folder does not panic"), known)
    });
    let (listed, known) = (listed?, known?);
    if listed == known && kept_stamp(&transaction)?.as_ref() == Some(&stamp) {
        return Ok(());
    }
    merge(history, &transaction, &listed, &known)?;
    transaction.execute("DELETE FROM folder", [])?;
    transaction.execute("INSERT INTO folder VALUES (?1)", [stamp])?;
    transaction.commit()?;
    Ok(())
}

/// Whether [`names`] was ever done.
pub(super) fn is_complete(connection: &Connection) -> rusqlite::Result<bool> {
    kept_stamp(connection).map(|stamp| stamp.is_some())
}

fn kept_stamp(connection: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached("SELECT stamp FROM folder")?.query_row([], |row| row.get(0)).optional()
}

/// The runs in the folder with the number of their own folder, sorted by id.
fn list(history: &History) -> Result<Vec<(String, i64)>, RecordError> {
    let io = |source: io::Error| RecordError::Io { path: history.folder.clone(), source };
    let listing =
        match fs::open(history.folder.as_std_path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => Dir::new(folder).map_err(|error| io(error.into()))?,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(io(error.into())),
        };
    let mut runs = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|error| io(error.into()))?;
        if let Ok(name) = entry.file_name().to_str()
            && RunId::is_valid(name)
        {
            runs.push((name.to_owned(), entry.ino().cast_signed()));
        }
    }
    runs.sort_unstable();
    Ok(runs)
}

fn known(connection: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare_cached("SELECT id, inode FROM run ORDER BY id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Makes the index know what is listed, and nothing else. Both lists are sorted by id.
fn merge(
    history: &History,
    connection: &Connection,
    listed: &[(String, i64)],
    known: &[(String, i64)],
) -> rusqlite::Result<()> {
    let mut gone = Vec::new();
    let mut new = Vec::new();
    let mut before = known.iter().peekable();
    for run @ (id, inode) in listed {
        while let Some((absent, _)) = before.next_if(|(known, _)| known < id) {
            gone.push(absent);
        }
        match before.next_if(|(known, _)| known == id) {
            Some((_, known)) if known == inode => {}
            Some(_) if is_moved(history, connection, run)? => {}
            Some((known, _)) => {
                gone.push(known);
                new.push(run);
            }
            None => new.push(run),
        }
    }
    gone.extend(before.map(|(id, _)| id));
    if gone.len() > known.len() / 2 {
        // Reading the rest again is less work than taking these out one by one.
        connection
            .execute_batch("DELETE FROM value; DELETE FROM run; DELETE FROM series; DELETE FROM pipeline")?;
        new = listed.iter().collect();
    } else {
        forget(connection, &gone)?;
    }
    new.iter().try_for_each(|(id, inode)| add(connection, id, *inode))
}

/// Whether a run is the same as before although its folder is another one, as after a backup was restored: its journal is as
/// long and as old. The index then knows the new folder.
fn is_moved(
    history: &History,
    connection: &Connection,
    (id, inode): &(String, i64),
) -> rusqlite::Result<bool> {
    let stamp = RunId::new(id).ok().and_then(|run| stamp(history, &run)).unwrap_or_default();
    let same = "UPDATE run SET inode = ?2 WHERE id = ?1 AND size = ?3 AND modified = ?4";
    let moved = connection.prepare_cached(same)?.execute(params![id, inode, stamp.size, stamp.modified])?;
    Ok(moved > 0)
}

/// Removes runs from the index.
fn forget(connection: &Connection, ids: &[&String]) -> rusqlite::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    connection.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone (no INTEGER PRIMARY KEY)")?;
    let mut mark = connection.prepare_cached("INSERT INTO gone SELECT no FROM run WHERE id = ?1")?;
    for id in ids {
        mark.execute([id])?;
    }
    connection.execute_batch(
        "DELETE FROM value WHERE series IN (SELECT no FROM series) AND run IN (SELECT no FROM gone);
         DELETE FROM run WHERE no IN (SELECT no FROM gone);
         DELETE FROM gone;",
    )?;
    forget_unused_names(connection)
}

/// Names that no run has any more are unknown again.
fn forget_unused_names(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM value WHERE value.series = series.no);
         DELETE FROM pipeline WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.pipeline = pipeline.no);",
    )
}

/// A run whose journal is to be read, if it changed.
struct Pending {
    id: RunId,
    inode: i64,
    state: i64,
    stamp: JournalStamp,
    alive: bool,
}

/// Reads the journals that may tell something new, those of the newest runs first, `most` at most.
pub(super) fn journals(history: &History, connection: &Connection, most: usize) -> Result<(), Trouble> {
    let mut pending = pending(connection)?;
    pending.retain(|run| {
        run.state == State::Unread as i64
            || run.alive != history.is_alive(&run.id)
            || run.stamp != stamp(history, &run.id).unwrap_or_default()
    });
    pending.truncate(most);
    for batch in pending.chunks(BATCH) {
        let entries = read_all(history, batch)?;
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        write(&transaction, &entries)?;
        // A journal that was read before may have lost what it told.
        forget_unused_names(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How many journals are not read yet.
pub(super) fn unread(connection: &Connection) -> rusqlite::Result<usize> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM run WHERE state = 0")?
        .query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn pending(connection: &Connection) -> rusqlite::Result<Vec<Pending>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, inode, state, size, modified, alive FROM run WHERE state < 3 ORDER BY id DESC",
    )?;
    let rows = statement.query_map([], |row| {
        let (size, modified): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let id: String = row.get(0)?;
        let id = RunId::new(&id).map_err(|_| rusqlite::Error::InvalidQuery)?;
        Ok(Pending {
            id,
            inode: row.get(1)?,
            state: row.get(2)?,
            stamp: JournalStamp { size: size.unwrap_or(0), modified: modified.unwrap_or(0) },
            alive: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// What the journals of these runs tell, read by as many threads as there are processors.
fn read_all(history: &History, runs: &[Pending]) -> Result<Vec<Entry>, RecordError> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = runs.len().div_ceil(threads).max(1);
    if runs.len() < threads * 4 {
        return runs.iter().map(|run| read(history, &run.id, run.inode)).collect();
    }
    thread::scope(|scope| {
        let readers: Vec<_> = runs
            .chunks(share)
            .map(|share| {
                scope.spawn(move || -> Result<Vec<Entry>, RecordError> {
                    share.iter().map(|run| read(history, &run.id, run.inode)).collect()
                })
            })
            .collect();
        let mut entries = Vec::with_capacity(runs.len());
        for reader in readers {
            entries.extend(reader.join().expect("reading a journal does not panic")?);
        }
        Ok(entries)
    })
}

/// What the journal of a run tells. Whether the run lives is asked first: of one that does not, the journal is then complete.
/// So is how long the journal is, so that whatever is appended meanwhile is noticed the next time.
fn read(history: &History, run: &RunId, inode: i64) -> Result<Entry, RecordError> {
    let alive = history.is_alive(run);
    let stamp = stamp(history, run).unwrap_or_default();
    // An index needs no step of which nothing is told but that it was found.
    let mut failed = None;
    let events =
        history.each_written(run)?.map_while(|event| event.map_err(|error| failed = Some(error)).ok());
    let record = RunRecord::fold(events, alive);
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(Entry { id: run.clone(), inode, stamp, alive, record })
}

/// Adds one run, which ended just now, to whatever the index knows.
pub(super) fn ended(history: &History, connection: &Connection, run: &RunId) -> Result<(), Trouble> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // While others cannot list the folder; so what is added now is taken out if it is removed later.
    if let Ok(folder) = std::fs::metadata(history.folder.join(run.as_str())) {
        let inode = folder.ino().cast_signed();
        add(&transaction, run.as_str(), inode)?;
        write(&transaction, &[read(history, run, inode)?])?;
    }
    transaction.commit()?;
    Ok(())
}

fn stamp(history: &History, run: &RunId) -> Option<JournalStamp> {
    let metadata = std::fs::metadata(history.journal(run)).ok()?;
    let seconds = metadata.mtime().saturating_mul(1_000_000_000);
    let modified = seconds.saturating_add(metadata.mtime_nsec());
    Some(JournalStamp { size: metadata.size().cast_signed(), modified })
}
