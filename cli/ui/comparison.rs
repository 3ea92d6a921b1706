//! Metrics and parameters of one run, and of several runs side by side: as tables, for the terminal and for Markdown.

use serde_json::Value;
use tidemill_engine::record::{MetricsDiff, ParamsDiff, RunLine, RunMetrics, RunParams, standing};

use super::figures::{self, NOTHING};
use super::markdown;
use super::table::{Column, Table};
use super::text::{number, time};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For the terminal.
    Text,
    /// For a pull request.
    Markdown,
}

/// A table that can be written in either way: titles with whether their column holds numbers, and rows.
struct Sheet {
    titles: Vec<(String, bool)>,
    rows: Vec<Vec<String>>,
}

/// A parameter's value as people read it: texts bare, numbers with all their digits.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The metrics of a run.
pub(crate) fn metrics(run: &RunMetrics) -> String {
    if run.metrics.is_empty() {
        return format!("{} has no metrics\n", run.run);
    }
    let values: Vec<String> = run.metrics.iter().map(|metric| number(metric.value)).collect();
    let mut table = Table::new(&[Column::Text("METRIC"), Column::Number("VALUE")]);
    for (metric, value) in run.metrics.iter().zip(figures::on_the_point(&values)) {
        table.row([metric.name.clone(), value]);
    }
    table.render(0)
}

/// The parameters of a run.
pub(crate) fn params(run: &RunParams) -> String {
    if run.params.is_empty() {
        return format!("{} has no parameters\n", run.run);
    }
    let mut table = Table::new(&[Column::Text("PARAM"), Column::Text("VALUE"), Column::Text("SET")]);
    for param in &run.params {
        let set = if param.set { "for this run" } else { "" };
        table.row([param.name.clone(), value(&param.value), set.to_owned()]);
    }
    table.render(0)
}

/// Metrics side by side.
pub(crate) fn metrics_diff(diff: &MetricsDiff, style: Style) -> String {
    if diff.metrics.is_empty() {
        return nothing("metric", diff.unchanged);
    }
    let shown: Vec<Vec<String>> = diff.metrics.iter().map(|row| figures::apart(&row.values)).collect();
    let mut columns: Vec<Vec<String>> = (0..diff.runs.len())
        .map(|place| figures::on_the_point(&shown.iter().map(|row| row[place].clone()).collect::<Vec<_>>()))
        .collect();
    let mut titles = heads(&diff.runs, style);
    if diff.runs.len() == 2 {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        let changes = diff.metrics.iter().zip(&shown);
        let changes =
            changes.map(|(row, shown)| or_nothing(row.change.map(|change| figures::change(change, shown))));
        let percents = diff.metrics.iter().map(|row| or_nothing(row.percent.map(figures::percent)));
        columns.push(figures::on_the_point(&changes.collect::<Vec<_>>()));
        columns.push(figures::on_the_point(&percents.collect::<Vec<_>>()));
        titles.extend(["CHANGE", "PERCENT"].map(String::from));
    }
    let names = diff.metrics.iter().map(|row| row.name.clone());
    let rows = names.enumerate().map(|(place, name)| {
        let cells = columns.iter().map(|column| column[place].clone());
        std::iter::once(name).chain(cells).collect()
    });
    let titles = titles.into_iter().map(|title| (title, true));
    let sheet = Sheet {
        titles: std::iter::once(("METRIC".to_owned(), false)).chain(titles).collect(),
        rows: rows.collect(),
    };
    sheet.render(&diff.runs, style)
}

/// Parameters side by side.
pub(crate) fn params_diff(diff: &ParamsDiff, style: Style) -> String {
    if diff.params.is_empty() {
        return nothing("parameter", diff.unchanged);
    }
    let rows = diff.params.iter().map(|row| {
        let cells = row.values.iter().map(|cell| cell.as_ref().map_or_else(|| NOTHING.to_owned(), value));
        std::iter::once(row.name.clone()).chain(cells).collect()
    });
    let titles = std::iter::once("PARAM".to_owned()).chain(heads(&diff.runs, style));
    let sheet = Sheet { titles: titles.map(|title| (title, false)).collect(), rows: rows.collect() };
    sheet.render(&diff.runs, style)
}

fn nothing(noun: &str, unchanged: usize) -> String {
    match unchanged {
        0 => format!("there are no {noun}s\n"),
        _ => format!("no {noun} changed\n"),
    }
}

/// What the columns of the runs are called: old and new, or by number; in Markdown, which has no legend, by id.
fn heads(runs: &[RunLine], style: Style) -> Vec<String> {
    match (style, runs.len()) {
        (Style::Markdown, _) => runs.iter().map(|run| run.run.to_string()).collect(),
        (Style::Text, 2) => ["OLD", "NEW"].map(String::from).to_vec(),
        (Style::Text, count) => (1..=count).map(|place| place.to_string()).collect(),
    }
}

impl Sheet {
    fn render(&self, runs: &[RunLine], style: Style) -> String {
        match style {
            Style::Markdown => {
                let titles: Vec<_> =
                    self.titles.iter().map(|(title, is_number)| (title.to_lowercase(), *is_number)).collect();
                markdown::table(&titles, &self.rows)
            }
            Style::Text => {
                let columns = self.titles.iter().map(|(title, is_number)| match is_number {
                    true => Column::Number(title),
                    false => Column::Text(title),
                });
                let mut table = Table::new(&columns.collect::<Vec<_>>());
                self.rows.iter().for_each(|row| table.add(row.iter().cloned()));
                format!("{}\n{}", legend(runs), table.render(0))
            }
        }
    }
}

/// Which run is which.
fn legend(runs: &[RunLine]) -> String {
    let mut table = Table::new(&["", "RUN", "STARTED", "PIPELINE", "OUTCOME"].map(Column::Text));
    for (head, run) in heads(runs, Style::Text).into_iter().zip(runs) {
        table.row([
            head.to_lowercase(),
            run.run.to_string(),
            time(run.started),
            run.pipeline.to_string(),
            standing(run.outcome, run.alive).to_owned(),
        ]);
    }
    table.render(0)
}
