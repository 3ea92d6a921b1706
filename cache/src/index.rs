//! The index: one `SQLite` file that makes looking up fast and holds nothing that cannot be lost.
//!
//! While a run goes on, what it tells the index is gathered and written in few transactions ([`Index::gather`]); a process that
//! dies before loses it, as it may.
//!
//! Three tables: what a stamp's content is (the stat cache), small values that others want remembered, and which keys a step
//! has results for. No error of it reaches the caller: what cannot be read counts as unknown; see [`Database`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::Utf8PathBuf;
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::ahead::Ahead;
use crate::database::{Database, Schema};
use crate::gathered::Gathered;

use crate::stamp::{BLOB_TIME, Stamp};
use crate::{ActionResult, Digest, Key};

const SCHEMA: Schema = Schema { version: 2, tables: TABLES };
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
    CREATE TABLE result (
        pipeline TEXT NOT NULL, step TEXT NOT NULL, key BLOB NOT NULL, finished INTEGER NOT NULL,
        PRIMARY KEY (pipeline, step, key)
    ) WITHOUT ROWID;
    CREATE INDEX result_newest ON result (pipeline, step, finished);
    CREATE INDEX result_key ON result (key);
";
const FIND: &str = "SELECT size, modified, changed, digest FROM stat WHERE device = ?1 AND inode = ?2";
const KEEP: &str = "INSERT INTO stat VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET size = excluded.size, \
                    modified = excluded.modified, changed = excluded.changed, digest = excluded.digest";
const RECALL: &str = "SELECT value FROM memo WHERE space = ?1 AND key = ?2";
const RECALL_ALL: &str = "SELECT key, value FROM memo WHERE space = ?1 AND key >= ?2 AND key < ?3";
const REMEMBER: &str =
    "INSERT INTO memo VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";

const NOTE: &str = "INSERT INTO result VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE \
                    SET finished = max(finished, excluded.finished)";
const RESULTS: &str = "SELECT key, finished FROM result WHERE pipeline = ?1 AND step >= ?2 AND step < ?3 \
                       ORDER BY finished DESC, key LIMIT ?4";
const STEPS: &str = "SELECT pipeline, step FROM result WHERE key = ?1 ORDER BY pipeline, step";
const FORGET: &str = "DELETE FROM result WHERE key = ?1";

/// What the index knows of an action result.
#[derive(Debug)]
pub(crate) struct Noted<'a> {
    pub(crate) pipeline: &'a str,
    pub(crate) step: &'a str,
    pub(crate) key: Key,
    pub(crate) finished: jiff::Timestamp,
}

impl<'a> Noted<'a> {
    pub(crate) fn of(result: &'a ActionResult) -> Self {
        let ActionResult { pipeline, step, key, finished, .. } = result;
        Self { pipeline, step, key: *key, finished: *finished }
    }

    /// As the index has it.
    pub(crate) fn row(&self) -> (&'a str, &'a str, Key, i64) {
        (self.pipeline, self.step, self.key, self.finished.as_microsecond())
    }
}

/// The index in one file. Opened when it is first asked.
pub(crate) struct Index {
    pub(crate) database: Database,
    /// What is not written yet, while somebody gathers.
    gathered: Mutex<Gathered>,
    /// What was read before it was asked for, while somebody gathers.
    ahead: Mutex<Ahead>,
}

impl Index {
    pub(crate) fn new(path: Utf8PathBuf) -> Self {
        Self { database: Database::new(path, SCHEMA), gathered: Mutex::default(), ahead: Mutex::default() }
    }

