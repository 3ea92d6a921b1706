//! The index over the journals: one `SQLite` file, `.tidemill/history.db`, that makes lists, filters and sorts fast. The
//! journals are what is true; delete the file, and it is made again from them.
//!
//! One row per run, and one per metric and parameter of a run. The latter lie together by metric, so that a column of the
//! history is read in one sweep, however many other metrics there are.

use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, ToSql, params};
use tidemill_cache::Schema;

use super::column::{Cell, Column, Field};
use super::fold::RunRecord;
use super::line::{RunLine, outcome_of, standing};
use crate::event::{Counts, Git};
use crate::name::{PipelineName, RunId};

/// The tables of the index. `run.state` tells how much is known: see [`State`].
pub(super) const SCHEMA: Schema = Schema {
    version: 1,
    tables: "
    CREATE TABLE folder (stamp BLOB NOT NULL);
    CREATE TABLE pipeline (no INTEGER PRIMARY KEY, name TEXT NOT NULL, file TEXT NOT NULL, UNIQUE (name, file));
    CREATE TABLE run (
        no INTEGER PRIMARY KEY, id TEXT NOT NULL, inode INTEGER NOT NULL, state INTEGER NOT NULL,
        size INTEGER, modified INTEGER, alive INTEGER NOT NULL DEFAULT 0,
        pipeline INTEGER, started INTEGER, finished INTEGER, standing TEXT, wall INTEGER, metrics INTEGER,
        executed INTEGER, cached INTEGER, skipped INTEGER, failed INTEGER, blocked INTEGER,
        cause TEXT, dirty INTEGER, hash TEXT
    );
    CREATE INDEX run_id ON run (id, inode, state);
    CREATE INDEX run_pipeline ON run (pipeline, id);
    CREATE INDEX run_open ON run (id) WHERE state < 3;
    CREATE TABLE series (
        no INTEGER PRIMARY KEY, kind INTEGER NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL,
        UNIQUE (kind, step, name)
    );
    CREATE TABLE value (
        series INTEGER NOT NULL, run INTEGER NOT NULL, value NOT NULL,
        PRIMARY KEY (series, run)
    ) WITHOUT ROWID;
    ",
};

/// How much the index knows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its folder was seen, and its journal not read.
    Unread = 0,
    /// Its journal, as far as there is one, does not begin with its start.
    Vacant = 1,
    /// It runs or died: its journal may grow.
    Open = 2,
    /// It ended: its journal is immutable.
    Finished = 3,
}

/// The file of a journal as it was when it was read: how long, and last written when, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct JournalStamp {
    pub(super) size: i64,
    pub(super) modified: i64,
}

/// A run as its journal tells it, ready to be indexed.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: RunId,
    pub(super) inode: i64,
    pub(super) stamp: JournalStamp,
    pub(super) alive: bool,
    pub(super) record: Option<RunRecord>,
}

const FIND: &str = "SELECT no, state FROM run WHERE id = ?1";
const ADD: &str = "INSERT INTO run (id, inode, state) VALUES (?1, ?2, 0)";
const FORGET_VALUES: &str = "DELETE FROM value WHERE run = ?1 AND series IN (SELECT no FROM series)";
const WRITE: &str = "UPDATE run SET inode = ?2, state = ?3, size = ?4, modified = ?5, alive = ?6, pipeline = ?7, \
    started = ?8, finished = ?9, standing = ?10, wall = ?11, metrics = ?12, executed = ?13, cached = ?14, skipped = ?15, \
    failed = ?16, blocked = ?17, cause = ?18, dirty = ?19, hash = ?20 WHERE no = ?1";
const ADD_VALUE: &str = "INSERT OR REPLACE INTO value VALUES (?1, ?2, ?3)";
const LINE: &str = "SELECT id, alive, started, finished, standing, wall, executed, cached, skipped, failed, blocked, cause, \
    dirty, hash, (SELECT name FROM pipeline WHERE pipeline.no = run.pipeline), \
    (SELECT file FROM pipeline WHERE pipeline.no = run.pipeline) FROM run WHERE no = ?1";

