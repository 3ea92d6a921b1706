//! The history of a project: all its runs, newest first.
//!
//! One run is read from its journal; questions about many are answered by the [index](super::index).

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::Connection;
use tidemill_cache::{Artifact, Cache, Database};

use super::cached::unfold;
use super::error::{RecordError, Trouble};
use super::fold::RunRecord;
use super::index::SCHEMA;
use super::journal::{ALIVE, JOURNAL, PRESENCE};
use super::query::{Found, Query, select};
use super::sync;
use crate::event::{Event, Outcome, Stamped};
use crate::name::{PipelineName, RunId};

/// The last line of a journal is shorter, in bytes.
const TAIL: u64 = 4096;

/// The runs of a project. Clones share what is open.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) state: Utf8PathBuf,
    pub(super) folder: Utf8PathBuf,
    index: Arc<Index>,
}

#[derive(Debug)]
struct Index {
    database: Database,
    /// In its place where there can be no file.
    memory: Mutex<Option<Connection>>,
}

/// The name of the index in the state folder.
const INDEX: &str = "history.db";
/// So many unread journals are read at most to find the run before one.
const FEW: usize = 500;
/// What stands after every id.
const LATEST: &str = "\u{10ffff}";

impl History {
    /// The history of the project with this state folder.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        let database = Database::new(state.join(INDEX), SCHEMA);
        let index = Arc::new(Index { database, memory: Mutex::default() });
        Self { state: state.to_owned(), folder: state.join("runs"), index }
    }

    /// The ids of all runs, newest first.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn ids(&self) -> Result<Vec<RunId>, RecordError> {
        let io = |source| RecordError::Io { path: self.folder.clone(), source };
        let listing = match self.folder.read_dir_utf8() {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut ids = Vec::new();
        for entry in listing {
            let entry = entry.map_err(io)?;
            ids.extend(RunId::new(entry.file_name()).ok());
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The ids of the newest runs, newest first: all that have a folder, also if nothing is known of them.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn recent_ids(&self, limit: usize) -> Result<Vec<RunId>, RecordError> {
        self.ids_like("", limit)
    }

    /// The newest runs, newest first; all of them without a limit.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn list(&self, limit: Option<usize>) -> Result<Vec<RunRecord>, RecordError> {
        let mut records = Vec::new();
        for id in self.recent_ids(usize::MAX)? {
            if limit.is_some_and(|limit| records.len() >= limit) {
                break;
            }
            records.extend(self.record(&id)?);
        }
        Ok(records)
    }

    /// How many journals the index does not know yet and the next [`select`](Self::select) reads: many, if it was deleted.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn unread(&self) -> Result<usize, RecordError> {
        self.ask(|connection| {
            sync::names(self, connection)?;
            Ok(sync::unread(connection)?)
        })
    }

    /// The runs that a query asks for.
    ///
    /// # Errors
    /// If the query names something that is not there, or the history cannot be read.
    pub fn select(&self, query: &Query) -> Result<Found, RecordError> {
        self.ask(|connection| {
            sync::names(self, connection)?;
            sync::journals(self, connection, usize::MAX)?;
            select(connection, query)
        })
    }

    /// The run that a text means: an id, the beginning of exactly one id, or `last`.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn find(&self, text: &str) -> Result<RunRecord, RecordError> {
        if text == "last" {
            return self.last()?.ok_or(RecordError::Empty);
        }
        let not_found = || RecordError::NotFound { text: text.to_owned() };
        if let Ok(id) = RunId::new(text)
            && let Some(record) = self.record(&id)?
        {
            return Ok(record);
        }
        let ids = self.ids_like(text, 5)?;
        match ids.as_slice() {
            [] => Err(not_found()),
            [id] => self.record(id)?.ok_or_else(not_found),
            several => {
                let candidates = several.iter().map(ToString::to_string).collect();
                Err(RecordError::Ambiguous { text: text.to_owned(), candidates })
            }
        }
    }

    /// The newest run.
    fn last(&self) -> Result<Option<RunRecord>, RecordError> {
        // The folder of a run that begins just now, or could not, tells nothing.
        for id in self.recent_ids(FEW)? {
            if let Some(record) = self.record(&id)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The last finished run of a pipeline before another run, however it ended.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn previous(
        &self,
        pipeline: &PipelineName,
        before: &RunId,
    ) -> Result<Option<RunRecord>, RecordError> {
        self.ask(|connection| sync::names(self, connection))?;
        self.earlier(pipeline, before.as_str(), "")
    }

    /// The last finished run of a pipeline, however it ended.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn last_of(&self, pipeline: &PipelineName) -> Result<Option<RunRecord>, RecordError> {
        self.ask(|connection| sync::names(self, connection))?;
        self.earlier(pipeline, LATEST, "")
    }

    /// The last finished run of a pipeline with metrics before another run: one that failed early is nothing to compare with.
    ///
    /// This is asked at the end of every run with metrics, so it does not list the folder: a run whose process could not write to
    /// the index is overlooked until the next question about the whole history.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn previous_with_metrics(
        &self,
        pipeline: &PipelineName,
        before: &RunId,
    ) -> Result<Option<RunRecord>, RecordError> {
        self.earlier(pipeline, before.as_str(), " AND metrics > 0")
    }

    fn earlier(
        &self,
        pipeline: &PipelineName,
        before: &str,
        restriction: &str,
    ) -> Result<Option<RunRecord>, RecordError> {
        let statement = format!(
            "SELECT id FROM run WHERE pipeline IN (SELECT no FROM pipeline WHERE name = ?1) AND id < ?2 AND state = 3\
             {restriction} ORDER BY id DESC LIMIT 8"
        );
        let ids = self.ask(|connection| {
            if !sync::is_complete(connection)? {
                sync::names(self, connection)?;
            }
            sync::journals(self, connection, FEW)?;
            let mut statement = connection.prepare_cached(&statement)?;
            let ids = statement.query_map([pipeline.as_str(), before], |row| row.get(0))?;
            Ok(ids.collect::<Result<Vec<String>, _>>()?)
        })?;
        // What is true stands in the journal; a run may have been removed since.
        for id in ids.iter().filter_map(|id| RunId::new(id).ok()) {
            if let Some(record) = self.record(&id)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Lets the index know a run that ended just now. It is no loss if that fails: whoever asks next reads the journal.
    pub(super) fn ended(&self, run: &RunId) {
        self.index.database.with(|connection| settle(sync::ended(self, connection, run)));
    }

    /// The newest ids that begin like this, newest first.
    fn ids_like(&self, beginning: &str, limit: usize) -> Result<Vec<RunId>, RecordError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let end = format!("{beginning}{LATEST}");
        let ids = self.ask(|connection| {
            sync::names(self, connection)?;
            let statement = "SELECT id FROM run WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut statement = connection.prepare_cached(statement)?;
            let ids = statement.query_map(rusqlite::params![beginning, end, limit], |row| row.get(0))?;
            Ok(ids.collect::<Result<Vec<String>, _>>()?)
        })?;
        Ok(ids.iter().filter_map(|id| RunId::new(id).ok()).collect())
    }

    /// Asks the index; if there is none and can be none, one in memory.
    fn ask<T>(&self, question: impl Fn(&Connection) -> Result<T, Trouble>) -> Result<T, RecordError> {
        if let Some(answer) = self.index.database.with(|connection| settle(question(connection))) {
            return answer;
        }
        let mut memory = self.index.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match memory.take() {
            Some(connection) => connection,
            None => Database::in_memory(SCHEMA).map_err(RecordError::Search)?,
        };
        let answer = settle(question(&connection)).map_err(RecordError::Search)?;
        *memory = Some(connection);
        answer
    }

    /// The events of a run, every step told by itself. Lines that a crash cut short or that make no sense are passed over.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events(&self, run: &RunId) -> Result<Vec<Stamped>, RecordError> {
        let written = self.written(run)?;
        let has_lists = written.iter().any(|stamped| matches!(stamped.event, Event::StepsCached { .. }));
        Ok(match has_lists.then(|| Cache::open(&self.state)) {
            Some(Ok(cache)) => unfold(&cache, written),
            _ => written,
        })
    }

    /// The events of a run as the journal has them.
    fn written(&self, run: &RunId) -> Result<Vec<Stamped>, RecordError> {
        self.each_written(run)?.collect()
    }

    /// The same, read one by one: a journal may be long.
    pub(super) fn each_written(
        &self,
        run: &RunId,
    ) -> Result<impl Iterator<Item = Result<Stamped, RecordError>>, RecordError> {
        let path = self.journal(run);
        let file = match File::open(&path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(RecordError::Io { path, source }),
        };
        let lines = file.into_iter().flat_map(|file| file.split(b'\n'));
        Ok(lines.filter_map(move |line| match line {
            Ok(line) => serde_json::from_slice(&line).ok().map(Ok),
            Err(source) => Some(Err(RecordError::Io { path: path.clone(), source })),
        }))
    }

    /// The lists of cached steps that the journal of a run names: objects of the cache that it needs.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn lists(&self, run: &RunId) -> Result<Vec<Artifact>, RecordError> {
        let lists = self.written(run)?.into_iter().filter_map(|stamped| match stamped.event {
            Event::StepsCached { lists, .. } => Some(lists),
            _ => None,
        });
        Ok(lists.flatten().collect())
    }

    /// How a run ended, and when, from the end of its journal alone; none if it did not, or that cannot be read.
    #[must_use]
    pub fn outcome(&self, run: &RunId) -> Option<(Outcome, jiff::Timestamp)> {
        let mut file = File::open(self.journal(run)).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).ok()?;
        let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
        match serde_json::from_slice::<Stamped>(last).ok()? {
            Stamped { at, event: Event::RunFinished { outcome, .. } } => Some((outcome, at)),
            _ => None,
        }
    }

    /// Whether a run has begun: it has a journal, however little that tells.
    #[must_use]
    pub fn has_begun(&self, run: &RunId) -> bool {
        self.journal(run).exists()
    }

    /// The pipeline of a run, by the beginning of its journal.
    #[must_use]
    pub fn pipeline_of(&self, run: &RunId) -> Option<PipelineName> {
        let first = self.each_written(run).ok()?.next()?.ok()?;
        match first.event {
            Event::RunStarted { pipeline, .. } => Some(pipeline),
            _ => None,
        }
    }

    /// The runs that told something since.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub(crate) fn changed_since(&self, since: std::time::SystemTime) -> Result<Vec<RunId>, RecordError> {
        let mut ids = self.ids()?;
        ids.retain(|id| {
            let changed = fs::metadata(self.journal(id)).and_then(|facts| facts.modified());
            changed.is_ok_and(|changed| changed >= since)
        });
        Ok(ids)
    }

    /// Whether the process of a run lives: it holds a lock that dies with it.
    #[must_use]
    pub fn is_alive(&self, run: &RunId) -> bool {
        let folder = self.folder.join(run.as_str());
        let is_locked = File::open(folder.join(ALIVE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)));
        // Where hosts share the folder, the lock may hold on the run's own host only.
        is_locked
            || fs::read_to_string(folder.join(PRESENCE)).is_ok_and(|token| {
                let is_name = token.bytes().all(|byte| byte.is_ascii_hexdigit());
                !token.is_empty() && is_name && self.state.join("presence").join(token).exists()
            })
    }

    /// Notes by what other hosts know that the process of a run lives.
    pub(crate) fn note_presence(&self, run: &RunId, token: &str) -> Result<(), RecordError> {
        let path = self.folder.join(run.as_str()).join(PRESENCE);
        fs::write(&path, token).map_err(|source| RecordError::Io { path, source })
    }

    /// Where the journal of a run lies.
    pub(super) fn journal(&self, run: &RunId) -> Utf8PathBuf {
        self.folder.join(run.as_str()).join(JOURNAL)
    }

    fn record(&self, run: &RunId) -> Result<Option<RunRecord>, RecordError> {
        // Of a run that does not live the journal is complete; so this is asked first.
        self.folded(run, self.is_alive(run))
    }

    /// The record of a run that is known to live or not.
    pub(super) fn folded(&self, run: &RunId, alive: bool) -> Result<Option<RunRecord>, RecordError> {
        Ok(RunRecord::fold(self.events(run)?, alive))
    }
}

/// Sorts out whose trouble it is.
fn settle<T>(answer: Result<T, Trouble>) -> rusqlite::Result<Result<T, RecordError>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(Trouble::Record(error)) => Ok(Err(error)),
        Err(Trouble::Sql(error)) => Err(error),
    }
}
