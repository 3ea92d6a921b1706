//! What the steps of a run said: the end of every attempt's log, and where the whole of it is.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;
use serde::Serialize;
use tidemill_cache::{Artifact, CacheError};

use super::gather::{Run, Standing, Step};
use crate::error::CliError;
use crate::ui::text::{clean, size};

/// How much of a log is shown, in bytes.
const SHOWN: u64 = 16 << 10;
/// How much of the log of a failed attempt is shown.
const SHOWN_OF_FAILED: u64 = 64 << 10;
/// How much of all logs together is shown.
const ROOM: u64 = 2 << 20;
/// More logs than this are counted.
const MOST: usize = 1000;
/// A log in the cache that is longer than this is not read for its end.
const READ: u64 = 64 << 20;

/// The logs.
#[derive(Debug, Serialize)]
pub(super) struct Logs {
    entries: Vec<Entry>,
    /// How many are not shown.
    more: usize,
}

/// A log.
#[derive(Debug, Serialize)]
struct Entry {
    step: String,
    state: Standing,
    /// Which attempt, if there were several; the run that made it, if it was cached.
    about: String,
    /// Its end.
    text: String,
    /// What is not shown of it, and where the whole is.
    note: String,
    open: bool,
}

/// The end of a log.
struct Tail {
    text: String,
    whole: u64,
    shown: u64,
}

impl Logs {
    /// The logs of a run.
    pub(super) fn of(run: &Run<'_>) -> Result<Self, CliError> {
        let mut sources: Vec<Source<'_>> = run.steps.iter().flat_map(Source::of).collect();
        let more = sources.len().saturating_sub(MOST);
        // What failed is read first, as long as there is room.
        sources.sort_by_key(|source| !source.failed);
        sources.truncate(MOST);
        let mut room = ROOM;
        let entries = sources.iter().map(|source| source.read(run, &mut room)).collect::<Result<_, _>>()?;
        Ok(Self { entries, more })
    }
}

/// Where a log is.
struct Source<'a> {
    step: &'a Step<'a>,
    place: Place<'a>,
    about: String,
    failed: bool,
}

enum Place<'a> {
    File(&'a Utf8Path),
    Cache(&'a Artifact),
}

impl<'a> Source<'a> {
    fn of(step: &'a Step<'a>) -> Vec<Self> {
        let attempts = &step.record.attempts;
        let several = attempts.len() > 1;
        let mut sources: Vec<Self> = attempts
            .iter()
            .enumerate()
            .map(|(place, attempt)| Self {
                step,
                place: Place::File(&attempt.log),
                about: if several { format!("attempt {}", place + 1) } else { String::new() },
                failed: attempt.failure.is_some(),
            })
            .collect();
        if let (true, Some(result)) = (sources.is_empty(), &step.result)
            && let Some(log) = &result.log
        {
            let about = format!("from run {}", clean(&result.run));
            sources.push(Self { step, place: Place::Cache(log), about, failed: false });
        }
        sources
    }

    fn read(&self, run: &Run<'_>, room: &mut u64) -> Result<Entry, CliError> {
        let limit = if self.failed { SHOWN_OF_FAILED } else { SHOWN }.min(*room);
        let name = self.step.name();
        let (tail, place) = match self.place {
            Place::File(path) => (file_tail(path, limit).ok(), run.project.relative(path).to_string()),
            Place::Cache(log) => {
                (cached_tail(run, log, limit)?, format!("`tidemill log '{name}' --run {}`", run.record.run))
            }
        };
        let note = match &tail {
            None => format!("It cannot be read: {place}"),
            Some(tail) if tail.shown < tail.whole => {
                format!("The last {} of {}. All of it: {place}", size(tail.shown), size(tail.whole))
            }
            Some(tail) if tail.whole == 0 => "It said nothing.".to_owned(),
            Some(_) => place,
        };
        *room -= tail.as_ref().map_or(0, |tail| tail.shown.min(*room));
        let text = tail.map(|tail| tail.text).unwrap_or_default();
        Ok(Entry {
            step: name,
            state: self.step.state,
            about: self.about.clone(),
            text,
            note: clean(&note),
            open: self.failed,
        })
    }
}

fn file_tail(path: &Utf8Path, limit: u64) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    let whole = file.metadata()?.len();
    file.seek(SeekFrom::Start(whole.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    // What it said since it was measured is not waited for.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(tail(&bytes, whole))
}

fn cached_tail(run: &Run<'_>, log: &Artifact, limit: u64) -> Result<Option<Tail>, CliError> {
    if log.size > READ {
        return Ok(Some(tail(&[], log.size)));
    }
    match run.project.cache().read(log, READ) {
        Ok(bytes) => {
            let kept = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Some(tail(&bytes[bytes.len() - kept..], log.size)))
        }
        Err(CacheError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The end of a log, from its first whole line on, with nothing in it but text.
fn tail(bytes: &[u8], whole: u64) -> Tail {
    let cut = (bytes.len() as u64) < whole;
    let begin = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if cut => end + 1,
        _ => 0,
    };
    let text = String::from_utf8_lossy(&bytes[begin..]);
    let lines: Vec<String> = text.lines().map(clean).collect();
    Tail { text: lines.join("\n"), whole, shown: (bytes.len() - begin) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        let whole = tail(b"one\ntwo\n", 8);
        assert_eq!((whole.text.as_str(), whole.shown), ("one\ntwo", 8));
        let cut = tail(b"ne\ntwo\n", 8);
        assert_eq!((cut.text.as_str(), cut.shown), ("two", 4));
        let long = tail(b"no end", 100);
        assert_eq!((long.text.as_str(), long.shown), ("no end", 6));
    }

    #[test]
    fn nothing_but_text_is_left() {
        let said = b"\x1b[31mred\x1b[0m\n 10%\r 90%\r100%\n\xff\n";
        assert_eq!(tail(said, said.len() as u64).text, "red\n100%\n\u{fffd}");
    }

    #[test]
    fn only_the_end_of_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("1.log");
        std::fs::write(&path, "line\n".repeat(1000)).unwrap();
        let end = file_tail(&path, 12).unwrap();
        assert_eq!((end.text.as_str(), end.whole, end.shown), ("line\nline", 5000, 10));
        assert!(file_tail(&path.join("none"), 12).is_err());
    }
}
