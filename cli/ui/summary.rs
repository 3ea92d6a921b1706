//! The words at the end of a run: metrics, what the gates said, what was published, what is live, and how it went.

use std::collections::BTreeMap;

use tidemill_engine::event::{Condition, Counts, Outcome};

use super::report::{Gate, Report};
use super::style::{Paint, Tone};
use super::text::{clean, count, duration, number, numbers_apart};

/// How many metrics of a step are shown.
const METRICS: usize = 8;

/// What a model server should serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    /// The endpoint's name.
    pub(crate) endpoint: String,
    /// The model and its version.
    pub(crate) model: String,
    /// Its version.
    pub(crate) version: u64,
    /// On how many rows its smoke test passed before it went live.
    pub(crate) smoke_rows: u64,
    /// Whether this run deployed it.
    pub(crate) new: bool,
}

/// The summary of a run.
pub(crate) fn draw(report: &Report, live: &[Live], paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |tone: Tone, word: &str, rest: &str| {
        text.push_str(&format!("  {} {}\n", paint.text(tone, &format!("{word:<9}")), clean(rest)));
    };
    for (step, values) in &report.metrics {
        line(Tone::Faint, "metrics", &format!("{step}: {}", metrics(values)));
    }
    for gate in &report.gates {
        let (tone, words) = verdict(gate);
        line(tone, "gate", &format!("{}: {words}", gate.step));
        for condition in &gate.conditions {
            line(Tone::Faint, "", &format!("  {}", asked(condition)));
        }
    }
    for (step, message) in &report.held {
        line(Tone::Warn, "held", &format!("{step}: {message}"));
    }
    for (output, path) in &report.published {
        line(Tone::Good, "published", &format!("{path}  ({output})"));
    }
    for live in live {
        let Live { endpoint, model, version, smoke_rows, new } = live;
        let when = match new {
            true => format!("deployed in this run, its smoke test passed on {}", rows(*smoke_rows)),
            false => "as before".to_owned(),
        };
        line(Tone::Good, "live", &format!("{endpoint}: version {version} of {model}, {when}"));
    }
    if live.iter().any(|live| live.new) {
        line(Tone::Strong, "serve", "tidemill serve");
    }
    if !text.is_empty() {
        text.insert(0, '\n');
        text.push('\n');
    }
    text.push_str(&end(report, paint));
    text
}

fn rows(number: u64) -> String {
    match number {
        1 => "1 row".to_owned(),
        number => format!("{number} rows"),
    }
}

fn metrics(values: &BTreeMap<String, f64>) -> String {
    let mut shown: Vec<String> =
        values.iter().take(METRICS).map(|(name, value)| format!("{name} {}", number(*value))).collect();
    if values.len() > METRICS {
        shown.push(format!("and {} more", values.len() - METRICS));
    }
    shown.join(", ")
}

fn verdict(gate: &Gate) -> (Tone, &'static str) {
    match gate.open {
        true => (Tone::Good, "open"),
        false => (Tone::Bad, "closed, so what follows did not run"),
    }
}

/// A condition with its answer and the values that it was asked about.
fn asked(condition: &Condition) -> String {
    let answer = match condition.holds {
        Some(true) => "yes",
        Some(false) => "NO ",
        None => "-  ",
    };
    let compared: Vec<f64> = condition.values.values().copied().collect();
    let values: Vec<String> = condition
        .values
        .keys()
        .zip(numbers_apart(&compared))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let values = match condition.holds {
        None => "there is no rival yet".to_owned(),
        Some(_) => values.join(", "),
    };
    format!("{answer}  {}  ({values})", condition.text)
}

/// The last line: how it went, how many steps, how long.
fn end(report: &Report, paint: Paint) -> String {
    let Some((outcome, wall_ms, counts)) = report.end else {
        return String::new();
    };
    let (tone, word) = match outcome {
        Outcome::Succeeded => (Tone::Good, "done"),
        Outcome::StepFailed => (Tone::Bad, "failed"),
        Outcome::GateClosed => (Tone::Bad, "stopped by the gate"),
        Outcome::InfrastructureFailed => (Tone::Bad, "failed because of the machine"),
        Outcome::Interrupted => (Tone::Warn, "interrupted"),
    };
    let run = report.run.as_ref().map(|run| format!("  {run}")).unwrap_or_default();
    let steps = counted(&counts, report);
    let run = paint.text(Tone::Faint, &run);
    format!("{}: {steps}, {}{run}\n", paint.text(tone, word), duration(wall_ms))
}

/// How many steps ended in which way, those that there are.
fn counted(counts: &Counts, report: &Report) -> String {
    let saved = match counts.cached {
        0 => String::new(),
        _ => format!(" ({} saved)", duration(report.saved_ms)),
    };
    let mut words = vec![format!("{} executed", count(counts.executed, "step"))];
    words.push(format!("{} cached{saved}", counts.cached));
    // The engine counts a step that was told to stop among the failed.
    let failed = counts.failed.saturating_sub(report.stopped);
    for (number, word) in [
        (failed, "failed"),
        (report.stopped, "stopped"),
        (counts.blocked, "blocked"),
        (counts.skipped, "skipped"),
    ] {
        if number > 0 {
            words.push(format!("{number} {word}"));
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_end_of_a_run_reads_like_this() {
        let mut report = Report::default();
        sample::events().iter().for_each(|event| report.add(event));
        let live = |new| Live {
            endpoint: "diabetes".to_owned(),
            model: "diabetes".to_owned(),
            version: 3,
            smoke_rows: 64,
            new,
        };
        insta::assert_snapshot!(draw(&report, &[live(true)], Paint::Plain), @r###"
          metrics   evaluate: rmse 53.8564, rows 89
          gate      evaluate: closed, so what follows did not run
                      NO   rmse < 50  (rmse = 53.8564)
                      -    rmse < rival.rmse  (there is no rival yet)
                      yes  rows > 10  (rows = 89)
          held      deploy: version 3 is held back by ada
          published models/model.onnx  (train[algorithm=ridge].model)
          live      diabetes: version 3 of diabetes, deployed in this run, its smoke test passed on 64 rows
          serve     tidemill serve

        failed: 1 step executed, 2 cached (12.3 s saved), 1 failed, 1 blocked, 2 skipped, 2.3 s  20261120-235501-k3f9qa
        "###);
        assert!(!draw(&report, &[live(false)], Paint::Plain).contains("tidemill serve"));
    }

    #[test]
    fn a_run_that_did_nothing_is_one_line() {
        let mut report = Report::default();
        let counts = Counts { cached: 8, ..Counts::default() };
        report.end = Some((Outcome::Succeeded, 12, counts));
        report.saved_ms = 200_000;
        let line = "done: 0 steps executed, 8 cached (3 min 20 s saved), 12 ms\n";
        assert_eq!(draw(&report, &[], Paint::Plain), line);
    }
}
