//! Metrics with their change against an earlier run, as few lines.

use tidemill_engine::record::{Measured, MetricChange, Recap};

use super::style::{Paint, Tone};
use super::text::{clean, number, significant};

/// How many lines those of one step take.
const LINES_OF_A_STEP: usize = 2;
/// With how many significant digits a change is shown.
const CHANGE_DIGITS: i32 = 3;

/// A text and how it is painted.
struct Word {
    tone: Option<Tone>,
    text: String,
}

/// The metrics of a run, about as many lines, of at most this width: of steps with a gate first, what changed before what did not.
pub(crate) fn lines(recap: &Recap, paint: Paint, width: usize, most: usize) -> Vec<String> {
    let has_gate = |measured: &Measured| recap.gates.iter().any(|gate| gate.step == measured.step);
    let mut steps: Vec<&Measured> =
        recap.metrics.iter().filter(|measured| !measured.values.is_empty()).collect();
    steps.sort_by_key(|measured| !has_gate(measured));
    let mut lines = Vec::new();
    for (place, measured) in steps.iter().enumerate() {
        let of_step = of_step(measured, paint, width);
        let is_last = place + 1 == steps.len();
        if place > 0 && lines.len() + of_step.len() > most - usize::from(!is_last) {
            let more = steps.len() - place;
            lines.push(format!("and {more} more {}", if more == 1 { "step" } else { "steps" }));
            break;
        }
        lines.extend(of_step);
    }
    if let Some(against) = &recap.against {
        let all_unchanged = steps.iter().all(|measured| measured.values.values().all(is_unchanged));
        let words = if all_unchanged { "all the same as in run" } else { "compared with run" };
        lines.push(paint.text(Tone::Faint, &format!("{words} {against}")));
    }
    lines
}

fn of_step(measured: &Measured, paint: Paint, width: usize) -> Vec<String> {
    let step = clean(measured.step.as_str());
    let was_measured = measured.values.values().any(|metric| metric.before.is_some());
    let mut metrics: Vec<(&String, &MetricChange)> = measured.values.iter().collect();
    metrics.sort_by_key(|(_, metric)| (is_unchanged(metric), was_measured && metric.before.is_none()));
    let mut words = metrics.into_iter().map(|(name, metric)| word(name, metric, was_measured)).peekable();
    let mut lines = Vec::new();
    let (mut line, mut length) = (format!("{step}: "), step.chars().count() + 2);
    let mut is_first = true;
    while let Some(word) = words.next() {
        let comma = if words.peek().is_some() { "," } else { "" };
        let size = word.text.chars().count() + 1;
        // Room for the words that say how many are left.
        let needed = if lines.len() + 1 == LINES_OF_A_STEP { size + " and 99 more".len() } else { size };
        if !is_first && length + needed > width {
            if lines.len() + 1 == LINES_OF_A_STEP && words.peek().is_some() {
                line.push_str(&format!(" and {} more", words.count() + 1));
                break;
            }
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
            (length, is_first) = (2, true);
        }
        if !is_first {
            line.push(' ');
            length += 1;
        }
        let text = word.tone.map_or_else(|| word.text.clone(), |tone| paint.text(tone, &word.text));
        line.push_str(&format!("{text}{comma}"));
        length += size;
        is_first = false;
    }
    lines.push(line);
    lines
}

fn is_unchanged(metric: &MetricChange) -> bool {
    metric.before.is_some_and(|before| before.to_bits() == metric.value.to_bits() || before == metric.value)
}

/// A metric: `rmse 56.1619 (-0.42)`; faint if it is what it was.
fn word(name: &str, metric: &MetricChange, was_measured: bool) -> Word {
    let name = clean(name);
    let value = number(metric.value);
    match metric.before {
        Some(_) if is_unchanged(metric) => Word { tone: Some(Tone::Faint), text: format!("{name} {value}") },
        Some(before) => {
            Word { tone: None, text: format!("{name} {value} ({})", change(before, metric.value)) }
        }
        None if was_measured => Word { tone: None, text: format!("{name} {value} (new)") },
        None => Word { tone: None, text: format!("{name} {value}") },
    }
}

/// A change with its sign; the earlier value where a difference says nothing.
fn change(before: f64, now: f64) -> String {
    let difference = now - before;
    if !difference.is_finite() {
        return format!("was {}", number(before));
    }
    let sign = if difference < 0.0 { '-' } else { '+' };
    format!("{sign}{}", significant(difference.abs(), CHANGE_DIGITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::sample::step;
    use super::*;

    fn measured(name: &str, values: &[(&str, f64, Option<f64>)]) -> Measured {
        let values = values
            .iter()
            .map(|(name, value, before)| {
                ((*name).to_owned(), MetricChange { value: *value, before: *before })
            })
            .collect::<BTreeMap<_, _>>();
        Measured { step: step(name, &[]), values }
    }

    #[test]
    fn a_change_has_a_sign_and_few_digits() {
        assert_eq!(change(56.58, 56.16), "-0.42");
        assert_eq!(change(56.161_9, 59.004), "+2.84");
        assert_eq!(change(0.4, 0.4 + 1e-9), "+1.00e-9");
        assert_eq!(change(f64::NAN, 1.0), "was NaN");
        assert_eq!(change(100.0, 1100.0), "+1000");
    }

    #[test]
    fn what_changed_comes_first_and_what_is_too_much_is_counted() {
        let many: Vec<(String, f64)> = (0..40).map(|n| (format!("metric{n:02}"), f64::from(n))).collect();
        let many: Vec<(&str, f64, Option<f64>)> =
            many.iter().map(|(name, value)| (name.as_str(), *value, None)).collect();
        let mut recap = Recap::default();
        recap.metrics = vec![
            measured("train", &many),
            measured("evaluate", &[("mae", 1.0, Some(1.0)), ("rmse", 2.0, Some(2.5)), ("r2", 0.5, None)]),
            measured("a", &[("x", f64::NAN, Some(f64::NAN))]),
            measured("b", &[("x", 1.0, None)]),
            measured("c", &[("x", 1.0, None)]),
            measured("d", &[("x", 1.0, None)]),
            measured("e", &[("x", 1.0, None)]),
        ];
        insta::assert_snapshot!(lines(&recap, Paint::Plain, 60, 6).join("\n"), @r"
        train: metric00 0, metric01 1, metric02 2, metric03 3,
          metric04 4, metric05 5, metric06 6, metric07 7, and 32 more
        evaluate: rmse 2 (-0.5), r2 0.5 (new), mae 1
        a: x NaN
        b: x 1
        and 3 more steps
        ");
    }
}
