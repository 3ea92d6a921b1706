//! Writes a history of many runs, through the very code that writes it: `many_runs STATE_FOLDER RUNS METRICS`.
//!
//! For measuring how fast a large history is listed, filtered and sorted; `docs/cli.md` tells what to expect.
#![expect(clippy::expect_used, reason = "a tool that cannot write has nothing better to do than stop")]

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tidemill_cache::Key;
use tidemill_engine::event::{Cause, Counts, Event, Git, Outcome, Stamped, Subscriber as _, VERSION};
use tidemill_engine::name::{PipelineName, RunId, StepId, StepName};
use tidemill_engine::record::{History, Journal};

/// The steps of each run; the metrics are spread over the last three.
const STEPS: [&str; 6] = ["ingest", "validate", "preprocess", "train", "evaluate", "monitor"];
const PIPELINES: [&str; 4] = ["churn", "diabetes", "fraud", "prices"];
/// 2024-01-01, and a run every ten minutes.
const BEGIN: i64 = 1_704_067_200_000;
const PAUSE: i64 = 600_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().expect("many_runs STATE_FOLDER RUNS METRICS");
    let state = Utf8PathBuf::from(argument());
    let runs: i64 = argument().parse().expect("RUNS is a number");
    let metrics: usize = argument().parse().expect("METRICS is a number");
    std::fs::create_dir_all(&state).expect("the state folder can be made");
    let history = History::below(&state);
    for number in 0..runs {
        write(&history, number, metrics);
    }
}

fn write(history: &History, number: i64, metrics: usize) {
    let mut random = StdRng::seed_from_u64(number.unsigned_abs());
    let start =
        jiff::Timestamp::from_millisecond(BEGIN + number * PAUSE).expect("the time is in this century");
    let run = RunId::generate(start);
    let mut journal = Journal::begin(history, &run).expect("the journal can be written");
    let mut elapsed = 0_i64;
    for event in events(&run, number, metrics, &mut random) {
        elapsed += random.random_range(1..2000);
        let at = start + jiff::SignedDuration::from_millis(elapsed);
        journal.on(&Stamped { at, event });
    }
}

fn events(run: &RunId, number: i64, metrics: usize, random: &mut StdRng) -> Vec<Event> {
    let pipeline = PIPELINES[random.random_range(0..PIPELINES.len())];
    let mut events = vec![Event::RunStarted {
        version: VERSION,
        run: run.clone(),
        pipeline: PipelineName::new(pipeline).expect("a valid name"),
        file: format!("pipelines/{pipeline}/pipeline.toml"),
        cause: if number % 3 == 0 { Cause::Ci } else { Cause::Command },
        triggered: None,
        git: Some(Git { commit: format!("{:040x}", random.random::<u128>()), dirty: false }),
        overrides: BTreeMap::new(),
        params: params(random),
        steps: STEPS.len(),
        graph: None,
    }];
    let id = |step: &str| StepId::new(&StepName::new(step).expect("a valid name"), &[]);
    for (place, step) in STEPS.iter().enumerate() {
        let key = Key::of_recipe(&random.random::<[u8; 32]>());
        events.push(Event::StepCached { step: id(step), key, saved_ms: 1000, outputs: BTreeMap::new() });
        let share = metrics / 3 + usize::from(place - place.min(3) < metrics % 3);
        if place >= 3 {
            let values =
                (0..share).map(|metric| (format!("metric{metric:02}"), random.random_range(0.0..100.0)));
            events.push(Event::Metrics { step: id(step), values: values.collect() });
        }
    }
    let outcome = match random.random_range(0..10) {
        0 => Outcome::StepFailed,
        1 => Outcome::GateClosed,
        _ => Outcome::Succeeded,
    };
    let counts = Counts { cached: STEPS.len(), ..Counts::default() };
    events.push(Event::RunFinished { outcome, wall_ms: random.random_range(1000..100_000), counts });
    events
}

fn params(random: &mut StdRng) -> BTreeMap<String, serde_json::Value> {
    BTreeMap::from([
        ("seed".to_owned(), random.random_range(0..100).into()),
        ("train.alpha".to_owned(), random.random_range(0.0..1.0).into()),
        ("train.algorithm".to_owned(), ["ridge", "boosting"][random.random_range(0..2)].into()),
    ])
}
