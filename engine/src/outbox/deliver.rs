//! Tells what is due, one process at a time: places side by side, what goes to one place in order. A place that cannot be told has a rest,
//! so that it keeps no others waiting and nothing overtakes what waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tidemill_notify::{DeliveryError, Kind, backoff};
use tokio::time::Instant;

use super::entry::{Entry, Recipient};
use super::error::OutboxError;
use super::place::{NoPlace, look_up};
use super::shelf::Outbox;
use crate::project::Project;

/// So many places are told at once.
const PLACES: usize = 8;
/// A place that could not be told rests no longer than this: it may be one thing alone that it cannot take.
const BEHIND: SignedDuration = SignedDuration::from_mins(10);
/// Between two looks whether another process has ended telling.
const PAUSE: Duration = Duration::from_millis(50);
/// Another process that tells is waited for so long, if nothing else is said.
const BUSY: SignedDuration = SignedDuration::from_secs(1);

/// What happens to an entry.
#[derive(Debug)]
pub enum Told<'a> {
    /// It was told.
    Delivered(&'a Entry),
    /// It could not be told, and is tried again.
    Again(&'a Entry),
    /// It could not be told, and is not tried again.
    Dead(&'a Entry),
}

/// Who listens.
pub type Listener = Arc<dyn Fn(&Told<'_>) + Send + Sync>;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// How many were told.
    pub delivered: usize,
    /// How many cannot be told.
    pub dead: usize,
    /// When to come again, if something waits.
    pub next: Option<Timestamp>,
}

/// Tells what is due, each once. `limit`: for how long at most; then another process that tells is waited for too.
///
/// # Errors
/// If the outbox cannot be used.
pub async fn deliver(
    project: &Project,
    limit: Option<Duration>,
    tell: &Listener,
) -> Result<Pass, OutboxError> {
    let outbox = Outbox::below(project.state());
    let deadline = limit.map(|limit| Instant::now() + limit);
    let lock = loop {
        if let Some(lock) = outbox.lock()? {
            break lock;
        }
        match deadline {
            Some(deadline) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            _ => return Ok(Pass { next: Some(later(Timestamp::now(), BUSY)), ..Pass::default() }),
        }
    };
    let (due, next) = due(outbox.waiting()?, Timestamp::now());
    let telling = Telling { project, outbox: &outbox, deadline, tell };
    let passes = stream::iter(due.into_iter().map(|(to, entries)| telling.place(to, entries)));
    let passes: Vec<Result<Pass, OutboxError>> = passes.buffer_unordered(PLACES).collect().await;
    drop(lock);
    passes.into_iter().try_fold(Pass { next, ..Pass::default() }, |sum, pass| pass.map(|pass| sum.and(pass)))
}

impl Pass {
    fn and(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            dead: self.dead + other.dead,
            next: self.next.into_iter().chain(other.next).min(),
        }
    }
}

/// What is due now by place, and when the next of the others is.
fn due(entries: Vec<Entry>, now: Timestamp) -> (BTreeMap<Recipient, Vec<Entry>>, Option<Timestamp>) {
    let mut due: BTreeMap<Recipient, Vec<Entry>> = BTreeMap::new();
    let mut rests: BTreeMap<Recipient, Timestamp> = BTreeMap::new();
    let mut next: Option<Timestamp> = None;
    for entry in entries {
        let is_due = entry.next <= now || is_of_another_clock(&entry, now);
        if !is_due {
            next = next.into_iter().chain([entry.next]).min();
        }
        if let Some(tried) = entry.tried.filter(|_| !is_due) {
            let until = entry.next.min(later(tried, BEHIND));
            let rest = rests.entry(entry.to.clone()).or_insert(until);
            *rest = until.max(*rest);
        }
        if is_due {
            due.entry(entry.to.clone()).or_default().push(entry);
        }
    }
    rests.retain(|_, until| *until > now);
    due.retain(|to, _| !rests.contains_key(to));
    (due, next.into_iter().chain(rests.into_values()).min())
}

/// Whether it was written or tried when the clock was wrong: then its time may be in a year.
fn is_of_another_clock(entry: &Entry, now: Timestamp) -> bool {
    entry.at > now || entry.tried.is_some_and(|tried| tried > now)
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

struct Telling<'a> {
    project: &'a Project,
    outbox: &'a Outbox,
    deadline: Option<Instant>,
    tell: &'a Listener,
}

impl Telling<'_> {
    /// Tells a place what is due, until it cannot be told.
    async fn place(&self, to: Recipient, entries: Vec<Entry>) -> Result<Pass, OutboxError> {
        let mut pass = Pass::default();
        let target = self.in_time(look_up(self.project, &to)).await;
        let target =
            target.unwrap_or_else(|| Err(NoPlace::Later("a secret was not there in time".to_owned())));
        let mut left = entries.into_iter();
        while let Some(entry) = left.next() {
            let told = match &target {
                Ok(target) => self.in_time(target.tell(&entry)).await.unwrap_or_else(|| Err(late(&to))),
                Err(NoPlace::Gone(reason)) => Err(missing(&to, reason, Kind::Refused)),
                Err(NoPlace::Later(reason)) => Err(missing(&to, reason, Kind::Again { after: None })),
            };
            match told {
                Ok(()) => {
                    self.outbox.told(entry.id)?;
                    (self.tell)(&Told::Delivered(&entry));
                    pass.delivered += 1;
                }
                Err(error) => {
                    let now = Timestamp::now();
                    let entry = Entry {
                        attempts: entry.attempts + 1,
                        tried: Some(now),
                        last_error: Some(error.to_string()),
                        ..entry
                    };
                    match tried(entry, &error, now) {
                        Tried::Dead(entry) => {
                            self.outbox.bury(&entry)?;
                            (self.tell)(&Told::Dead(&entry));
                            pass.dead += 1;
                        }
                        Tried::Again(entry) => {
                            self.outbox.note(&entry)?;
                            (self.tell)(&Told::Again(&entry));
                            let behind = left.next().map(|_| later(now, BEHIND));
                            pass.next = behind.into_iter().chain([entry.next]).min();
                            return Ok(pass);
                        }
                    }
                }
            }
        }
        Ok(pass)
    }

    /// What comes of this within the time that there is.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, work).await.ok(),
            None => Some(work.await),
        }
    }
}

