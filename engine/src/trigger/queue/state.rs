//! The state of a queue: what its records say, one after the other. The same function takes them when they are written and when they are
//! read, so what is known after a crash is what was known before it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::arrival::{Arrival, ArrivalId, Settled};
use super::ledger::Record;
use crate::name::{RunId, TriggerName};

/// An id is known for so long: what is told again within this time is not taken again.
const MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So many ids are known at most, the newest.
const REMEMBERED: usize = 200_000;
/// So many of what was done with are told.
const RECENT: usize = 1_000;

/// An arrival that waits for its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// What arrived.
    pub arrival: Arrival,
    /// How many runs of it were lost.
    pub lost: u32,
}

/// An arrival whose run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// What arrived.
    pub arrival: Arrival,
    /// The run.
    pub run: RunId,
    /// Which run of the arrival it is, from one.
    pub attempt: u32,
    /// When it began.
    pub since: Timestamp,
}

/// The state of a queue.
#[derive(Debug, Default)]
pub struct State {
    /// In order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    /// About so much memory they take, in bytes.
    weight: usize,
    numbers: HashMap<ArrivalId, u64>,
    running: BTreeMap<ArrivalId, Running>,
    known: HashMap<ArrivalId, Timestamp>,
    known_order: VecDeque<(ArrivalId, Timestamp)>,
    recent: VecDeque<Settled>,
    /// When a trigger last led to a run, by file and name.
    begun: BTreeMap<String, BTreeMap<TriggerName, Timestamp>>,
    marks: BTreeMap<String, String>,
    /// How many have arrived.
    arrived: u64,
}

/// A state as one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    known: Vec<(ArrivalId, Timestamp)>,
    recent: Vec<Settled>,
    begun: BTreeMap<String, BTreeMap<TriggerName, Timestamp>>,
    marks: BTreeMap<String, String>,
}

impl State {
    /// What waits, in order of arrival.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// About how much memory that takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What runs.
    pub fn running(&self) -> impl ExactSizeIterator<Item = &Running> {
        self.running.values()
    }

    /// What was done with lately, the newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Settled> {
        self.recent.iter().rev()
    }

    /// What is remembered under a name.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<&str> {
        self.marks.get(name).map(String::as_str)
    }

    /// The names under which something is remembered.
    pub(in super::super) fn marks(&self) -> impl Iterator<Item = &str> {
        self.marks.keys().map(String::as_str)
    }

    /// Remembers these; a mark without a value is forgotten.
    fn remember(&mut self, marks: Vec<(String, String)>) {
        for (name, value) in marks {
            match value.is_empty() {
                true => drop(self.marks.remove(&name)),
                false => drop(self.marks.insert(name, value)),
            }
        }
    }

    /// Whether this has arrived before.
    #[must_use]
    pub fn knows(&self, id: &ArrivalId) -> bool {
        self.known.contains_key(id)
    }

    /// When a trigger last led to a run.
    #[must_use]
    pub fn last_begun(&self, file: &str, trigger: &TriggerName) -> Option<Timestamp> {
        self.begun.get(file)?.get(trigger).copied()
    }

    /// Takes what a record says.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Begin { .. } => {}
            Record::Arrived { arrivals, marks } => {
                for arrival in arrivals {
                    self.know(arrival.id, arrival.at);
                    self.wait(Waiting { arrival, lost: 0 });
                }
                self.remember(marks);
            }
            Record::Began { arrival, run, at } => {
                let Some(Waiting { arrival, lost }) = self.remove_waiting(&arrival) else { return };
                if let Some(trigger) = &arrival.trigger {
                    self.begun.entry(arrival.file.clone()).or_default().insert(trigger.clone(), at);
                }
                let running = Running { run, attempt: lost + 1, since: at, arrival };
                self.running.insert(running.arrival.id, running);
            }
            Record::Again { arrival } => {
                let Some(Running { arrival, attempt, .. }) = self.running.remove(&arrival) else { return };
                self.wait(Waiting { arrival, lost: attempt });
            }
            Record::Settled { arrival, fate, at } => {
                let running = self.running.remove(&arrival).map(|running| running.arrival);
                let arrival =
                    running.or_else(|| self.remove_waiting(&arrival).map(|waiting| waiting.arrival));
                self.recent.extend(arrival.map(|arrival| Settled {
                    arrival: arrival.without_data(),
                    fate,
                    at,
                }));
                while self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
            }
            Record::Snapshot { state } => *self = Self::from(*state),
        }
    }

    /// Forgets the ids that are remembered no longer.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while self.known_order.front().is_some_and(|(_, at)| now.duration_since(*at) > MEMORY) {
            self.forget_oldest();
        }
    }

    /// All of it as one record.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            waiting: self.waiting.values().cloned().collect(),
            running: self.running.values().cloned().collect(),
            known: self.known_order.iter().copied().collect(),
            recent: self.recent.iter().cloned().collect(),
            begun: self.begun.clone(),
            marks: self.marks.clone(),
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.arrived += 1;
        self.weight += waiting.arrival.weight();
        self.numbers.insert(waiting.arrival.id, self.arrived);
        self.waiting.insert(self.arrived, waiting);
    }

    fn remove_waiting(&mut self, id: &ArrivalId) -> Option<Waiting> {
        let number = self.numbers.remove(id)?;
        let waiting = self.waiting.remove(&number)?;
        self.weight -= waiting.arrival.weight();
        Some(waiting)
    }

    fn know(&mut self, id: ArrivalId, at: Timestamp) {
        if self.known.insert(id, at).is_none() {
            self.known_order.push_back((id, at));
        }
        while self.known_order.len() > REMEMBERED {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.known_order.pop_front() {
            self.known.remove(&id);
        }
    }
}

impl From<Snapshot> for State {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { waiting, running, known, recent, begun, marks } = snapshot;
        let mut state = Self { begun, marks, recent: recent.into(), ..Self::default() };
        known.into_iter().for_each(|(id, at)| state.know(id, at));
        waiting.into_iter().for_each(|waiting| state.wait(waiting));
        state.running = running.into_iter().map(|running| (running.arrival.id, running)).collect();
        state
    }
}
