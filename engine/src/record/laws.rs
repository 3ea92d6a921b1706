//! The law of the index: whatever happens to the folder of the runs, and to the index itself, every answer is the one that
//! reading all journals gives.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use serde_json::Value;
use tidemill_cache::FolderStamp;

use super::*;
use crate::event::{Stamped, Subscriber as _};
use crate::name::{PipelineName, RunId, StepId};

/// A history and what happens to it.
struct World {
    _base: tempfile::TempDir,
    state: Utf8PathBuf,
    history: History,
    /// The runs that live: id, journal, and the events that it does not have yet.
    alive: Vec<(RunId, Journal, Vec<Stamped>)>,
    count: u32,
}

/// What can happen. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    /// A run of this content, written by this process from its begin to its end.
    Run(u16),
    /// The same by another process that had no index.
    Foreign(u16),
    /// A run that goes on.
    Begin(u16),
    /// One of those ends.
    End(usize),
    /// One of those dies.
    Die(usize),
    /// A run whose folder is there, and nothing in it.
    Vacant,
    Delete(usize),
    DeleteAllBut(usize),
    /// A copy of the run comes in its place, in full or without its end.
    Restore(usize, bool),
    /// The journal of a run that died loses its last event, in its place.
    Cut(usize),
    DeleteIndex,
    DamageIndex,
    /// The clock moves on, so that the index need not list the folder.
    Settle,
    OtherProcess,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(base.path()).unwrap().join("state");
        fs::create_dir_all(state.join("runs")).unwrap();
        let history = History::below(&state);
        Self { _base: base, state, history, alive: Vec::new(), count: 0 }
    }

    /// The events of a new run; what is in them depends on the content only. Ids are not in the order of their making.
    fn events(&mut self, content: u16) -> (RunId, Vec<Stamped>) {
        self.count += 1;
        let id = format!("202611{:02}-{:06}-{:03}abcd", self.count * 17 % 29, self.count, content % 1000);
        let pick = |shift: u16| usize::from(content >> shift);
        let mut params = BTreeMap::new();
        let alphas =
            [Value::Null, 1.into(), 0.5.into(), "ridge".into(), true.into(), Value::from(vec![1, 2])];
        params.insert("train.alpha".to_owned(), alphas[pick(0) % alphas.len()].clone());
        params.insert("seed".to_owned(), (pick(2) % 3).into());
        let step = |name: &str| StepId::new(&crate::name::StepName::new(name).unwrap(), &[]);
        let train = crate::name::StepName::new("train").unwrap();
        let fold = StepId::new(&train, &[("fold".to_owned(), (pick(4) % 2).to_string())]);
        let values = [1.5, -2.25, 0.0, 3.0, 1e300];
        let mut metrics = vec![(fold, BTreeMap::from([("loss".to_owned(), values[pick(5) % values.len()])]))];
        if !pick(7).is_multiple_of(3) {
            let rmse = BTreeMap::from([
                ("rmse".to_owned(), values[pick(8) % values.len()]),
                ("rival.rmse".to_owned(), values[pick(9) % values.len()]),
            ]);
            metrics.push((step("evaluate"), rmse));
        }
        let pipeline = ["p", "q"][pick(10) % 2];
        (RunId::new(&id).unwrap(), sample::events(&id, pipeline, params, metrics))
    }

    fn folder(&self, run: &str) -> Utf8PathBuf {
        self.state.join("runs").join(run)
    }

    fn foreign(&mut self, content: u16) {
        let (id, events) = self.events(content);
        fs::create_dir(self.folder(id.as_str())).unwrap();
        let lines = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n");
        fs::write(self.folder(id.as_str()).join("journal.jsonl"), lines.collect::<String>()).unwrap();
    }

    /// The journal of a new run, and the events that it does not have yet.
    fn begin(&mut self, content: u16) -> (RunId, Journal, Vec<Stamped>) {
        let (id, mut events) = self.events(content);
        let mut journal = Journal::begin(&self.history, &id).unwrap();
        let rest = events.split_off(1 + usize::from(content) % (events.len() - 1));
        events.iter().for_each(|event| journal.on(event));
        journal.flush();
        (id, journal, rest)
    }

    /// One of the runs that do not live.
    fn pick(&self, place: usize) -> Option<RunId> {
        let mut ids = self.history.ids().unwrap();
        ids.retain(|id| !self.history.is_alive(id));
        (!ids.is_empty()).then(|| ids[place % ids.len()].clone())
    }

    fn delete_every(&self, step: usize) {
        for run in self.history.ids().unwrap().iter().step_by(step) {
            fs::remove_dir_all(self.folder(run.as_str())).unwrap();
        }
    }

    fn restore(&self, run: &RunId, whole: bool) {
        let (folder, copy) = (self.folder(run.as_str()), self.state.join("copy"));
        fs::create_dir(&copy).unwrap();
        if let Ok(text) = fs::read_to_string(folder.join("journal.jsonl")) {
            let end = if whole { text.len() } else { text.trim_end().rfind('\n').map_or(0, |end| end + 1) };
            fs::write(copy.join("journal.jsonl"), &text[..end]).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
        fs::rename(copy, folder).unwrap();
    }

    fn cut(&self, run: &RunId) {
        let journal = self.folder(run.as_str()).join("journal.jsonl");
        let text = fs::read_to_string(&journal).unwrap_or_default();
        if !text.is_empty() && !text.contains("run-finished") {
            fs::write(journal, &text[..text.trim_end().rfind('\n').map_or(0, |end| end + 1)]).unwrap();
        }
    }

    fn take_alive(&mut self, place: usize) -> Option<(RunId, Journal, Vec<Stamped>)> {
        (!self.alive.is_empty()).then(|| self.alive.swap_remove(place % self.alive.len()))
    }

    fn happens(&mut self, deed: &Deed) {
        match deed {
            Deed::Run(content) => {
                let (_, mut journal, rest) = self.begin(*content);
                rest.iter().for_each(|event| journal.on(event));
            }
            Deed::Foreign(content) => self.foreign(*content),
            Deed::Begin(content) => {
                let begun = self.begin(*content);
                self.alive.push(begun);
            }
            Deed::End(place) => {
                if let Some((_, mut journal, rest)) = self.take_alive(*place) {
                    rest.iter().for_each(|event| journal.on(event));
                }
            }
            Deed::Die(place) => drop(self.take_alive(*place)),
            Deed::Vacant => {
                let (id, _) = self.events(0);
                fs::create_dir(self.folder(id.as_str())).unwrap();
            }
            Deed::Delete(place) => {
                if let Some(run) = self.pick(*place) {
                    fs::remove_dir_all(self.folder(run.as_str())).unwrap();
                }
            }
            Deed::DeleteAllBut(place) => {
                let kept = self.pick(*place);
                for run in self.history.ids().unwrap() {
                    if Some(&run) != kept.as_ref() && !self.history.is_alive(&run) {
                        fs::remove_dir_all(self.folder(run.as_str())).unwrap();
                    }
                }
            }
            Deed::Restore(place, whole) => {
                if let Some(run) = self.pick(*place) {
                    self.restore(&run, *whole);
                }
            }
            Deed::Cut(place) => {
                if let Some(run) = self.pick(*place) {
                    self.cut(&run);
                }
            }
            Deed::DeleteIndex => {
                for name in ["history.db", "history.db-wal", "history.db-shm"] {
                    drop(fs::remove_file(self.state.join(name)));
                }
            }
            Deed::DamageIndex => {
                fs::write(self.state.join("history.db"), "this is no database".repeat(400)).unwrap();
                self.history = History::below(&self.state);
            }
            Deed::Settle => {
                while FolderStamp::settled(&self.state.join("runs"), &self.state).unwrap().is_none() {
                    std::thread::yield_now();
                }
            }
            Deed::OtherProcess => self.history = History::below(&self.state),
        }
    }

    /// All runs by their journals, newest first.
    fn journals(&self) -> Vec<RunRecord> {
        let ids = self.history.ids().unwrap();
        ids.iter()
            .filter_map(|id| {
                let alive = self.history.is_alive(id);
                RunRecord::fold(self.history.events(id).unwrap(), alive)
            })
            .collect()
    }

    /// Waits until the lock of every dead run is free: a process that another test starts just now holds a copy for a moment.
    fn wait_for_locks(&self) {
        let lives = |id: &RunId| self.alive.iter().any(|(alive, ..)| alive == id);
        for id in self.history.ids().unwrap().iter().filter(|id| !lives(id)) {
            while self.history.is_alive(id) {
                std::thread::yield_now();
            }
        }
    }

    fn check(&self, questions: &[Question]) {
        self.wait_for_locks();
        let records = self.journals();
        for question in questions {
            let found = self.history.select(&question.query());
            match (found, question.answer(&records)) {
                (Ok(found), Some((lines, matched))) => {
                    assert_eq!(found.runs, lines, "{question:?}");
                    assert_eq!((found.matched, found.total), (matched, records.len()), "{question:?}");
                }
                (Err(RecordError::UnknownColumn { .. } | RecordError::UnknownPipeline { .. }), None) => {}
                (found, expected) => panic!("{question:?}: {found:?}, expected {expected:?}"),
            }
        }
        let all: Vec<RunId> = self.history.ids().unwrap();
        assert_eq!(self.history.recent_ids(3).unwrap(), all[..all.len().min(3)]);
        for record in records.iter().step_by(records.len() / 8 + 1) {
            self.check_previous(record, &records);
            assert_eq!(self.history.find(record.run.as_str()).unwrap().run, record.run);
        }
        let last = self.history.find("last").ok().map(|record| record.run);
        assert_eq!(last, records.first().map(|record| record.run.clone()));
    }

    fn check_previous(&self, record: &RunRecord, records: &[RunRecord]) {
        let id = |record: &RunRecord| record.run.clone();
        let mut earlier = records.iter().filter(|other| {
            other.run < record.run && other.pipeline == record.pipeline && other.outcome.is_some()
        });
        let previous = self.history.previous(&record.pipeline, &record.run).unwrap();
        assert_eq!(previous.as_ref().map(id), earlier.next().map(id));
        let none = PipelineName::new("none").unwrap();
        assert!(self.history.previous(&none, &record.run).unwrap().is_none());
    }
}

