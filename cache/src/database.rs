//! One `SQLite` file that makes something fast and holds nothing that cannot be lost.
//!
//! No error of it reaches the caller: a damaged file, or one of another version, is moved away, a deleted one made anew,
//! and where there can be none the answer is `None`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
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
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    device: u64,
    inode: u64,
}

impl Database {
    /// The file at this path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: Utf8PathBuf, schema: Schema) -> Self {
        Self { path, schema, open: Mutex::new(None) }
    }

    /// Runs a query, a second time on a new file if the first found damage; `None` if the database cannot answer.
    pub fn with<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|open| identity(&self.path) != Some((open.device, open.inode))) {
            *slot = None;
        }
        for _ in 0..2 {
            if slot.is_none() {
                *slot = self.open_file();
            }
            let error = match query(&slot.as_ref()?.connection) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            if !is_damage(&error) {
                tracing::debug!(path = %self.path, %error, "the index did not answer");
                return None;
            }
            *slot = None;
            self.move_away(&error);
        }
        None
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
            match connect(&self.path, self.schema) {
                Ok(connection) => {
                    let (device, inode) = identity(&self.path)?;
                    return Some(Open { connection, device, inode });
                }
                Err(error) if is_damage(&error) => self.move_away(&error),
                Err(error) => {
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

fn connect(path: &Utf8Path, schema: Schema) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let (journal, synchronous) = if is_network(folder) { ("TRUNCATE", "FULL") } else { ("WAL", "NORMAL") };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Otherwise whoever closes it last writes all of its log into the file, with two syncs, however little that is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
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
