//! What the server counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Counters by model and version; only of models that the server has, so that clients cannot make them grow.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<(String, u64), Series>>,
}

#[derive(Debug, Default)]
struct Series {
    codes: BTreeMap<u16, u64>,
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn record(&self, model: &str, version: u64, code: u16, took: Duration) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = series.entry((model.to_owned(), version)).or_default();
        let seconds = took.as_secs_f64();
        *series.codes.entry(code).or_default() += 1;
        series.count += 1;
        series.sum += seconds;
        for (bucket, bound) in series.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// All of it as text.
    pub(crate) fn render(&self) -> String {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from(
            "# HELP tidemill_inference_requests_total Inference requests that were answered.\n\
             # TYPE tidemill_inference_requests_total counter\n",
        );
        // Writing to a string cannot fail.
        for ((model, version), series) in series.iter() {
            for (code, count) in &series.codes {
                let labels = format!("model=\"{model}\",version=\"{version}\",code=\"{code}\"");
                let _ = writeln!(text, "tidemill_inference_requests_total{{{labels}}} {count}");
            }
        }
        text.push_str(
            "# HELP tidemill_inference_duration_seconds Time from a request's arrival to its answer.\n\
             # TYPE tidemill_inference_duration_seconds histogram\n",
        );
        for ((model, version), series) in series.iter() {
            let name = "tidemill_inference_duration_seconds";
            let labels = format!("model=\"{model}\",version=\"{version}\"");
            for (bound, count) in BOUNDS.iter().zip(series.buckets) {
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", series.count);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", series.sum);
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", series.count);
        }
        text
    }
}