/// A query whose answer can be told without the code that is tested.
#[derive(Debug, Clone)]
struct Question {
    pipeline: Option<bool>,
    conditions: Vec<(usize, usize, usize)>,
    sort: Option<(usize, bool)>,
    limit: usize,
}

/// Columns that the runs of this world may have.
const COLUMNS: [&str; 8] = [
    "executed",
    "outcome",
    "evaluate.rmse",
    "rmse",
    "train[fold=1].loss",
    "params.train.alpha",
    "params.seed",
    "time",
];
const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];
/// Values that fit all columns that are numbers.
const NUMBERS: [&str; 4] = ["1.5", "0", "1", "2"];

impl Question {
    fn condition(&(column, operator, value): &(usize, usize, usize)) -> (&'static str, &'static str, String) {
        let column = COLUMNS[column % COLUMNS.len()];
        match column {
            "outcome" => (column, OPERATORS[operator % 2], ["done", "died", "running"][value % 3].to_owned()),
            "time" => (column, OPERATORS[operator % OPERATORS.len()], format!("{}s", ["1", "2"][value % 2])),
            "params.train.alpha" => {
                let value = ["1", "0.5", "ridge", "true", "[1,2]", "'1'"][value % 6];
                (column, OPERATORS[operator % 2], value.to_owned())
            }
            _ => (column, OPERATORS[operator % OPERATORS.len()], NUMBERS[value % NUMBERS.len()].to_owned()),
        }
    }

