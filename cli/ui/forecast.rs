//! A forecast in words: no more digits than are known, and what is not known is said.

use tidemill_engine::Forecast;
use tidemill_engine::schedule::{Estimate, Interval};

use super::text::{count, size};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The forecast; nothing if nothing runs.
pub(crate) fn lines(forecast: &Forecast) -> Vec<String> {
    let Forecast { sure, all } = forecast;
    if all.steps == 0 {
        return match all.fetch_bytes {
            0 => Vec::new(),
            bytes => vec![format!("nothing runs; {} to fetch from the store", size(bytes))],
        };
    }
    if all.unknown_steps == all.steps {
        return vec!["no forecast: none of them has run here before".to_owned()];
    }
    match sure.steps == all.steps {
        true => vec![words(all)],
        false => vec![
            format!("if only what surely runs does: {}", words(sure)),
            format!("if all that may run does: {}", words(all)),
        ],
    }
}

/// Such as `about 4 min (3 to 6 min), 0.4 CPU h, 1.2 GiB to store; 2 steps have no history`.
fn words(estimate: &Estimate) -> String {
    let Estimate { steps, unknown_steps, wall_ms, cpu_ms, gpu_ms, fetch_bytes, store_bytes } = estimate;
    let history = match unknown_steps {
        0 => String::new(),
        1 => "1 step has no history".to_owned(),
        many => format!("{} have no history", count(*many, "step")),
    };
    if steps == unknown_steps {
        return format!("no forecast, {history}");
    }
    let mut parts = Vec::new();
    parts.extend(work(*cpu_ms, "CPU"));
    parts.extend(work(*gpu_ms, "GPU"));
    for (bytes, what) in [(*fetch_bytes, "fetch"), (*store_bytes, "store")] {
        if bytes > 0 {
            parts.push(format!("{} to {what}", size(bytes)));
        }
    }
    let rest: String = parts.into_iter().map(|part| format!(", {part}")).collect();
    match (wall_ms.high < SECOND, unknown_steps) {
        (true, 0) => format!("under a second{rest}"),
        (true, _) => format!("{history}; the others take under a second{rest}"),
        (false, 0) => format!("about {}{rest}", time(*wall_ms)),
        (false, _) => format!("at least {}{rest}; {history}", time(*wall_ms)),
    }
}

/// A time and the interval that it lies in, if that says more: `4 min (3 to 6 min)`.
fn time(Interval { low, median, high }: Interval) -> String {
    let [(low, low_unit), (middle, unit), (high, high_unit)] = [low, median, high].map(rough);
    if (&low, low_unit) == (&high, high_unit) {
        return format!("{middle} {unit}");
    }
    match low_unit == high_unit {
        true => format!("{middle} {unit} ({low} to {high} {high_unit})"),
        false => format!("{middle} {unit} ({low} {low_unit} to {high} {high_unit})"),
    }
}

/// A duration with about two digits, and its unit.
fn rough(ms: u64) -> (String, &'static str) {
    match ms {
        0..180_000 => (rounded(ms, SECOND), "s"),
        180_000..10_800_000 => (rounded(ms, MINUTE), "min"),
        10_800_000..259_200_000 => (rounded(ms, HOUR), "h"),
        _ => (rounded(ms, DAY), "d"),
    }
}

/// In a unit, with one decimal below ten.
fn rounded(ms: u64, unit: u64) -> String {
    match ms.saturating_mul(10).saturating_add(unit / 2) / unit {
        tenths @ 0..100 if !tenths.is_multiple_of(10) => format!("{}.{}", tenths / 10, tenths % 10),
        tenths => ((tenths + 5) / 10).to_string(),
    }
}

/// Such as `0.4 CPU h`, or `12 s CPU` where that would be nothing; none where even that is.
fn work(ms: u64, what: &str) -> Option<String> {
    match ms {
        0..SECOND => None,
        SECOND..360_000 => Some(format!("{} s {what}", (ms + SECOND / 2) / SECOND)),
        _ => Some(format!("{} {what} h", rounded(ms, HOUR))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(steps: usize, unknown_steps: usize, [low, median, high]: [u64; 3]) -> Estimate {
        Estimate {
            steps,
            unknown_steps,
            wall_ms: Interval { low: low * SECOND, median: median * SECOND, high: high * SECOND },
            cpu_ms: 24 * MINUTE,
            gpu_ms: 0,
            fetch_bytes: 0,
            store_bytes: 1_288_490_189,
        }
    }

    #[test]
    fn a_forecast_says_what_it_knows_and_what_not() {
        let known = estimate(3, 0, [180, 240, 360]);
        let sure = |estimate: Estimate| Forecast { sure: estimate.clone(), all: estimate };
        assert_eq!(lines(&sure(known.clone())), ["about 4 min (3 to 6 min), 0.4 CPU h, 1.2 GiB to store"]);
        let unknown = estimate(5, 2, [50, 70, 200]);
        assert_eq!(
            lines(&Forecast { sure: known, all: unknown }),
            [
                "if only what surely runs does: about 4 min (3 to 6 min), 0.4 CPU h, 1.2 GiB to store",
                "if all that may run does: at least 70 s (50 s to 3.3 min), 0.4 CPU h, 1.2 GiB to store; 2 steps have no history"
            ]
        );
        let short = Estimate { cpu_ms: 0, gpu_ms: 7_200_000, fetch_bytes: 1024, ..estimate(2, 1, [0, 0, 0]) };
        assert_eq!(
            lines(&sure(short)),
            [
                "1 step has no history; the others take under a second, 2 GPU h, 1.0 KiB to fetch, 1.2 GiB to store"
            ]
        );
        assert_eq!(
            lines(&sure(estimate(2, 2, [0, 0, 0]))),
            ["no forecast: none of them has run here before"]
        );
        assert!(lines(&Forecast::default()).is_empty());
    }

    #[test]
    fn what_runs_surely_may_be_unknown_while_the_rest_is_not() {
        let forecast = Forecast { sure: estimate(1, 1, [0, 0, 0]), all: estimate(2, 1, [3, 4, 5]) };
        assert_eq!(
            lines(&forecast),
            [
                "if only what surely runs does: no forecast, 1 step has no history",
                "if all that may run does: at least 4 s (3 to 5 s), 0.4 CPU h, 1.2 GiB to store; 1 step has no history"
            ]
        );
    }

    #[test]
    fn times_are_as_rough_as_they_are_uncertain() {
        let cases = [
            (400, "0.4 s"),
            (4000, "4 s"),
            (4449, "4.4 s"),
            (64_900, "65 s"),
            (200_000, "3.3 min"),
            (900_000, "15 min"),
            (12_600_000, "3.5 h"),
            (345_600_000, "4 d"),
        ];
        for (ms, text) in cases {
            let (number, unit) = rough(ms);
            assert_eq!(format!("{number} {unit}"), text);
        }
        assert_eq!(time(Interval { low: 4000, median: 4000, high: 4010 }), "4 s");
        assert_eq!(work(12_400, "CPU").as_deref(), Some("12 s CPU"));
        assert_eq!(work(900, "CPU"), None);
    }
}
