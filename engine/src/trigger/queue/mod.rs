//! The queue: what arrived and waits for its run, what runs, and what was done with. One process at a time has it; nothing that it was given
//! is lost, and nothing is taken twice.

mod arrival;
mod decide;
mod error;
#[cfg(test)]
mod laws;
mod ledger;
mod state;

use camino::Utf8Path;
use jiff::Timestamp;

pub use arrival::{Arrival, ArrivalId, Dropped, Fate, Settled};
pub(super) use decide::{Known, Rule, Step, decide};
pub use error::QueueError;
pub use state::{Running, State, Waiting};

use crate::name::RunId;
use ledger::{Ledger, Record};

/// So many arrivals may wait.
pub(super) const WAITING: usize = 10_000;
/// About so much memory they may take, in bytes.
const HEAVY: usize = 64 << 20;
/// A run that is lost with its machine is made again, so many times in all.
pub(super) const TRIES: u32 = 3;
/// The file is written anew when it has grown by so much since, in bytes.
const LONG: u64 = 8 << 20;

/// The queue of a project, which this process has.
#[derive(Debug)]
pub struct Queue {
    ledger: Ledger,
    state: State,
    /// How long the file was when it was written anew.
    compact: u64,
}

/// What is remembered of where arrivals come from: names and values.
pub(super) type Marks = Vec<(String, String)>;

/// What the queue of the project with this state folder holds, whichever process has it.
///
/// # Errors
/// If its file cannot be read.
pub fn peek(state: &Utf8Path) -> Result<State, QueueError> {
    let mut folded = State::default();
    Ledger::peek(state, |record| folded.take(record))?;
    Ok(folded)
}

impl Queue {
    /// Takes the queue of the project with this state folder.
    ///
    /// # Errors
    /// If another process has it, or its file cannot be used.
    pub fn open(state: &Utf8Path, now: Timestamp) -> Result<Self, QueueError> {
        let mut folded = State::default();
        let ledger = Ledger::open(state, |record| folded.take(record))?;
        folded.forget(now);
        let mut queue = Self { compact: 0, ledger, state: folded };
        queue.compact_if_long()?;
        Ok(queue)
    }

    /// What it holds.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes what arrived, and notes the marks, all or nothing. Says for each whether it is new. It is on the disk when this returns.
    ///
    /// # Errors
    /// If too much waits, or it cannot be written.
    pub fn accept(
        &mut self,
        arrivals: Vec<Arrival>,
        marks: Marks,
        now: Timestamp,
    ) -> Result<Vec<bool>, QueueError> {
        self.state.forget(now);
        let mut fresh: Vec<Arrival> = Vec::new();
        let mut are_new = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let is_new = !self.state.knows(&arrival.id) && fresh.iter().all(|other| other.id != arrival.id);
            are_new.push(is_new);
            if is_new {
                fresh.push(arrival);
            }
        }
        let waiting = self.state.waiting().len();
        let weight = self.state.weight() + fresh.iter().map(Arrival::weight).sum::<usize>();
        if !fresh.is_empty() && (waiting + fresh.len() > WAITING || weight > HEAVY) {
            return Err(QueueError::Full { waiting });
        }
        if !fresh.is_empty() || !marks.is_empty() {
            self.note(vec![Record::Arrived { arrivals: fresh, marks }])?;
        }
        Ok(are_new)
    }

    /// Notes that a run is about to begin for an arrival.
    ///
    /// # Errors
    /// If it cannot be written; then the run must not begin.
    pub fn began(&mut self, arrival: ArrivalId, run: RunId, at: Timestamp) -> Result<(), QueueError> {
        self.note(vec![Record::Began { arrival, run, at }])
    }

    /// Notes that the run of an arrival was lost, so that it waits for another one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn again(&mut self, arrival: ArrivalId) -> Result<(), QueueError> {
        self.note(vec![Record::Again { arrival }])
    }

    /// Notes what became of arrivals.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn settled(&mut self, fates: Vec<(ArrivalId, Fate)>, at: Timestamp) -> Result<(), QueueError> {
        let records: Vec<_> =
            fates.into_iter().map(|(arrival, fate)| Record::Settled { arrival, fate, at }).collect();
        if records.is_empty() { Ok(()) } else { self.note(records) }
    }

    fn note(&mut self, records: Vec<Record>) -> Result<(), QueueError> {
        self.ledger.append(&records)?;
        records.into_iter().for_each(|record| self.state.take(record));
        self.compact_if_long()
    }

    fn compact_if_long(&mut self) -> Result<(), QueueError> {
        if self.ledger.length() < self.compact + LONG {
            return Ok(());
        }
        self.ledger.replace(self.state.snapshot())?;
        self.compact = self.ledger.length();
        Ok(())
    }
}