/// Writes what journals tell of runs that the index knows and that have not ended. In a transaction of the caller's.
pub(super) fn write(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut values = Vec::new();
    let mut series = Numbers::new(connection, "series", "kind, step, name")?;
    for entry in entries {
        let Some(no) = place(connection, &entry.id)? else { continue };
        write_row(connection, no, entry)?;
        for (column, cell) in entry.record.iter().flat_map(cells) {
            let (kind, step, name) = match &column {
                Column::Metric { step, name } => (METRIC, step.as_str(), name.as_str()),
                Column::Param(name) => (PARAM, "", name.as_str()),
                Column::Field(_) => continue,
            };
            values.push((series.of(params![kind, step, name])?, no, cell));
        }
    }
    // In the order of the table, so that each of its pages is written once.
    values.sort_unstable_by_key(|(series, run, _)| (*series, *run));
    let mut add = connection.prepare_cached(ADD_VALUE)?;
    for (series, run, cell) in &values {
        add.execute(params![series, run, cell])?;
    }
    Ok(())
}

/// Lets the index know a run, if it does not yet.
pub(super) fn add(connection: &Connection, id: &str, inode: i64) -> rusqlite::Result<()> {
    if connection.prepare_cached(FIND)?.query_row([id], |_| Ok(())).optional()?.is_none() {
        connection.prepare_cached(ADD)?.execute(params![id, inode])?;
    }
    Ok(())
}

const METRIC: i64 = 0;
const PARAM: i64 = 1;

