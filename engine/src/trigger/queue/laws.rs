//! Laws of the queue: whatever arrives, ends and crashes in whatever order, each arrival has one fate, and a crash changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::event::{Cause, Outcome};
use crate::graph::Concurrency;
use crate::name::{PipelineName, TriggerName};

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Happens {
    /// This arrives, for the pipeline and the trigger with these numbers.
    Arrives { pipeline: u8, trigger: u8, id: u8 },
    /// What is to be done is done.
    Deeds,
    /// Of what runs, this one ends.
    Ends(u8),
    /// Of what runs, this one is lost.
    Lost(u8),
    /// The process dies and another one takes the queue. The last line is cut short by so much of a record.
    Crash(Option<u8>),
    /// So many seconds pass.
    Time(u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..3u8, 0..4u8, any::<u8>()).prop_map(|(pipeline, trigger, id)| Happens::Arrives { pipeline, trigger, id }),
        3 => Just(Happens::Deeds),
        3 => any::<u8>().prop_map(Happens::Ends),
        1 => any::<u8>().prop_map(Happens::Lost),
        1 => proptest::option::of(any::<u8>()).prop_map(Happens::Crash),
        1 => any::<u8>().prop_map(Happens::Time),
    ]
}

/// The rule of the trigger with this number.
fn rule(trigger: &TriggerName) -> Rule {
    let cooldown = Some(std::time::Duration::from_secs(20));
    match trigger.as_str() {
        "t0" => Rule { concurrency: Concurrency::Queue, cooldown: None },
        "t1" => Rule { concurrency: Concurrency::Forbid, cooldown: None },
        "t2" => Rule { concurrency: Concurrency::Replace, cooldown: None },
        _ => Rule { concurrency: Concurrency::Allow, cooldown },
    }
}

/// The number of runs that may go on at once.
const LIMIT: usize = 4;

struct World<'a> {
    state: &'a Utf8Path,
    queue: Queue,
    now: Timestamp,
    runs: u32,
    /// The fates of all arrivals so far.
    fates: BTreeMap<ArrivalId, Fate>,
    accepted: BTreeSet<ArrivalId>,
}

