//! Runs for tests.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fold::RunRecord;
use crate::event::{Cause, Counts, Event, Git, Outcome, Stamped, VERSION};
use crate::name::{PipelineName, RunId, StepId, StepName};

/// A record of a finished run with these metrics and parameters.
pub(super) fn run(id: &str, metrics: &[(&str, f64)], params: &[(&str, Value)]) -> RunRecord {
    let step = StepId::new(&StepName::new("evaluate").unwrap(), &[]);
    let metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    RunRecord::fold(events(id, "p", params, vec![(step, metrics)]), false).unwrap()
}

/// The events of a run that began at the time in its id, if there is one, and succeeded.
pub(super) fn events(
    id: &str,
    pipeline: &str,
    params: BTreeMap<String, Value>,
    metrics: Vec<(StepId, BTreeMap<String, f64>)>,
) -> Vec<Stamped> {
    let begin = Event::RunStarted {
        version: VERSION,
        run: RunId::new(id).unwrap(),
        pipeline: PipelineName::new(pipeline).unwrap(),
        file: format!("{pipeline}/pipeline.toml"),
        cause: Cause::Ci,
        triggered: None,
        git: Some(Git { commit: format!("{:040x}", id.len()), dirty: true }),
        overrides: BTreeMap::new(),
        params,
        steps: metrics.len(),
        graph: None,
    };
    let counts = Counts { executed: metrics.len(), ..Counts::default() };
    let wall_ms = 1000 * metrics.len() as u64;
    let end = Event::RunFinished { outcome: Outcome::Succeeded, wall_ms, counts };
    let metrics = metrics.into_iter().map(|(step, values)| Event::Metrics { step, values });
    let at = |place: usize| jiff::Timestamp::from_millisecond(1_780_000_000_000 + 7 * place as i64).unwrap();
    let events = std::iter::once(begin).chain(metrics).chain([end]);
    events.enumerate().map(|(place, event)| Stamped { at: at(place), event }).collect()
}
