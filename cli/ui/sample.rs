//! A run that went badly, as events, for the tests of what is said about it.

use std::collections::BTreeMap;

use tidemill_cache::Key;
use tidemill_engine::event::{Cause, Condition, Counts, Event, Outcome, SkipReason, Stamped, Usage};
use tidemill_engine::failure::{Failure, FailureReport, StepFailure};
use tidemill_engine::name::{AttemptId, PipelineName, RunId, StepId, StepName};
use tidemill_engine::record::Recap;

/// The id of the run.
const RUN: &str = "20261120-235501-k3f9qa";

pub(super) fn step(name: &str, axes: &[(&str, &str)]) -> StepId {
    let axes: Vec<(String, String)> =
        axes.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned())).collect();
    StepId::new(&StepName::new(name).unwrap(), &axes)
}

fn run() -> RunId {
    RunId::new(RUN).unwrap()
}

fn key() -> Key {
    Key::of_recipe(b"a recipe")
}

fn queued(step: &StepId, reason: &str) -> Event {
    Event::StepQueued { step: step.clone(), key: key(), reason: reason.to_owned() }
}

pub(super) fn started(step: &StepId, attempt: u64) -> Event {
    Event::StepStarted { step: step.clone(), attempt: self::attempt(attempt), log: "log".to_owned() }
}

pub(super) fn failed(step: &StepId) -> Event {
    Event::StepFailed { step: step.clone(), attempt: None, report: exit(1) }
}

pub(super) fn attempt(number: u64) -> AttemptId {
    AttemptId::new(&run(), number)
}

pub(super) fn ridge() -> StepId {
    step("train", &[("algorithm", "ridge")])
}

pub(super) fn boosting() -> StepId {
    step("train", &[("algorithm", "boosting")])
}

fn exit(code: i32) -> FailureReport {
    FailureReport {
        failure: Failure::Step(StepFailure::Exit { code }),
        tail: vec!["Traceback:".to_owned(), "\u{1b}[31mValueError\u{1b}[0m: alpha\r".to_owned()],
        log: Some("/project/.tidemill/runs/x/3.log".into()),
        folder: None,
        hint: Some("declare `helper.py` as an input".to_owned()),
    }
}

fn beginning() -> Vec<Event> {
    vec![
        Event::RunStarted {
            version: 1,
            run: run(),
            pipeline: PipelineName::new("diabetes").unwrap(),
            file: "pipelines/diabetes/pipeline.toml".to_owned(),
            cause: Cause::Command,
            triggered: None,
            git: None,
            overrides: BTreeMap::from([("train.alpha".to_owned(), 0.7.into())]),
            params: BTreeMap::new(),
            steps: 8,
            graph: None,
        },
        Event::StepCached {
            step: step("ingest", &[]),
            key: key(),
            saved_ms: 12_340,
            outputs: BTreeMap::new(),
        },
        Event::StepSkipped {
            step: step("report", &[]),
            reason: SkipReason::When { condition: "params.report".to_owned() },
        },
    ]
}

fn middle() -> Vec<Event> {
    let (ridge, boosting) = (ridge(), boosting());
    vec![
        queued(&ridge, "parameter train.alpha changed: 0.5 → 0.7"),
        queued(&boosting, "it never ran"),
        started(&ridge, 1),
        started(&boosting, 2),
        Event::StepRetried {
            step: boosting.clone(),
            attempt: AttemptId::new(&run(), 2),
            report: exit(1),
            wait_ms: 2000,
        },
        Event::StepSucceeded {
            step: ridge,
            attempt: AttemptId::new(&run(), 1),
            key: key(),
            usage: Usage { wall_ms: 1234, ..Usage::default() },
            outputs: BTreeMap::new(),
            unchanged: true,
        },
        started(&boosting, 3),
        failed(&boosting),
        Event::StepBlocked { step: step("register", &[]), by: boosting },
    ]
}

fn ending() -> Vec<Event> {
    let evaluate = step("evaluate", &[]);
    let values = BTreeMap::from([("rmse".to_owned(), 53.856_431), ("rows".to_owned(), 89.0)]);
    let condition = |text: &str, holds, values: &[(&str, f64)]| Condition {
        text: text.to_owned(),
        holds,
        values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    };
    vec![
        Event::Metrics { step: evaluate.clone(), values },
        Event::Gate {
            step: evaluate,
            open: false,
            conditions: vec![
                condition("rmse < 50", Some(false), &[("rmse", 53.856_431)]),
                condition("rmse < rival.rmse", None, &[("rmse", 53.856_431)]),
                condition("rows > 10", Some(true), &[("rows", 89.0)]),
            ],
        },
        Event::Published {
            step: step("train", &[("algorithm", "ridge")]),
            output: "model".to_owned(),
            path: "models/model.onnx".to_owned(),
            displaced: Some(".tidemill/displaced/model.onnx".to_owned()),
        },
        Event::StepSkipped {
            step: step("deploy", &[]),
            reason: SkipReason::Held { message: "version 3 is held back by ada".to_owned() },
        },
        Event::StepSkipped { step: step("notify", &[]), reason: SkipReason::EffectDone },
        Event::Notice { message: "clones are not available here".to_owned() },
        Event::RunFinished {
            outcome: Outcome::StepFailed,
            wall_ms: 2345,
            counts: Counts { executed: 1, cached: 2, skipped: 2, failed: 1, blocked: 1 },
        },
    ]
}

/// What they amount to.
pub(super) fn recap() -> Recap {
    let stamped = |event| Stamped { at: jiff::Timestamp::UNIX_EPOCH, event };
    let stamped: Vec<Stamped> = events().into_iter().map(stamped).collect();
    Recap::of(&stamped)
}

/// The events until both trainings run.
pub(super) fn until_both_run() -> Vec<Event> {
    let mut events = events();
    events.truncate(beginning().len() + 4);
    events
}

/// The last event.
pub(super) fn finished() -> Event {
    events().pop().expect("a run has a last event")
}

/// The events.
pub(super) fn events() -> Vec<Event> {
    [beginning(), middle(), ending()].concat()
}