    /// What is recorded for the inodes of these stamps, in their order: the recorded stamp and its digest.
    pub(crate) fn find(&self, stamps: &[Stamp]) -> Vec<Option<(Stamp, Digest)>> {
        if stamps.is_empty() {
            return Vec::new();
        }
        let gathered = self.gathered().find(stamps);
        if let Some(gathered) = gathered {
            return gathered;
        }
        let found = self.database.with(|connection| {
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
        let gathers = self.gathered().keep(entries);
        match gathers {
            true => self.write_if_much(),
            false => drop(self.database.with(|connection| {
                let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
                write_stamps(&transaction, entries.iter())?;
                transaction.commit()
            })),
        }
    }

    /// Forgets what the stamps of blobs meant: those that have the time that only blobs have.
    pub(crate) fn forget_blobs(&self) -> bool {
        let time = i64::try_from(BLOB_TIME.as_nanos()).unwrap_or(i64::MAX);
        let forgotten = self
            .database
            .with(|connection| connection.execute("DELETE FROM stat WHERE modified = ?1", [time]));
        forgotten.is_some()
    }

    pub(crate) fn recall(&self, space: &str, key: &[u8]) -> Option<Vec<u8>> {
        let (gathered, gathers) = {
            let gathered = self.gathered();
            (gathered.recall(space, key), gathered.gatherers > 0)
        };
        if gathered.is_some() {
            return gathered;
        }
        if gathers && let Some(known) = self.read_ahead(space, key) {
            return known;
        }
        self.database.with(|connection| {
            connection.prepare_cached(RECALL)?.query_row(params![space, key], |row| row.get(0)).optional()
        })?
    }

    /// All values whose key begins with a prefix, which ends in a byte below 255.
    pub(crate) fn recall_all(&self, space: &str, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.write();
        let mut end = prefix.to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let found = self.database.with(|connection| {
            let mut statement = connection.prepare_cached(RECALL_ALL)?;
            let rows =
                statement.query_map(params![space, prefix, end], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        });
        found.unwrap_or_default()
    }

    pub(crate) fn remember(&self, space: &str, key: &[u8], value: &[u8]) {
        self.ahead().remember(space, key, value);
        let gathers = self.gathered().remember(space, key, value);
        match gathers {
            true => self.write_if_much(),
            false => drop(self.database.with(|connection| {
                let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
                transaction.prepare_cached(REMEMBER)?.execute(params![space, key, value])?;
                transaction.commit()
            })),
        }
    }

    /// Notes results, in one transaction; whether that could be done.
    pub(crate) fn note_results(&self, results: &[Noted<'_>]) -> bool {
        {
            let mut ahead = self.ahead();
            results.iter().for_each(|noted| ahead.note(noted.pipeline, noted.step));
        }
        let gathers = self.gathered().note(results);
        if gathers {
            self.write_if_much();
            return true;
        }
        let noted = self.database.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            write_results(&transaction, results.iter().map(Noted::row))?;
            transaction.commit()
        });
        noted.is_some()
    }

    /// From now on what is told is gathered, until [`Index::write_all`] was called as often as this.
    pub(crate) fn gather(&self) {
        self.gathered().gatherers += 1;
    }

    /// Writes what was gathered, and gathers no more if nobody else wants it.
    pub(crate) fn write_all(&self) {
        self.write();
        let mut gathered = self.gathered();
        gathered.gatherers = gathered.gatherers.saturating_sub(1);
        if gathered.gatherers == 0 {
            *self.ahead() = Ahead::default();
        }
    }

    fn write_if_much(&self) {
        let is_much = self.gathered().is_much();
        if is_much {
            self.write();
        }
    }

    /// Writes what was gathered in one transaction. What cannot be written is lost, as it may be.
    pub(crate) fn write(&self) {
        let rows = self.gathered().take();
        if rows.is_empty() {
            return;
        }
        self.database.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            write_stamps(&transaction, rows.stamps.values())?;
            {
                let mut statement = transaction.prepare_cached(REMEMBER)?;
                for ((space, key), value) in &rows.values {
                    statement.execute(params![space, key, value])?;
                }
            }
            write_results(&transaction, rows.results())?;
            transaction.commit()
        });
    }

    pub(crate) fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that steps from this name on, and before that one, have results for, the newest first; `None` if the index
    /// cannot answer.
    pub(crate) fn results(&self, pipeline: &str, from: &str, before: &str, limit: usize) -> Option<Vec<Key>> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows: Vec<(i64, Key)> = self.database.with(|connection| {
            let mut statement = connection.prepare_cached(RESULTS)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, Key::from_bytes(row.get(0)?)));
            statement.query_map(params![pipeline, from, before, most], row)?.collect()
        })?;
        let gathered = self.gathered().results(pipeline, from, before);
        if !gathered.is_empty() {
            rows.retain(|(_, key)| gathered.iter().all(|(_, newer)| newer != key));
            rows.extend(gathered);
            rows.sort_by_key(|(finished, key)| (std::cmp::Reverse(*finished), *key));
            rows.truncate(limit);
        }
        Some(rows.into_iter().map(|(_, key)| key).collect())
    }

    /// The pipelines and steps that had results of a key.
    pub(crate) fn steps_of(&self, key: &Key) -> Vec<(String, String)> {
        self.write();
        let steps = self.database.with(|connection| {
            let mut statement = connection.prepare_cached(STEPS)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            statement.query_map([key.as_bytes().as_slice()], row)?.collect()
        });
        steps.unwrap_or_default()
    }

    /// Forgets results that are gone.
    pub(crate) fn forget_results(&self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        self.write();
        self.database.with(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let mut statement = transaction.prepare_cached(FORGET)?;
            for key in keys {
                statement.execute(params![key.as_bytes().as_slice()])?;
            }
            drop(statement);
            transaction.commit()
        });
    }
}

fn write_stamps<'a>(
    transaction: &Transaction<'_>,
    entries: impl Iterator<Item = &'a (Stamp, Digest)>,
) -> rusqlite::Result<()> {
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
    Ok(())
}

fn write_results<'a>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = (&'a str, &'a str, Key, i64)>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(NOTE)?;
    for (pipeline, step, key, finished) in rows {
        statement.execute(params![pipeline, step, key.as_bytes().as_slice(), finished])?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

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
    fn what_begins_alike_is_recalled_together() {
        let scene = Scene::new();
        for key in ["p\0a", "p\0b", "p", "q\0a", "p\u{1}"] {
            scene.cache.remember("space", key.as_bytes(), key.as_bytes());
        }
        scene.cache.remember("other", b"p\0c", b"");
        let keys = |prefix: &[u8]| -> Vec<String> {
            let found = scene.cache.inner.index.recall_all("space", prefix).into_iter();
            found.map(|(key, _)| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys(b"p\0"), ["p\0a", "p\0b"]);
        assert!(keys(b"r\0").is_empty());
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
