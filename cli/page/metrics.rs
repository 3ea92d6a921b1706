//! The numbers of a run beside those of the run before, and what its gates asked of them.

use serde::Serialize;
use tidemill_engine::event::Event;
use tidemill_engine::record::History;

use super::gather::Run;
use crate::error::CliError;
use crate::ui::figures;
use crate::ui::text::{clean, number, numbers_apart};

/// The numbers of a run.
#[derive(Debug, Serialize)]
pub(super) struct Metrics {
    steps: Vec<Step>,
    /// The run that they are compared with.
    before: Option<String>,
}

/// The numbers of a step.
#[derive(Debug, Serialize)]
struct Step {
    step: String,
    rows: Vec<Row>,
}

/// A number.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    name: String,
    value: String,
    before: String,
    change: String,
    share: String,
}

impl Metrics {
    /// The numbers of a run, compared with the newest run before it that has any.
    pub(super) fn of(run: &Run<'_>, history: &History) -> Result<Self, CliError> {
        let any = run.record.steps.iter().any(|step| !step.metrics.is_empty());
        let before = match any {
            true => history.previous_with_metrics(&run.record.pipeline, &run.record.run)?,
            false => None,
        };
        let mut steps = Vec::new();
        for step in run.steps.iter().map(|step| step.record).filter(|step| !step.metrics.is_empty()) {
            let old = before.as_ref().and_then(|before| before.step(step.step.as_str()));
            let old = |name: &str| old.and_then(|old| old.metrics.get(name)).copied();
            let rows = step.metrics.iter().map(|(name, value)| Row::of(clean(name), *value, old(name)));
            steps.push(Step { step: clean(step.step.as_str()), rows: rows.collect() });
        }
        Ok(Self { steps, before: before.map(|before| before.run.to_string()) })
    }
}

impl Row {
    fn of(name: String, value: f64, before: Option<f64>) -> Self {
        let Some(before) = before else {
            return Self {
                name,
                value: number(value),
                before: String::new(),
                change: String::new(),
                share: String::new(),
            };
        };
        let shown = numbers_apart(&[value, before]);
        let (change, share) = match value == before {
            true => ("same".to_owned(), String::new()),
            false => {
                let change = value - before;
                let share = figures::percent(100.0 * change / before.abs());
                let share = if before == 0.0 { String::new() } else { minus(&format!("{share} %")) };
                (minus(&figures::change(change, &shown)), share)
            }
        };
        Self { name, value: shown[0].clone(), before: shown[1].clone(), change, share }
    }
}

/// With a minus that is as wide as a plus.
fn minus(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("\u{2212}{rest}"),
        None => text.to_owned(),
    }
}

/// A gate and what it asked.
#[derive(Debug, Serialize)]
pub(super) struct Gate {
    step: String,
    open: bool,
    conditions: Vec<Condition>,
}

/// A condition of a gate.
#[derive(Debug, Serialize)]
struct Condition {
    text: String,
    answer: &'static str,
    values: Vec<(String, String)>,
}

/// What the gates of a run asked; of each the last answer.
pub(super) fn gates(run: &Run<'_>) -> Vec<Gate> {
    let mut gates: Vec<Gate> = Vec::new();
    for stamped in &run.events {
        let Event::Gate { step, open, conditions } = &stamped.event else { continue };
        let step = clean(step.as_str());
        gates.retain(|gate| gate.step != step);
        let conditions = conditions.iter().map(|condition| {
            let values: Vec<f64> = condition.values.values().copied().collect();
            let names = condition.values.keys().map(|name| clean(name));
            Condition {
                text: clean(&condition.text),
                answer: match condition.holds {
                    Some(true) => "holds",
                    Some(false) => "fails",
                    None => "not asked: there is no rival",
                },
                values: names.zip(numbers_apart(&values)).collect(),
            }
        });
        gates.push(Gate { step, open: *open, conditions: conditions.collect() });
    }
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, before: Option<f64>) -> (String, String, String) {
        let Row { before, change, share, .. } = Row::of("m".to_owned(), value, before);
        (before, change, share)
    }

    #[test]
    fn a_change_is_told_in_numbers_and_in_per_cent() {
        let told = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(row(1.0, None), told("", "", ""));
        assert_eq!(row(0.9, Some(0.9)), told("0.9", "same", ""));
        assert_eq!(row(50.0, Some(60.0)), told("60", "\u{2212}10", "\u{2212}16.7 %"));
        assert_eq!(row(1.5, Some(0.0)), told("0", "+1.5", ""));
        assert_eq!(row(-1.0, Some(-2.0)), told("-2", "+1", "+50.0 %"));
    }
}