/// The row of a run, with no values; none if the index does not know it, as when it was removed meanwhile, or has its end.
fn place(connection: &Connection, id: &RunId) -> rusqlite::Result<Option<i64>> {
    let found = connection
        .prepare_cached(FIND)?
        .query_row([id.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((no, state)) = found.filter(|(_, state)| *state != State::Finished as i64) else {
        return Ok(None);
    };
    if state == State::Open as i64 {
        connection.prepare_cached(FORGET_VALUES)?.execute([no])?;
    }
    Ok(Some(no))
}

fn write_row(connection: &Connection, no: i64, entry: &Entry) -> rusqlite::Result<()> {
    let Entry { inode, stamp, alive, record, .. } = entry;
    let line = record.as_ref().map(RunLine::of);
    let state = match &line {
        None => State::Vacant,
        Some(line) if line.outcome.is_none() => State::Open,
        Some(_) => State::Finished,
    };
    let line = line.as_ref();
    let pipeline = line
        .map(|line| {
            let mut pipelines = Numbers::new(connection, "pipeline", "name, file")?;
            pipelines.of(params![line.pipeline.as_str(), line.file])
        })
        .transpose()?;
    let count = |of: fn(&Counts) -> usize| line.map(|line| int(of(&line.counts)));
    let metrics = record.as_ref().map(|record| record.steps.iter().map(|step| step.metrics.len()).sum());
    connection.prepare_cached(WRITE)?.execute(params![
        no,
        inode,
        state as i64,
        stamp.size,
        stamp.modified,
        *alive && state != State::Finished,
        pipeline,
        line.map(|line| nanoseconds(line.started)),
        line.and_then(|line| line.finished).map(nanoseconds),
        line.map(|line| standing(line.outcome, line.alive)),
        line.map(|line| i64::try_from(line.wall_ms).unwrap_or(i64::MAX)),
        metrics.map(int),
        count(|counts| counts.executed),
        count(|counts| counts.cached),
        count(|counts| counts.skipped),
        count(|counts| counts.failed),
        count(|counts| counts.blocked),
        line.map(|line| serde_json::to_string(&line.cause).unwrap_or_default()),
        line.and_then(|line| line.git.as_ref()).map(|git| git.dirty),
        line.and_then(|line| line.git.as_ref()).map(|git| git.commit.as_str()),
    ])?;
    Ok(())
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A time as the index keeps it. Beyond the year 2262, which no clock shows, it stays at its end.
pub(super) fn nanoseconds(at: jiff::Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// The metrics and parameters of a run.
fn cells(record: &RunRecord) -> impl Iterator<Item = (Column, Cell)> + '_ {
    let metrics = record.steps.iter().flat_map(|step| {
        let column =
            |name: &String| Column::Metric { step: step.step.as_str().to_owned(), name: name.clone() };
        step.metrics.iter().map(move |(name, value)| (column(name), Cell::Float(*value)))
    });
    let param = |(name, value)| Some((Column::Param(String::clone(name)), Cell::of(value)?));
    metrics.chain(record.params.iter().filter_map(param))
}

/// The numbers of texts in a table.
struct Numbers<'a> {
    find: CachedStatement<'a>,
    add: CachedStatement<'a>,
}

impl<'a> Numbers<'a> {
    fn new(connection: &'a Connection, table: &str, columns: &str) -> rusqlite::Result<Self> {
        let count = columns.split(',').count();
        let marks: Vec<String> = (1..=count).map(|place| format!("?{place}")).collect();
        let marks = marks.join(", ");
        let find = format!("SELECT no FROM {table} WHERE ({columns}) = ({marks})");
        let add = format!("INSERT INTO {table} ({columns}) VALUES ({marks})");
        Ok(Self { find: connection.prepare_cached(&find)?, add: connection.prepare_cached(&add)? })
    }

    fn of(&mut self, texts: &[&dyn ToSql]) -> rusqlite::Result<i64> {
        match self.find.query_row(texts, |row| row.get(0)).optional()? {
            Some(no) => Ok(no),
            None => self.add.insert(texts),
        }
    }
}

/// All metrics and parameters that any run has, with their numbers.
pub(super) fn series(connection: &Connection) -> rusqlite::Result<Vec<(i64, Column)>> {
    let mut statement =
        connection.prepare_cached("SELECT no, kind, step, name FROM series ORDER BY 2, 3, 4")?;
    let rows = statement.query_map([], |row| {
        let column = match row.get(1)? {
            METRIC => Column::Metric { step: row.get(2)?, name: row.get(3)? },
            _ => Column::Param(row.get(3)?),
        };
        Ok((row.get(0)?, column))
    })?;
    rows.collect()
}

/// The line of a run, without values.
pub(super) fn line(connection: &Connection, no: i64) -> rusqlite::Result<RunLine> {
    connection.prepare_cached(LINE)?.query_row([no], |row| {
        let word: String = row.get(4)?;
        let commit: Option<String> = row.get(13)?;
        let dirty: Option<bool> = row.get(12)?;
        let count = |place| row.get::<_, i64>(place).map(|count| usize::try_from(count).unwrap_or(0));
        Ok(RunLine {
            run: text(row, 0, RunId::new)?,
            pipeline: text(row, 14, PipelineName::new)?,
            file: row.get(15)?,
            cause: text(row, 11, |text| serde_json::from_str(text))?,
            git: commit.map(|commit| Git { commit, dirty: dirty.unwrap_or(false) }),
            started: time(row.get(2)?)?,
            finished: row.get::<_, Option<i64>>(3)?.map(time).transpose()?,
            outcome: outcome_of(&word),
            alive: row.get(1)?,
            wall_ms: row.get::<_, i64>(5)?.unsigned_abs(),
            counts: Counts {
                executed: count(6)?,
                cached: count(7)?,
                skipped: count(8)?,
                failed: count(9)?,
                blocked: count(10)?,
            },
            values: std::collections::BTreeMap::new(),
        })
    })
}

/// A text that was checked when it was written; if it is not valid now, the index is damaged.
fn text<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    place: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let text: String = row.get(place)?;
    parse(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(place, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn time(nanoseconds: i64) -> rusqlite::Result<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(nanoseconds.into())
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, nanoseconds))
}

/// What stands in a field of all runs, as an expression over `run`.
pub(super) fn expression(field: Field) -> &'static str {
    match field {
        Field::Run => "id",
        Field::Started => "started",
        Field::Finished => "finished",
        Field::Pipeline => "(SELECT name FROM pipeline WHERE pipeline.no = run.pipeline)",
        Field::File => "(SELECT file FROM pipeline WHERE pipeline.no = run.pipeline)",
        Field::Outcome => "standing",
        Field::Cause => "json_extract(cause, '$')",
        Field::Commit => "hash",
        Field::Executed => "executed",
        Field::Cached => "cached",
        Field::Skipped => "skipped",
        Field::Failed => "failed",
        Field::Blocked => "blocked",
        Field::Time => "wall",
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            // What SQLite has no kind for is kept as the bytes of its JSON.
            Self::Bool(truth) => ToSqlOutput::Owned(Sql::Blob(truth.to_string().into_bytes())),
            Self::Json(text) => ToSqlOutput::Borrowed(ValueRef::Blob(text.as_bytes())),
        })
    }
}

impl Cell {
    /// The cell that was written; none for nothing.
    pub(super) fn read(value: ValueRef<'_>) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match value {
            ValueRef::Null => return None,
            ValueRef::Integer(number) => Self::Int(number),
            ValueRef::Real(number) => Self::Float(number),
            ValueRef::Text(bytes) => Self::Text(text(bytes)),
            ValueRef::Blob(b"true") => Self::Bool(true),
            ValueRef::Blob(b"false") => Self::Bool(false),
            ValueRef::Blob(bytes) => Self::Json(text(bytes)),
        })
    }
}