impl World<'_> {
    fn arrive(&mut self, pipeline: u8, trigger: u8, id: u8) {
        let (file, trigger) =
            (format!("p{pipeline}.toml"), TriggerName::new(&format!("t{trigger}")).unwrap());
        let arrival = Arrival {
            id: ArrivalId::of(&file, Some(&trigger), "laws", &id.to_string()),
            pipeline: PipelineName::new("p").unwrap(),
            file,
            trigger: Some(trigger),
            cause: Cause::Event,
            event: serde_json::json!({ "id": id.to_string() }),
            params: BTreeMap::new(),
            at: self.now,
            not_before: None,
            not_after: None,
        };
        let (id, mark) = (arrival.id, ("last".to_owned(), arrival.id.to_string()));
        let are_new =
            self.queue.accept(vec![arrival.clone(), arrival], vec![mark.clone()], self.now).unwrap();
        assert_eq!(are_new, [self.accepted.insert(id), false], "one id is taken once");
        assert_eq!(self.queue.state().mark("last"), Some(mark.1.as_str()));
    }

    fn deeds(&mut self) {
        let rules = |arrival: &Arrival| {
            arrival.trigger.as_ref().map_or(Known::Gone, |trigger| Known::Rule(rule(trigger)))
        };
        let mut dropped = Vec::new();
        for step in decide(self.queue.state(), rules, LIMIT, self.now).steps {
            match step {
                Step::Begin(arrival) => {
                    self.runs += 1;
                    let run = RunId::new(&format!("run{}", self.runs)).unwrap();
                    self.queue.began(arrival, run, self.now).unwrap();
                }
                Step::Drop(arrival, why) => dropped.push((arrival, Fate::Dropped { why })),
                Step::Cancel(run) => {
                    let of_run = |running: &&Running| running.run == run;
                    let arrival = self.queue.state().running().find(of_run).unwrap().arrival.id;
                    self.settle(vec![(arrival, Fate::Ended { run, outcome: Outcome::Interrupted })]);
                }
            }
        }
        self.settle(dropped);
        let running = self.queue.state().running();
        assert!(running.len() <= LIMIT);
        let mut going: BTreeMap<&str, Vec<Concurrency>> = BTreeMap::new();
        for running in self.queue.state().running() {
            let turn = rule(running.arrival.trigger.as_ref().unwrap()).concurrency;
            going.entry(&running.arrival.file).or_default().push(turn);
        }
        for turns in going.values().filter(|turns| turns.len() > 1) {
            let alone = turns.iter().filter(|turn| **turn != Concurrency::Allow).count();
            assert!(alone <= 1, "{turns:?} go on beside each other");
        }
    }

    fn settle(&mut self, fates: Vec<(ArrivalId, Fate)>) {
        for (arrival, fate) in &fates {
            assert_eq!(self.fates.insert(*arrival, fate.clone()), None, "an arrival has one fate");
        }
        self.queue.settled(fates, self.now).unwrap();
    }

    fn running(&self, place: u8) -> Option<Running> {
        let count = self.queue.state().running().len();
        self.queue.state().running().nth(usize::from(place) % count.max(1)).cloned()
    }

    fn happen(mut self, happens: &Happens) -> Self {
        match *happens {
            Happens::Arrives { pipeline, trigger, id } => self.arrive(pipeline, trigger, id),
            Happens::Deeds => self.deeds(),
            Happens::Ends(place) => {
                if let Some(running) = self.running(place) {
                    let outcome = Outcome::Succeeded;
                    self.settle(vec![(running.arrival.id, Fate::Ended { run: running.run, outcome })]);
                }
            }
            Happens::Lost(place) => {
                if let Some(running) = self.running(place) {
                    self.queue.again(running.arrival.id).unwrap();
                }
            }
            Happens::Crash(torn) => {
                let Self { state, queue, now, runs, fates, accepted } = self;
                let before = queue.state().snapshot();
                drop(queue);
                if let Some(torn) = torn {
                    use std::io::Write as _;
                    let record =
                        br#"{"record":"arrived","arrivals":[{"id":"00000000000000000000000000000000"}]}"#;
                    let path = state.join("triggers/queue.jsonl");
                    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                    file.write_all(&record[..usize::from(torn) % record.len()]).unwrap();
                }
                let queue = Queue::open(state, now).unwrap();
                assert_eq!(queue.state().snapshot(), before, "a crash changes nothing");
                return Self { state, queue, now, runs, fates, accepted };
            }
            Happens::Time(seconds) => self.now += jiff::SignedDuration::from_secs(seconds.into()),
        }
        let queued = self.queue.state().waiting().map(|waiting| waiting.arrival.id);
        let running = self.queue.state().running().map(|running| running.arrival.id);
        let all: Vec<_> = queued.chain(running).chain(self.fates.keys().copied()).collect();
        assert_eq!(all.len(), self.accepted.len(), "each arrival waits, runs, or has its fate");
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), self.accepted);
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_arrival_has_one_fate(story in proptest::collection::vec(happens(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let queue = Queue::open(state, now).unwrap();
        let world =
            World { state, queue, now, runs: 0, fates: BTreeMap::new(), accepted: BTreeSet::new() };
        let mut world = story.iter().fold(world, World::happen);
        // When nothing else comes, all comes to an end.
        for _ in 0..1000 {
            world.deeds();
            if world.running(0).is_none() && world.queue.state().waiting().len() == 0 {
                break;
            }
            world = world.happen(&Happens::Ends(0));
        }
        prop_assert_eq!(world.fates.len(), world.accepted.len());
    }
}

#[test]
fn a_queue_is_written_anew_when_it_is_long_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let state = Utf8Path::from_path(folder.path()).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut queue = Queue::open(state, now).unwrap();
    let long = "x".repeat(2 << 20);
    let mut longest = 0;
    for number in 0..9 {
        let id = ArrivalId::of("p.toml", None, "test", &number.to_string());
        let event = serde_json::json!({ "data": long });
        let (cause, at) = (Cause::Event, now);
        let arrival = Arrival {
            id,
            pipeline: PipelineName::new("p").unwrap(),
            file: "p.toml".to_owned(),
            trigger: None,
            cause,
            event,
            params: BTreeMap::new(),
            at,
            not_before: None,
            not_after: None,
        };
        queue.accept(vec![arrival], Vec::new(), now).unwrap();
        let run = RunId::new(&format!("r{number}")).unwrap();
        queue.began(id, run.clone(), now).unwrap();
        queue.settled(vec![(id, Fate::Ended { run, outcome: Outcome::Succeeded })], now).unwrap();
        longest = longest.max(queue.ledger.length());
    }
    assert!(queue.ledger.length() < longest, "it was written anew once");
    let before = queue.state().snapshot();
    drop(queue);
    assert_eq!(Queue::open(state, now).unwrap().state().snapshot(), before);
}

#[test]
fn two_processes_do_not_have_one_queue_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = Utf8Path::from_path(folder.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let queue = Queue::open(state, now).unwrap();
    let own = std::process::id().to_string();
    assert!(matches!(Queue::open(state, now), Err(QueueError::Busy { holder }) if holder == own));
    drop(queue);
    let path = state.join("triggers/queue.jsonl");
    let said = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{said}{{}}\n")).unwrap();
    assert!(matches!(Queue::open(state, now), Err(QueueError::Damaged { line: 2, .. })));
    std::fs::write(&path, "{\"record\":\"begin\",\"version\":9}\n").unwrap();
    assert!(matches!(Queue::open(state, now), Err(QueueError::Newer { version: 9, .. })));
}
