//! One `SQLite` file that makes something fast and holds nothing that cannot be lost.
//!
//! No error of it reaches the caller: a damaged file, or one of another version, is moved away, a deleted one made anew,
//! and where there can be none the answer is `None`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::stamp::is_network;

/// The tables of a [`Database`].
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its number, never zero; a file with another one is moved away.
    pub version: i64,
    /// The statements that make the tables.
    pub tables: &'static str,
}

/// A `SQLite` file. Opened when it is first asked.
#[derive(Debug)]
pub struct Database {
    path: Utf8PathBuf,
    schema: Schema,
    open: Mutex<Option<Open>>,
    /// Whether it was waited for in vain, and has not answered since: then nobody waits again.
    gave_up: AtomicBool,
    /// Whether its locks do not work, which `SQLite` finds out in ten seconds, each time anew: then it is not asked any more.
    lost: AtomicBool,
}

/// How long others who write are waited for. Where locks do not work, each query would wait that long.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 5000 });

#[derive(Debug)]
struct Open {
    connection: Connection,
    device: u64,
    inode: u64,
    /// Where its log lies while it has one.
    log: Utf8PathBuf,
}

/// A log of at most so many bytes stays when the file is closed: writing it into the file takes two syncs, but whoever opens the
/// file first reads all of it.
const SHORT_LOG: u64 = 256 * 1024;

impl Drop for Open {
    fn drop(&mut self) {
        let is_long = fs::metadata(&self.log).is_ok_and(|log| log.len() > SHORT_LOG);
        if let Err(error) =
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_long)
        {
            tracing::debug!(log = %self.log, %error, "how the index is closed cannot be set");
        }
    }
}

impl Database {
    /// The file at this path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: Utf8PathBuf, schema: Schema) -> Self {
        Self {
            path,
            schema,
            open: Mutex::new(None),
            gave_up: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    /// Runs a query, a second time on a new file if the first found damage; `None` if the database cannot answer.
    pub fn with<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lost.load(Ordering::Relaxed) {
            return None;
        }
        if slot.as_ref().is_some_and(|open| identity(&self.path) != Some((open.device, open.inode))) {
            *slot = None;
        }
        for _ in 0..2 {
            if slot.is_none() {
                *slot = self.open_file();
            }
            let connection = &slot.as_ref()?.connection;
            let error = match query(connection) {
                Ok(value) => {
                    self.wait_again(connection);
                    return Some(value);
                }
                Err(error) => error,
            };
            if !is_damage(&error) {
                self.give_up(&error, Some(connection));
                tracing::debug!(path = %self.path, %error, "the index did not answer");
                return None;
            }
            *slot = None;
            self.move_away(&error);
        }
        None
    }

    fn patience(&self) -> Duration {
        if self.gave_up.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE }
    }

    /// If it was waited for in vain, whoever asks next is not kept waiting.
    fn give_up(&self, error: &rusqlite::Error, connection: Option<&Connection>) {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => {
                self.gave_up.store(true, Ordering::Relaxed);
                // That it cannot be set only means that it is waited for once more.
                connection.map(|connection| connection.busy_timeout(Duration::ZERO).ok());
            }
            Some(ErrorCode::FileLockingProtocolFailed) => self.lost.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    /// It has answered.
    fn wait_again(&self, connection: &Connection) {
        if self.gave_up.swap(false, Ordering::Relaxed) {
            connection.busy_timeout(PATIENCE).ok();
        }
    }

    /// A database in memory with these tables, for what has no file.
    ///
    /// # Errors
    /// If `SQLite` cannot make it.
    pub fn in_memory(schema: Schema) -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        prepare(&connection, schema)?;
        Ok(connection)
    }

    fn open_file(&self) -> Option<Open> {
        for _ in 0..2 {
            match connect(&self.path, self.schema, self.patience()) {
                Ok(connection) => {
                    let (device, inode) = identity(&self.path)?;
                    let log = format!("{}-wal", self.path).into();
                    return Some(Open { connection, device, inode, log });
                }
                Err(error) if is_damage(&error) => self.move_away(&error),
                Err(error) => {
                    self.give_up(&error, None);
                    tracing::warn!(path = %self.path, %error, "cannot open the index; going on without it");
                    return None;
                }
            }
        }
        None
    }

    fn move_away(&self, error: &rusqlite::Error) {
        tracing::warn!(path = %self.path, %error, "the index is damaged and is made anew");
        let result = fs::rename(&self.path, format!("{}.damaged", self.path));
        for suffix in ["-wal", "-shm", "-journal"] {
            // They belong to the file that was moved away; most often there are none.
            drop(fs::remove_file(format!("{}{suffix}", self.path)));
        }
        if let Err(error) = result {
            tracing::debug!(path = %self.path, %error, "the damaged index is gone already");
        }
    }
}

