//! The steps of a run as a table, and what failed as a list.

use serde::Serialize;
use tidemill_engine::event::Event;
use tidemill_engine::failure::Failure;

use super::gather::{Run, Standing, Step};
use crate::ui::failure::describe;
use crate::ui::text::{clean, duration, size};

/// More rows than this are too many for one page.
const MOST: usize = 2000;
/// How many blocked steps are named.
const NAMED: usize = 12;

/// The steps.
#[derive(Debug, Serialize)]
pub(super) struct Steps {
    rows: Vec<Row>,
    /// Whether any was cached.
    cached: bool,
    /// How many are not shown.
    more: usize,
}

/// A step.
#[derive(Debug, Serialize)]
struct Row {
    step: String,
    state: Standing,
    reason: String,
    /// What it took here.
    took: String,
    /// What was saved by not running it.
    saved: String,
    attempts: usize,
    cpu: String,
    memory: String,
    key: String,
    whole_key: String,
}

impl Steps {
    /// The steps of a run.
    pub(super) fn of(run: &Run<'_>) -> Self {
        let rows = run.steps.iter().take(MOST).map(|step| Row::of(step, run.record.wall_ms)).collect();
        let cached = run.steps.iter().any(|step| step.saved_ms.is_some());
        Self { rows, cached, more: run.steps.len().saturating_sub(MOST) }
    }
}

impl Row {
    fn of(step: &Step<'_>, whole: u64) -> Self {
        let record = step.record;
        let here = record.attempts.last().and_then(|attempt| attempt.usage);
        let usage = here.or_else(|| step.result.as_ref().map(|result| result.usage));
        // A failed attempt leaves no usage behind.
        let tried = Some(step.spans.iter().map(|span| span.took(whole)).sum());
        let took = here.map(|usage| usage.wall_ms).or(tried.filter(|_| !step.spans.is_empty()));
        let key =
            |shown: fn(&tidemill_cache::Key) -> String| record.key.as_ref().map(shown).unwrap_or_default();
        Self {
            step: step.name(),
            state: step.state,
            reason: clean(record.reason.as_deref().unwrap_or_default()),
            took: took.map(duration).unwrap_or_default(),
            saved: step.saved_ms.map(duration).unwrap_or_default(),
            attempts: record.attempts.len(),
            cpu: usage
                .map(|usage| duration(usage.user_ms.saturating_add(usage.system_ms)))
                .unwrap_or_default(),
            memory: usage
                .filter(|usage| usage.peak_memory > 0)
                .map(|usage| size(usage.peak_memory))
                .unwrap_or_default(),
            key: key(tidemill_cache::Key::short),
            whole_key: key(ToString::to_string),
        }
    }
}

/// A step that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    step: String,
    what: String,
    tail: Vec<String>,
    log: String,
    hint: Option<String>,
    blocked: Vec<String>,
    /// How many more are blocked.
    more: usize,
}

/// What failed in a run; what was told to stop did not.
pub(super) fn failures(run: &Run<'_>) -> Vec<Failed> {
    let mut failures = Vec::new();
    for stamped in &run.events {
        let Event::StepFailed { step, report, .. } = &stamped.event else { continue };
        if report.failure == Failure::Cancelled {
            continue;
        }
        let blocked = run.events.iter().filter_map(|stamped| match &stamped.event {
            Event::StepBlocked { step: blocked, by } if by == step => Some(clean(blocked.as_str())),
            _ => None,
        });
        let mut blocked: Vec<String> = blocked.collect();
        let more = blocked.len().saturating_sub(NAMED);
        blocked.truncate(NAMED);
        failures.push(Failed {
            step: clean(step.as_str()),
            what: clean(&describe(&report.failure)),
            tail: report.tail.iter().map(|line| clean(line)).collect(),
            log: report.log.as_deref().map(|log| run.project.relative(log).to_string()).unwrap_or_default(),
            hint: report.hint.as_deref().map(clean),
            blocked,
            more,
        });
    }
    failures
}
