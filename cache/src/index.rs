//! The index: one `SQLite` file that makes looking up fast and holds nothing that cannot be lost.
//!
//! Two tables: what a stamp's content is (the stat cache), and small values that others want remembered. No error of it
//! reaches the caller: what cannot be read counts as unknown, a damaged file is moved away, a deleted one made anew.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::Digest;
use crate::stamp::{Stamp, is_network};

/// The number of the schema; a file with another one is moved away.
const SCHEMA: i64 = 1;
const TABLES: &str = "
    CREATE TABLE stat (
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,
        modified INTEGER NOT NULL, changed INTEGER NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (device, inode)
    ) WITHOUT ROWID;
    CREATE TABLE memo (
        space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;
";
const FIND: &str = "SELECT size, modified, changed, digest FROM stat WHERE device = ?1 AND inode = ?2";
const KEEP: &str = "INSERT INTO stat VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET size = excluded.size, \
                    modified = excluded.modified, changed = excluded.changed, digest = excluded.digest";
const RECALL: &str = "SELECT value FROM memo WHERE space = ?1 AND key = ?2";
const REMEMBER: &str =
    "INSERT INTO memo VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";

/// The index in one file. Opened when it is first asked.
pub(crate) struct Index {
    path: Utf8PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: Connection,
    device: u64,
    inode: u64,
}

impl Index {
    pub(crate) fn new(path: Utf8PathBuf) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    /// What is recorded for the inodes of these stamps, in their order: the recorded stamp and its digest.
    pub(crate) fn find(&self, stamps: &[Stamp]) -> Vec<Option<(Stamp, Digest)>> {
        if stamps.is_empty() {
            return Vec::new();
        }
        let found = self.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
            let mut statement = transaction.prepare_cached(FIND)?;
            stamps.iter().map(|stamp| find_one(&mut statement, stamp)).collect()
        });
        found.unwrap_or_else(|| vec![None; stamps.len()])
    }

    /// Records what these stamps' contents are, in one transaction.
    pub(crate) fn keep(&self, entries: &[(Stamp, Digest)]) {
        if entries.is_empty() {
            return;
        }
        self.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let mut statement = transaction.prepare_cached(KEEP)?;
            for (stamp, digest) in entries {
                let Stamp { device, inode, size, modified, changed } = *stamp;
                statement.execute(params![
                    device.cast_signed(),
                    inode.cast_signed(),
                    size.cast_signed(),
                    modified,
                    changed,
                    digest.as_bytes().as_slice()
                ])?;
            }
            drop(statement);
            transaction.commit()
        });
    }

    pub(crate) fn recall(&self, space: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|connection| {
            connection.prepare_cached(RECALL)?.query_row(params![space, key], |row| row.get(0)).optional()
        })?
    }

    pub(crate) fn remember(&self, space: &str, key: &[u8], value: &[u8]) {
        self.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            transaction.prepare_cached(REMEMBER)?.execute(params![space, key, value])?;
            transaction.commit()
        });
    }

    /// Runs a query; `None` if the index cannot answer, which is never an error of the caller's.
    fn with<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<T> {
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

    fn open_file(&self) -> Option<Open> {
        for _ in 0..2 {
            match connect(&self.path) {
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

fn connect(path: &Utf8Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let (journal, synchronous) = if is_network(folder) { ("TRUNCATE", "FULL") } else { ("WAL", "NORMAL") };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    let version =
        |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let mut found: i64 = version(&connection)?;
    if found == 0 {
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
        // Another process may have made the tables while this one waited.
        if version(&transaction)? == 0 {
            transaction.execute_batch(TABLES)?;
        }
        transaction.commit()?;
        found = version(&connection)?;
    }
    if found == SCHEMA { Ok(connection) } else { Err(rusqlite::Error::InvalidQuery) }
}

fn find_one(
    statement: &mut rusqlite::Statement<'_>,
    wanted: &Stamp,
) -> rusqlite::Result<Option<(Stamp, Digest)>> {
    let row = statement.query_row(params![wanted.device.cast_signed(), wanted.inode.cast_signed()], |row| {
        let stamp = Stamp {
            device: wanted.device,
            inode: wanted.inode,
            size: row.get::<_, i64>(0)?.cast_unsigned(),
            modified: row.get(1)?,
            changed: row.get(2)?,
        };
        Ok((stamp, Digest::from_bytes(row.get(3)?)))
    });
    row.optional()
}

/// Whether the file is no index of ours: damaged, something else, or without its tables.
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
    use std::fs;

    use super::*;
    use crate::scene::{Scene, stamp};

    #[test]
    fn a_deleted_index_is_made_anew() {
        let scene = Scene::new();
        scene.write("a", "content");
        let seen = scene.look_until_recorded("a");
        scene.cache.remember("space", b"key", b"value");
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            drop(fs::remove_file(scene.cache.state().join(name)));
        }
        assert_eq!(scene.cache.recall("space", b"key"), None);
        assert_eq!(scene.look_until_recorded("a"), seen);
        assert_eq!(scene.another_process().inner.index.find(&[stamp(&scene.path("a"))]).len(), 1);
    }

    #[test]
    fn a_damaged_index_is_moved_away() {
        let scene = Scene::new();
        for bytes in [
            b"this is no database, but something else entirely".repeat(100),
            b"SQLite format 3\0".repeat(512),
        ] {
            fs::write(scene.cache.state().join("index.db"), bytes).unwrap();
            let cache = scene.another_process();
            cache.remember("space", b"key", b"value");
            assert_eq!(cache.recall("space", b"key").as_deref(), Some(b"value".as_slice()));
            assert!(scene.cache.state().join("index.db.damaged").exists());
            fs::remove_file(scene.cache.state().join("index.db")).unwrap();
        }
    }

    #[test]
    fn an_index_damaged_while_it_is_open_is_made_anew() {
        let scene = Scene::new();
        scene.cache.remember("space", b"key", b"value");
        let path = scene.cache.state().join("index.db");
        Connection::open(&path).unwrap().execute_batch("DROP TABLE memo").unwrap();
        assert_eq!(scene.cache.recall("space", b"key"), None);
        scene.cache.remember("space", b"key", b"again");
        assert_eq!(scene.cache.recall("space", b"key").as_deref(), Some(b"again".as_slice()));
    }

    #[test]
    fn without_an_index_everything_still_works() {
        let scene = Scene::new();
        fs::create_dir(scene.cache.state().join("index.db")).unwrap();
        scene.write("a", "content");
        assert_eq!(scene.look("a").artifact.digest, Digest::of(b"content"));
        scene.cache.remember("space", b"key", b"value");
    }
}