fn connect(path: &Utf8Path, schema: Schema, patience: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(patience)?;
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let (journal, synchronous) = if is_network(folder) { ("TRUNCATE", "FULL") } else { ("WAL", "NORMAL") };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    prepare(&connection, schema)?;
    Ok(connection)
}

/// Makes the tables if there are none.
fn prepare(connection: &Connection, schema: Schema) -> rusqlite::Result<()> {
    let version =
        |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let mut found: i64 = version(connection)?;
    if found == 0 {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        // Another process may have made the tables while this one waited.
        if version(&transaction)? == 0 {
            transaction.execute_batch(schema.tables)?;
            transaction.pragma_update(None, "user_version", schema.version)?;
        }
        transaction.commit()?;
        found = version(connection)?;
    }
    if found == schema.version { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
}

/// Whether the file is none of ours: damaged, something else, or without its tables.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidQuery
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => true,
        _ => false,
    }
}

fn identity(path: &Utf8Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    const SCHEMA: Schema = Schema { version: 1, tables: "CREATE TABLE note (text BLOB)" };

    fn write(path: &Utf8Path, bytes: i64) {
        let database = Database::new(path.to_owned(), SCHEMA);
        let written =
            database.with(|connection| connection.execute("INSERT INTO note VALUES (zeroblob(?1))", [bytes]));
        assert_eq!(written, Some(1));
    }

    fn bytes(path: &Utf8Path) -> Option<i64> {
        let sum = "SELECT coalesce(sum(length(text)), 0) FROM note";
        Database::new(path.to_owned(), SCHEMA)
            .with(|connection| connection.query_row(sum, [], |row| row.get(0)))
    }

    #[test]
    fn a_short_log_stays_and_a_long_one_is_written_into_the_file() {
        let scene = Scene::new();
        let path = scene.path("some.db");
        let log = scene.path("some.db-wal");
        write(&path, 10);
        assert!(log.exists());
        assert_eq!(bytes(&path), Some(10));
        write(&path, 1 << 20);
        assert!(!log.exists());
        assert_eq!(bytes(&path), Some(10 + (1 << 20)));
    }

    #[test]
    fn who_waited_in_vain_does_not_wait_again_until_it_answers() {
        let scene = Scene::new();
        let path = scene.path("some.db");
        write(&path, 10);
        let other = connect(&path, SCHEMA, Duration::ZERO).unwrap();
        let database = Database::new(path.clone(), SCHEMA);
        let add = || database.with(|open| open.execute("INSERT INTO note VALUES (zeroblob(1))", []));
        let patience = || {
            let slot = database.open.lock().unwrap();
            let ask =
                |open: &Open| open.connection.pragma_query_value(None, "busy_timeout", |row| row.get(0));
            slot.as_ref().map(|open| ask(open).unwrap())
        };
        assert_eq!(add(), Some(1));
        assert_eq!(patience(), Some(20_i64));
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!((add(), patience()), (None, Some(0)));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!((add(), patience()), (Some(1), Some(20)));
        assert_eq!(bytes(&path), Some(12));
    }

    #[test]
    fn whose_locks_do_not_work_is_not_asked_again() {
        let scene = Scene::new();
        let database = Database::new(scene.path("some.db"), SCHEMA);
        let ask = |code| {
            let failure = rusqlite::ffi::Error { code, extended_code: 0 };
            database.with(|_| Err::<(), _>(rusqlite::Error::SqliteFailure(failure, None)))
        };
        assert_eq!(ask(ErrorCode::SystemIoFailure), None);
        assert_eq!(database.with(|_| Ok(1)), Some(1));
        assert_eq!(ask(ErrorCode::FileLockingProtocolFailed), None);
        assert_eq!(database.with(|_| Ok(1)), None);
    }

    #[test]
    fn a_file_that_is_gone_takes_its_log_with_it() {
        let scene = Scene::new();
        let path = scene.path("some.db");
        write(&path, 10);
        fs::remove_file(&path).unwrap();
        assert!(scene.path("some.db-wal").exists());
        assert_eq!(bytes(&path), Some(0));
    }
}