    fn query(&self) -> Query {
        let conditions = self.conditions.iter().map(Self::condition);
        let conditions = conditions.map(|(column, operator, value)| format!("{column} {operator} {value}"));
        let sort = self.sort.map(|(column, descending)| {
            let column = COLUMNS[column % COLUMNS.len()];
            Sort::parse(&if descending { format!("{column}:desc") } else { column.to_owned() })
        });
        let of = |is_p: bool| match is_p {
            true => OfPipeline { name: "p".to_owned(), file: None },
            false => OfPipeline { name: "other".to_owned(), file: Some("q/pipeline.toml".to_owned()) },
        };
        Query {
            pipeline: self.pipeline.map(of),
            conditions: conditions.map(|text| Condition::parse(&text).unwrap()).collect(),
            sort,
            columns: None,
            limit: self.limit,
        }
    }

    /// The lines and the number of all that match; none if a column is not known.
    fn answer(&self, records: &[RunRecord]) -> Option<(Vec<RunLine>, usize)> {
        let conditions: Vec<_> = self.conditions.iter().map(Self::condition).collect();
        let sort = self.sort.map(|(column, descending)| (COLUMNS[column % COLUMNS.len()], descending));
        let columns = conditions.iter().map(|(column, ..)| *column).chain(sort.map(|(column, _)| column));
        let columns: Vec<&str> = columns.collect();
        let is_known = |column: &&str| records.iter().any(|record| value(record, column).is_some());
        let always = ["executed", "outcome", "time"];
        if !records.is_empty() && !columns.iter().all(|column| always.contains(column) || is_known(column)) {
            return None;
        }
        let is_p = |record: &RunRecord| record.pipeline.as_str() == "p";
        if self.pipeline == Some(true) && !records.is_empty() && !records.iter().any(is_p) {
            return None;
        }
        let mut chosen: Vec<&RunRecord> = records.iter().collect();
        chosen.retain(|record| self.pipeline.is_none_or(|wanted| is_p(record) == wanted));
        chosen.retain(|record| {
            conditions.iter().all(|(column, operator, literal)| {
                value(record, column).is_some_and(|value| holds(&value, operator, literal))
            })
        });
        if let Some((column, descending)) = sort {
            chosen.sort_by(|a, b| match (value(a, column), value(b, column)) {
                (Some(a), Some(b)) if descending => order(&b, &a),
                (Some(a), Some(b)) => order(&a, &b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
        }
        let matched = chosen.len();
        let line = |record: &RunRecord| {
            let mut line = RunLine::of(record);
            for column in columns.iter().filter(|column| !always.contains(column)) {
                let name = if *column == "rmse" { "evaluate.rmse" } else { column };
                line.values.extend(value(record, column).map(|value| (name.to_owned(), value)));
            }
            line
        };
        Some((chosen.into_iter().take(self.limit).map(line).collect(), matched))
    }
}

/// What a record has in a column.
fn value(record: &RunRecord, column: &str) -> Option<Value> {
    let metric = |step: &str, name: &str| record.step(step)?.metrics.get(name).map(|value| (*value).into());
    match column {
        "executed" => Some(record.counts.executed.into()),
        "outcome" => Some(standing(record.outcome, record.alive).into()),
        "time" => Some(record.wall_ms.into()),
        "evaluate.rmse" | "rmse" => metric("evaluate", "rmse"),
        "train[fold=1].loss" => metric("train[fold=1]", "loss"),
        param => record.params.get(param.strip_prefix("params.")?).filter(|value| !value.is_null()).cloned(),
    }
}

fn holds(value: &Value, operator: &str, literal: &str) -> bool {
    let number = match literal.strip_suffix('s') {
        Some(seconds) if seconds.parse::<f64>().is_ok() => Some(seconds.parse::<f64>().unwrap() * 1000.0),
        _ => literal.parse::<f64>().ok(),
    };
    let order = match (value, number) {
        (Value::Number(value), Some(number)) => value.as_f64().unwrap().partial_cmp(&number),
        (Value::Number(_), None) | (Value::Bool(_), Some(_)) => None,
        (Value::Bool(value), None) => literal.parse::<bool>().ok().map(|truth| value.cmp(&truth)),
        (Value::String(value), _) => Some(value.as_str().cmp(literal)),
        (value, _) => Some(value.to_string().as_str().cmp(literal)),
    };
    match (order, operator) {
        (order, "!=") => order != Some(Ordering::Equal),
        (None, _) => false,
        (Some(order), "=") => order.is_eq(),
        (Some(order), "<") => order.is_lt(),
        (Some(order), "<=") => order.is_le(),
        (Some(order), ">") => order.is_gt(),
        (Some(order), _) => order.is_ge(),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        _ => 3,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)).then_with(|| a.to_string().cmp(&b.to_string())),
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => any::<u16>().prop_map(Deed::Run),
        4 => any::<u16>().prop_map(Deed::Foreign),
        2 => any::<u16>().prop_map(Deed::Begin),
        1 => any::<usize>().prop_map(Deed::End),
        2 => any::<usize>().prop_map(Deed::Die),
        1 => Just(Deed::Vacant),
        2 => any::<usize>().prop_map(Deed::Delete),
        1 => any::<usize>().prop_map(Deed::DeleteAllBut),
        2 => any::<(usize, bool)>().prop_map(|(place, whole)| Deed::Restore(place, whole)),
        3 => any::<usize>().prop_map(Deed::Cut),
        1 => Just(Deed::DeleteIndex),
        1 => Just(Deed::DamageIndex),
        3 => Just(Deed::Settle),
        1 => Just(Deed::OtherProcess),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let condition = (0..COLUMNS.len(), 0..6_usize, 0..6_usize);
    let sort = proptest::option::of((0..COLUMNS.len(), any::<bool>()));
    let pipeline = proptest::option::weighted(0.3, any::<bool>());
    let limit = prop_oneof![Just(2_usize), Just(usize::MAX)];
    (pipeline, proptest::collection::vec(condition, 0..3), sort, limit)
        .prop_map(|(pipeline, conditions, sort, limit)| Question { pipeline, conditions, sort, limit })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_answers_are_those_of_the_journals(
        deeds in proptest::collection::vec((deed(), question(), question()), 1..24),
    ) {
        let mut world = World::new();
        for (deed, first, second) in &deeds {
            world.happens(deed);
            world.check(&[first.clone(), second.clone()]);
        }
    }
}

/// A history of some size, with changes of some size.
#[test]
fn two_thousand_runs_are_told_as_their_journals_tell_them() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut world = World::new();
    let mut ask = |world: &World, count: usize| {
        let questions: Vec<Question> =
            (0..count).map(|_| question().new_tree(&mut runner).unwrap().current()).collect();
        world.check(&questions);
    };
    for number in 0..2000_u16 {
        world.foreign(number.wrapping_mul(40_503));
    }
    ask(&world, 60);
    world.delete_every(7);
    for number in 0..100_u16 {
        world.happens(&Deed::Foreign(number.wrapping_mul(40_507)));
    }
    ask(&world, 30);
    // More than half are gone: the index begins anew.
    world.delete_every(3);
    world.delete_every(2);
    ask(&world, 30);
    world.happens(&Deed::Settle);
    ask(&world, 30);
}
