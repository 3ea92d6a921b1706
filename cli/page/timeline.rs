//! When each attempt ran: bars over the time of the run.

use serde::Serialize;
use tidemill_engine::graph::State;

use super::attempts::Span;
use super::gather::{Run, Standing};
use crate::ui::text::{clean, count, duration};

/// The attempts of a run over its time.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    rows: Vec<Row>,
    ticks: Vec<Tick>,
    /// In a sentence.
    summary: String,
}

/// A step that ran, with its attempts.
#[derive(Debug, Serialize)]
struct Row {
    step: String,
    took: String,
    state: Standing,
    bars: Vec<Bar>,
}

/// An attempt; places are in per cent of the width.
#[derive(Debug, Serialize)]
struct Bar {
    left: String,
    width: String,
    state: Standing,
    told: String,
}

/// A mark of the time axis.
#[derive(Debug, PartialEq, Serialize)]
struct Tick {
    left: String,
    label: String,
}

/// About how many marks the axis has.
const TICKS: u64 = 5;

impl Timeline {
    /// The timeline of a run.
    pub(super) fn of(run: &Run<'_>) -> Self {
        let whole = run.record.wall_ms.max(1);
        let mut rows = Vec::new();
        for step in &run.steps {
            let Some(first) = step.spans.first() else { continue };
            let open = if run.record.alive { State::Running } else { State::Failed };
            let bars =
                step.spans.iter().enumerate().map(|(place, span)| bar(place, *span, whole, open)).collect();
            let took = step.spans.iter().map(|span| span.took(whole)).sum();
            rows.push((first.from, Row { step: step.name(), took: duration(took), state: step.state, bars }));
        }
        rows.sort_by_key(|(begin, _)| *begin);
        let attempts = run.steps.iter().map(|step| step.spans.len()).sum();
        let summary = format!(
            "{} of {} in {}.",
            count(attempts, "attempt"),
            count(rows.len(), "step"),
            duration(run.record.wall_ms)
        );
        Self { rows: rows.into_iter().map(|(_, row)| row).collect(), ticks: ticks(whole), summary }
    }
}

fn bar(place: usize, span: Span, whole: u64, open: State) -> Bar {
    // The clock of a machine may step: no bar leaves the picture for that.
    let begun = span.from.min(whole);
    let to = span.to.unwrap_or(whole).clamp(begun, whole);
    let state: Standing = if span.to.is_some() { span.state.into() } else { open.into() };
    let word = match span.state {
        State::Skipped => "stopped",
        _ => state.word,
    };
    let (from, took) = (duration(span.from), duration(span.took(whole)));
    Bar {
        left: per_cent(begun, whole),
        width: per_cent(to - begun, whole),
        state,
        told: clean(&format!("attempt {}: {word} after {took}, begun {from} into the run", place + 1)),
    }
}

/// A part in per cent, with three decimals.
fn per_cent(part: u64, whole: u64) -> String {
    // Milliseconds of a run fit into a float.
    #[expect(clippy::cast_precision_loss, reason = "a picture needs four digits")]
    let share = 100.0 * part.min(whole) as f64 / whole as f64;
    format!("{share:.3}")
}

/// Round times, the first at zero, the last within the run.
fn ticks(whole: u64) -> Vec<Tick> {
    const STEPS: [u64; 27] = [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        1000,
        2000,
        5000,
        10_000,
        15_000,
        30_000,
        60_000,
        120_000,
        300_000,
        600_000,
        900_000,
        1_800_000,
        3_600_000,
        7_200_000,
        21_600_000,
        43_200_000,
        86_400_000,
        604_800_000,
    ];
    let step = STEPS.into_iter().find(|step| whole / step <= TICKS).unwrap_or_else(|| whole.div_ceil(TICKS));
    let label = |at: u64| match at {
        0 => "0".to_owned(),
        _ if step < 100 || whole < 1000 => format!("{at} ms"),
        _ if step < 1000 => format!("{}.{} s", at / 1000, at % 1000 / 100),
        1000..60_000 if step >= 1000 => format!("{} s", at / 1000),
        at => duration(at),
    };
    (0..=whole / step)
        .map(|place| place * step)
        .map(|at| Tick { left: per_cent(at, whole), label: label(at) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(whole: u64) -> Vec<String> {
        ticks(whole).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn the_axis_has_round_times() {
        assert_eq!(labels(1), ["0", "1 ms"]);
        assert_eq!(labels(874), ["0", "200 ms", "400 ms", "600 ms", "800 ms"]);
        assert_eq!(labels(2100), ["0", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]);
        assert_eq!(labels(4200), ["0", "1 s", "2 s", "3 s", "4 s"]);
        assert_eq!(labels(200_000), ["0", "1 min", "2 min", "3 min"]);
        assert_eq!(labels(86_400_000 * 30), ["0", "7 d", "14 d", "21 d", "28 d"]);
    }

    #[test]
    fn a_bar_stays_within_the_run() {
        let span = Span { from: 500, to: None, state: State::Running };
        let bar = super::bar(1, span, 1000, State::Failed);
        assert_eq!((bar.left.as_str(), bar.width.as_str()), ("50.000", "50.000"));
        let late =
            super::bar(0, Span { from: 1200, to: Some(1500), state: State::Executed }, 1000, State::Failed);
        assert_eq!((late.left.as_str(), late.width.as_str()), ("100.000", "0.000"));
        assert_eq!(bar.told, "attempt 2: failed after 500 ms, begun 500 ms into the run");
    }
}
