//! What this machine knows of a store: where chunks lie, which indexes were read, which results went over. All of it can be lost:
//! it is learned again.

use std::collections::HashSet;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use tidemill_cache::{Database, Digest, Key, Schema};

use crate::chunks::Name;
use crate::level::Level;
use crate::pack::Place;

const SCHEMA: Schema = Schema {
    version: 1,
    tables: "
        CREATE TABLE packs (number INTEGER PRIMARY KEY, level INTEGER NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
            listed INTEGER NOT NULL, UNIQUE (level, digest));
        CREATE TABLE chunks (digest BLOB NOT NULL, kind INTEGER NOT NULL, pack INTEGER NOT NULL, start INTEGER NOT NULL,
            length INTEGER NOT NULL, place INTEGER NOT NULL, stored INTEGER NOT NULL, raw INTEGER NOT NULL,
            PRIMARY KEY (digest, kind)) WITHOUT ROWID;
        CREATE INDEX chunks_of_pack ON chunks (pack);
        CREATE TABLE contents (digest BLOB NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (digest, pack)) WITHOUT ROWID;
        CREATE TABLE indexes (level INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (level, name)) WITHOUT ROWID;
        CREATE TABLE results (key BLOB NOT NULL, number INTEGER NOT NULL, level INTEGER NOT NULL, there INTEGER NOT NULL,
            PRIMARY KEY (key, number)) WITHOUT ROWID;
    ",
};

/// A pack, and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PackId {
    pub(crate) level: Level,
    pub(crate) digest: Digest,
    /// Its bytes.
    pub(crate) size: u64,
}

/// A chunk, its pack, and where it lies in it.
pub(crate) type Located = (Name, PackId, Place);

/// What is known of one store.
#[derive(Debug)]
pub(crate) struct Known {
    database: Database,
}

/// So many chunks are asked for one by one; for more, all names are read.
const FEW: usize = 20_000;

impl Known {
    /// What is known of the store with this id.
    pub(crate) fn open(state: &Utf8Path, id: &str) -> Self {
        let folder = state.join("stores");
        if let Err(error) = std::fs::create_dir_all(&folder) {
            tracing::debug!(%folder, %error, "what is known of the store cannot be kept");
        }
        Self { database: Database::new(Self::path(&folder, id), SCHEMA) }
    }

    fn path(folder: &Utf8Path, id: &str) -> Utf8PathBuf {
        folder.join(format!("{id}.db"))
    }

    /// Where this chunk lies.
    pub(crate) fn find(&self, name: &Name) -> Option<Located> {
        self.find_all(std::slice::from_ref(name)).pop().flatten()
    }

    /// Where each of these chunks lies.
    pub(crate) fn find_all(&self, names: &[Name]) -> Vec<Option<Located>> {
        let query = |connection: &Connection| {
            // One transaction: without it each query takes and gives back the lock of the file.
            let transaction = connection.unchecked_transaction()?;
            let mut statement = transaction.prepare_cached(
                "SELECT place, stored, raw, start, length, level, packs.digest, size FROM chunks JOIN packs ON number = pack
                 WHERE chunks.digest = ? AND kind = ?",
            )?;
            let find = |name: &Name| {
                let key = params![name.digest.as_bytes(), name.kind.number()];
                statement.query_row(key, |row| Ok((place(row)?, pack(row, 5)?))).optional()
            };
            let mut found = Vec::with_capacity(names.len());
            for (name, row) in names.iter().zip(names.iter().map(find)) {
                found.push(match row? {
                    Some((place, Some(pack))) if place.is_possible() => Some((*name, pack, place)),
                    _ => None,
                });
            }
            Ok(found)
        };
        self.database.with(query).unwrap_or_else(|| vec![None; names.len()])
    }

