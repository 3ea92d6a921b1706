//! Runs side by side: their metrics, their parameters, and what differs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::fold::{RunRecord, StepRecord};
use super::line::RunLine;
use crate::name::{PipelineName, RunId, StepId};

/// Which rows of a comparison are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Those that are not the same in all runs.
    Changed,
    /// All.
    All,
}

/// The metrics of several runs.
#[derive(Debug, Clone, Serialize)]
pub struct MetricsDiff {
    /// The runs, in the order in which they were named.
    pub runs: Vec<RunLine>,
    /// The metrics, sorted by name.
    pub metrics: Vec<MetricRow>,
    /// How many metrics are the same in all runs.
    pub unchanged: usize,
}

/// A metric in several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricRow {
    /// The step and the metric: `evaluate.rmse`.
    pub name: String,
    /// The step.
    pub step: StepId,
    /// The metric's own name.
    pub metric: String,
    /// Its value in each run; none where the run does not have it.
    pub values: Vec<Option<f64>>,
    /// Of two runs: the second less the first.
    pub change: Option<f64>,
    /// Of two runs: the change in percent of the first.
    pub percent: Option<f64>,
}

/// The parameters of several runs.
#[derive(Debug, Clone, Serialize)]
pub struct ParamsDiff {
    /// The runs, in the order in which they were named.
    pub runs: Vec<RunLine>,
    /// The parameters, sorted by name.
    pub params: Vec<ParamRow>,
    /// How many parameters are the same in all runs.
    pub unchanged: usize,
}

/// A parameter in several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParamRow {
    /// Its dotted name.
    pub name: String,
    /// Its value in each run; none where the run does not have it.
    pub values: Vec<Option<Value>>,
}

/// All metrics of one run.
#[derive(Debug, Clone, Serialize)]
pub struct RunMetrics {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The metrics, sorted by name.
    pub metrics: Vec<Metric>,
}

/// A metric of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Metric {
    /// The step and the metric: `evaluate.rmse`.
    pub name: String,
    /// The step.
    pub step: StepId,
    /// The metric's own name.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// All parameters of one run.
#[derive(Debug, Clone, Serialize)]
pub struct RunParams {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The parameters, sorted by name.
    pub params: Vec<Param>,
}

/// A parameter of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Param {
    /// Its dotted name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether it was set for this run, on the command line or by a file.
    pub set: bool,
}

impl RunMetrics {
    /// The metrics of a run.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        let metrics = metrics(record).into_iter().map(|((step, metric), value)| {
            let name = format!("{step}.{metric}");
            Metric { name, step, metric, value }
        });
        Self { run: record.run.clone(), pipeline: record.pipeline.clone(), metrics: metrics.collect() }
    }
}

impl RunParams {
    /// The parameters of a run.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        let params = record.params.iter().map(|(name, value)| Param {
            name: name.clone(),
            value: value.clone(),
            set: record.overrides.contains_key(name),
        });
        Self { run: record.run.clone(), pipeline: record.pipeline.clone(), params: params.collect() }
    }
}

fn metrics(record: &RunRecord) -> BTreeMap<(StepId, String), f64> {
    let of = |step: &StepRecord| {
        let id = step.step.clone();
        step.metrics.clone().into_iter().map(move |(name, value)| ((id.clone(), name), value))
    };
    record.steps.iter().flat_map(of).collect()
}

/// Compares the metrics of runs.
#[must_use]
pub fn metrics_diff(records: &[RunRecord], rows: Rows) -> MetricsDiff {
    let (table, unchanged) = side_by_side(records.iter().map(metrics).collect(), rows);
    MetricsDiff { runs: lines(records), metrics: table.into_iter().map(metric_row).collect(), unchanged }
}

/// Compares the parameters of runs.
#[must_use]
pub fn params_diff(records: &[RunRecord], rows: Rows) -> ParamsDiff {
    let (table, unchanged) = side_by_side(records.iter().map(|record| record.params.clone()).collect(), rows);
    let row = |(name, values)| ParamRow { name, values };
    ParamsDiff { runs: lines(records), params: table.into_iter().map(row).collect(), unchanged }
}

fn lines(records: &[RunRecord]) -> Vec<RunLine> {
    records.iter().map(RunLine::of).collect()
}

/// Tables in one: by name, what each has; and how many names are the same in all.
fn side_by_side<N: Ord + Clone, V: Clone + PartialEq>(
    tables: Vec<BTreeMap<N, V>>,
    rows: Rows,
) -> (BTreeMap<N, Vec<Option<V>>>, usize) {
    let mut table: BTreeMap<N, Vec<Option<V>>> = BTreeMap::new();
    let count = tables.len();
    for (place, values) in tables.into_iter().enumerate() {
        for (name, value) in values {
            table.entry(name).or_insert_with(|| vec![None; count])[place] = Some(value);
        }
    }
    let is_changed = |values: &[Option<V>]| values.windows(2).any(|pair| pair[0] != pair[1]);
    let unchanged = table.values().filter(|values| !is_changed(values)).count();
    if rows == Rows::Changed {
        table.retain(|_, values| is_changed(values));
    }
    (table, unchanged)
}

fn metric_row(((step, metric), values): ((StepId, String), Vec<Option<f64>>)) -> MetricRow {
    let pair = match values.as_slice() {
        [Some(old), Some(new)] => Some((*old, *new)),
        _ => None,
    };
    MetricRow {
        name: format!("{step}.{metric}"),
        step,
        metric,
        change: pair.map(|(old, new)| new - old),
        percent: pair.and_then(|(old, new)| percent(old, new)),
        values,
    }
}

/// A change in percent; none from zero.
fn percent(old: f64, new: f64) -> Option<f64> {
    let percent = (new - old) / old.abs() * 100.0;
    percent.is_finite().then_some(percent)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_differs_is_told_with_its_change() {
        let records = [
            sample::run("a", &[("rmse", 50.0), ("rows", 89.0), ("gone", 1.0)], &[("alpha", 1.into())]),
            sample::run("b", &[("rmse", 45.0), ("rows", 89.0), ("new", 0.0)], &[("alpha", "x".into())]),
        ];
        let diff = metrics_diff(&records, Rows::Changed);
        let told: Vec<_> =
            diff.metrics.iter().map(|row| (row.name.as_str(), row.change, row.percent)).collect();
        let expected = [
            ("evaluate.gone", None, None),
            ("evaluate.new", None, None),
            ("evaluate.rmse", Some(-5.0), Some(-10.0)),
        ];
        assert_eq!(told, expected);
        assert_eq!(diff.metrics[0].values, [Some(1.0), None]);
        assert_eq!(diff.unchanged, 1);
        assert_eq!(metrics_diff(&records, Rows::All).metrics.len(), 4);
        assert_eq!(params_diff(&records, Rows::Changed).params[0].values, [Some(1.into()), Some("x".into())]);
    }

    #[test]
    fn of_three_runs_no_change_is_told() {
        let records =
            ["a", "b", "c"].map(|id| sample::run(id, &[("rmse", 1.0), ("r2", id.len() as f64)], &[]));
        let diff = metrics_diff(&records, Rows::All);
        assert_eq!((diff.metrics[1].change, diff.unchanged), (None, 2));
        assert!(metrics_diff(&records, Rows::Changed).metrics.is_empty());
    }

    #[test]
    fn a_change_from_zero_has_no_percentage() {
        assert_eq!(percent(0.0, 1.0), None);
        assert_eq!(percent(0.0, 0.0), None);
        assert_eq!(percent(-2.0, -1.0), Some(50.0));
    }
}