/// What becomes of an entry that could not be told.
enum Tried {
    Again(Entry),
    Dead(Entry),
}

fn tried(entry: Entry, error: &DeliveryError, now: Timestamp) -> Tried {
    let wait = backoff::next_try(entry.attempts, error, entry.id.seed());
    match wait.and_then(|wait| SignedDuration::try_from(wait).ok()) {
        Some(wait) => Tried::Again(Entry { next: later(now, wait), ..entry }),
        None => Tried::Dead(entry),
    }
}

fn missing(to: &Recipient, reason: &str, kind: Kind) -> DeliveryError {
    DeliveryError { place: to.to_string(), reason: reason.to_owned(), kind }
}

fn late(to: &Recipient) -> DeliveryError {
    missing(to, "it did not answer in time", Kind::Again { after: None })
}

#[cfg(test)]
mod tests {
    use tidemill_triggers::CloudEvent;

    use super::*;
    use crate::name::NotifyName;
    use crate::outbox::What;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn entry(sink: &str, key: &str, written: i64, next: i64) -> Entry {
        let to = Recipient::Sink { name: NotifyName::new(sink).unwrap() };
        let event = CloudEvent::new(key, "/x", "a.b").unwrap();
        Entry { next: at(next), ..Entry::new(to, key, What::Event(Box::new(event)), at(written)) }
    }

    #[test]
    fn what_is_due_stands_with_its_place_and_the_others_have_their_time() {
        let entries = vec![
            entry("a", "1", 0, 5),
            entry("a", "2", 0, 50),
            entry("b", "3", 0, 10),
            entry("a", "4", 0, 40),
            // The clock was wrong when this was written.
            entry("b", "5", 100, 200),
        ];
        let (due, next) = due(entries, at(10));
        let due: Vec<(String, usize)> =
            due.into_iter().map(|(to, entries)| (to.to_string(), entries.len())).collect();
        assert_eq!(due, [("the sink a".to_owned(), 1), ("the sink b".to_owned(), 2)]);
        assert_eq!(next, Some(at(40)));
    }

    #[test]
    fn a_place_that_could_not_be_told_has_a_rest_but_not_for_hours() {
        let failed = |next| Entry { attempts: 8, tried: Some(at(0)), ..entry("a", "1", 0, next) };
        let due_at = |next, now| {
            let entries = vec![failed(next), entry("a", "2", 1, 1), entry("b", "3", 1, 1)];
            let (due, next) = due(entries, at(now));
            let due: Vec<String> = due.keys().map(ToString::to_string).collect();
            (due.join(", "), next)
        };
        assert_eq!(due_at(30, 5), ("the sink b".to_owned(), Some(at(30))));
        assert_eq!(due_at(30, 30), ("the sink a, the sink b".to_owned(), None));
        assert_eq!(due_at(6 * 3600, 5), ("the sink b".to_owned(), Some(at(600))));
        assert_eq!(due_at(6 * 3600, 601), ("the sink a, the sink b".to_owned(), Some(at(6 * 3600))));
    }

    #[test]
    fn a_try_that_failed_is_followed_by_another_unless_it_was_refused_or_the_last() {
        let to = Recipient::Sink { name: NotifyName::new("a").unwrap() };
        let again = missing(&to, "no connection", Kind::Again { after: None });
        let tried_so = |attempts, error: &DeliveryError| match tried(
            Entry { attempts, ..entry("a", "1", 0, 0) },
            error,
            at(0),
        ) {
            Tried::Again(entry) => Some(entry.next.duration_since(at(0)).as_secs_f64()),
            Tried::Dead(_) => None,
        };
        assert!((0.9..1.1).contains(&tried_so(1, &again).unwrap()));
        assert!(tried_so(11, &again).unwrap() > 20.0 * 3600.0);
        assert_eq!(tried_so(backoff::TRIES, &again), None);
        assert_eq!(tried_so(1, &missing(&to, "it answered 404", Kind::Refused)), None);
    }
}