    /// Which of these chunks the store has.
    pub(crate) fn has(&self, names: &[Name]) -> Vec<bool> {
        if names.len() <= FEW {
            return self.find_all(names).into_iter().map(|found| found.is_some()).collect();
        }
        let query = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT digest, kind FROM chunks")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, u8>(1)?)))?;
            rows.collect::<rusqlite::Result<HashSet<([u8; 32], u8)>>>()
        };
        let all = self.database.with(query).unwrap_or_default();
        names.iter().map(|name| all.contains(&(*name.digest.as_bytes(), name.kind.number()))).collect()
    }

    /// Learns where chunks lie. Of a chunk that lies at two places, the one learned first stays.
    pub(crate) fn learn(&self, pack: &PackId, chunks: &[(Name, Place)], is_all: bool) {
        self.learn_all(&[(*pack, chunks.to_vec())], is_all);
    }

    /// The same for several packs.
    pub(crate) fn learn_all(&self, packs: &[(PackId, Vec<(Name, Place)>)], is_all: bool) {
        self.change(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO chunks (digest, kind, pack, place, stored, raw, start, length)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for (pack, chunks) in packs {
                let number = number_of(transaction, pack, is_all)?;
                for (name, place) in chunks {
                    insert.execute(params![
                        name.digest.as_bytes(),
                        name.kind.number(),
                        number,
                        place.offset,
                        place.stored,
                        place.raw,
                        place.start,
                        place.length
                    ])?;
                }
            }
            Ok(())
        });
    }

    /// Learns which packs hold all of a content.
    pub(crate) fn learn_content(&self, digest: Digest, packs: &[PackId]) {
        self.change(|transaction| {
            for pack in packs {
                let number = number_of(transaction, pack, false)?;
                let mut insert = transaction
                    .prepare_cached("INSERT OR IGNORE INTO contents (digest, pack) VALUES (?, ?)")?;
                insert.execute(params![digest.as_bytes(), number])?;
            }
            Ok(())
        });
    }

    /// The packs that hold all of a content and whose tables were not read yet.
    pub(crate) fn unread_packs_of(&self, digest: Digest) -> Vec<PackId> {
        let query = |connection: &Connection| {
            let mut statement = connection.prepare_cached(
                "SELECT level, packs.digest, size FROM contents JOIN packs ON number = pack
                 WHERE contents.digest = ? AND listed = 0",
            )?;
            let rows = statement.query_map([digest.as_bytes()], |row| pack(row, 0))?;
            rows.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<_>>>()
        };
        self.database.with(query).unwrap_or_default()
    }

    /// Whether any pack is known to hold this content as a part of what it was pushed with.
    pub(crate) fn has_packs_of(&self, digest: Digest) -> bool {
        let query = |connection: &Connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM contents WHERE digest = ?)",
                [digest.as_bytes()],
                |row| row.get(0),
            )
        };
        self.database.with(query).unwrap_or_default()
    }

    /// Forgets a pack that is gone or damaged.
    pub(crate) fn forget(&self, pack: &PackId) {
        self.change(|transaction| {
            let number: Option<i64> = transaction
                .query_row(
                    "SELECT number FROM packs WHERE level = ? AND digest = ?",
                    params![pack.level.number(), pack.digest.as_bytes()],
                    |row| row.get(0),
                )
                .optional()?;
            for table in ["chunks WHERE pack", "contents WHERE pack", "packs WHERE number"] {
                transaction.execute(&format!("DELETE FROM {table} = ?"), [number])?;
            }
            Ok(())
        });
    }

    /// Forgets where chunks lie.
    pub(crate) fn forget_chunks(&self, names: &[Name]) {
        self.change(|transaction| {
            for name in names {
                transaction.execute(
                    "DELETE FROM chunks WHERE digest = ? AND kind = ?",
                    params![name.digest.as_bytes(), name.kind.number()],
                )?;
            }
            Ok(())
        });
    }

    /// Whether an index was read.
    pub(crate) fn has_read(&self, level: Level, name: &str) -> bool {
        let query = |connection: &Connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM indexes WHERE level = ? AND name = ?)",
                params![level.number(), name],
                |row| row.get(0),
            )
        };
        self.database.with(query).unwrap_or_default()
    }

    /// Notes that an index was read, or written.
    pub(crate) fn note_read(&self, level: Level, name: &str) {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR IGNORE INTO indexes (level, name) VALUES (?, ?)",
                params![level.number(), name],
            )?;
            Ok(())
        });
    }

    /// Notes that a result is in the store: its number here, and its number there.
    pub(crate) fn note_result(&self, key: &Key, number: u64, level: Level, there: u64) {
        let [number, there] = [number, there].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO results (key, number, level, there) VALUES (?, ?, ?, ?)",
                params![key.as_bytes(), number, level.number(), there],
            )?;
            Ok(())
        });
    }

    /// At which level and number a result is in the store.
    pub(crate) fn result(&self, key: &Key, number: u64) -> Option<(Level, u64)> {
        let number = i64::try_from(number).ok()?;
        let query = |connection: &Connection| {
            let mut statement =
                connection.prepare_cached("SELECT level, there FROM results WHERE key = ? AND number = ?")?;
            statement
                .query_row(params![key.as_bytes(), number], |row| {
                    Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?))
                })
                .optional()
        };
        let (level, there) = self.database.with(query)??;
        Some((Level::of_number(level)?, u64::try_from(there).ok()?))
    }

    /// Forgets that a result is in the store.
    pub(crate) fn forget_result(&self, key: &Key, level: Level, there: u64) {
        let there = i64::try_from(there).unwrap_or(i64::MAX);
        self.change(|transaction| {
            transaction.execute(
                "DELETE FROM results WHERE key = ? AND level = ? AND there = ?",
                params![key.as_bytes(), level.number(), there],
            )?;
            Ok(())
        });
    }

    /// The keys with results in the store.
    pub(crate) fn keys(&self) -> HashSet<Key> {
        let query = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT DISTINCT key FROM results")?;
            let rows = statement.query_map([], |row| row.get(0).map(Key::from_bytes))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        self.database.with(query).unwrap_or_default()
    }

    /// Forgets the results of a level that are not among these, each by its key and its number there.
    pub(crate) fn keep_results(&self, level: Level, there: &HashSet<(Key, u64)>) {
        self.change(|transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT key, there FROM results WHERE level = ?")?;
            let rows = statement.query_map([level.number()], |row| {
                Ok((Key::from_bytes(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            let known = rows.collect::<rusqlite::Result<Vec<(Key, u64)>>>()?;
            let mut delete = transaction
                .prepare_cached("DELETE FROM results WHERE key = ? AND level = ? AND there = ?")?;
            for (key, number) in known.into_iter().filter(|result| !there.contains(result)) {
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                delete.execute(params![key.as_bytes(), level.number(), number])?;
            }
            Ok(())
        });
    }

    /// The numbers here of a result in the store.
    pub(crate) fn numbers_here(&self, key: &Key, level: Level, there: u64) -> Vec<u64> {
        let there = i64::try_from(there).unwrap_or(i64::MAX);
        let query = |connection: &Connection| {
            let mut statement = connection
                .prepare_cached("SELECT number FROM results WHERE key = ? AND level = ? AND there = ?")?;
            let rows = statement
                .query_map(params![key.as_bytes(), level.number(), there], |row| row.get::<_, i64>(0))?;
            rows.collect::<rusqlite::Result<Vec<i64>>>()
        };
        let numbers = self.database.with(query).unwrap_or_default();
        numbers.into_iter().filter_map(|number| u64::try_from(number).ok()).collect()
    }

    fn change(&self, work: impl Fn(&Connection) -> rusqlite::Result<()>) {
        let _ = self.database.with(|connection| {
            let transaction =
                rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            work(&transaction)?;
            transaction.commit()
        });
    }
}

fn number_of(connection: &Connection, pack: &PackId, is_all: bool) -> rusqlite::Result<i64> {
    let (level, size) = (pack.level.number(), i64::try_from(pack.size).unwrap_or(i64::MAX));
    connection.execute(
        "INSERT INTO packs (level, digest, size, listed) VALUES (?, ?, ?, ?)
         ON CONFLICT (level, digest) DO UPDATE SET listed = max(listed, excluded.listed)",
        params![level, pack.digest.as_bytes(), size, is_all],
    )?;
    connection.query_row(
        "SELECT number FROM packs WHERE level = ? AND digest = ?",
        params![level, pack.digest.as_bytes()],
        |row| row.get(0),
    )
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        offset: row.get(0)?,
        stored: row.get(1)?,
        raw: row.get(2)?,
        start: row.get(3)?,
        length: row.get(4)?,
    })
}

fn pack(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<PackId>> {
    let level = Level::of_number(row.get(at)?);
    let (digest, size) = (Digest::from_bytes(row.get(at + 1)?), row.get::<_, i64>(at + 2)?);
    Ok(level.map(|level| PackId { level, digest, size: size.unsigned_abs() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(text: &str) -> PackId {
        PackId { level: Level::Dev, digest: Digest::of(text.as_bytes()), size: 100 }
    }

    fn chunk(text: &str) -> (Name, Place) {
        let place = Place { offset: 3, stored: 10, raw: 20, start: 1, length: 5 };
        (Name::data(Digest::of(text.as_bytes())), place)
    }

    #[test]
    fn what_was_learned_is_found_until_the_pack_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::open(Utf8Path::from_path(folder.path()).unwrap(), "id");
        let (a, b) = (chunk("a"), chunk("b"));
        known.learn(&pack("one"), &[a, b], true);
        known.learn(&pack("two"), &[a], true);
        assert_eq!(known.find(&a.0), Some((a.0, pack("one"), a.1)));
        assert_eq!(known.find(&Name::list(a.0.digest)), None, "a list is another thing than data");
        assert_eq!(known.has(&[b.0, chunk("c").0]), [true, false]);
        known.learn_content(Digest::of(b"folder"), &[pack("one"), pack("three")]);
        assert_eq!(known.unread_packs_of(Digest::of(b"folder")), [pack("three")]);
        known.forget(&pack("one"));
        assert_eq!(known.find(&b.0), None);
        known.learn(&pack("two"), &[a], true);
        assert_eq!(known.find(&a.0), Some((a.0, pack("two"), a.1)));
    }

    #[test]
    fn results_and_indexes_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::open(Utf8Path::from_path(folder.path()).unwrap(), "id");
        let key = Key::of_recipe(b"recipe");
        assert_eq!(known.result(&key, 1), None);
        known.note_result(&key, 1, Level::Ci, 3);
        assert_eq!(known.result(&key, 1), Some((Level::Ci, 3)));
        assert!(!known.has_read(Level::Dev, "x"));
        known.note_read(Level::Dev, "x");
        assert!(known.has_read(Level::Dev, "x") && !known.has_read(Level::Ci, "x"));
    }
}
