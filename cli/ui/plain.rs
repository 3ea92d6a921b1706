//! Events as lines: one line for each that matters. The same lines go to a terminal, a file and a CI log.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_engine::event::{Condition, Event, SkipReason};
use tidemill_engine::failure::{Failure, FailureReport};
use tidemill_engine::graph::Graph;
use tidemill_engine::name::StepId;

use super::failure::describe;
use super::sink::Loudness;
use super::style::{Paint, Tone};
use super::text::{clean, count, duration, number};

/// The widest column of step ids.
const WIDEST: usize = 44;
/// From this many steps on, those found in the cache are counted instead of listed.
const MANY_STEPS: usize = 100;

/// Turns the events of one run into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    paint: Paint,
    loudness: Loudness,
    /// How wide the column of step ids is.
    width: usize,
    /// Whether steps found in the cache are listed.
    list_cached: bool,
    /// Why each queued step runs; told when it starts.
    reasons: BTreeMap<StepId, String>,
    /// The steps that were told to stop. That others cannot run because of them needs no words.
    stopped: BTreeSet<StepId>,
}

impl Lines {
    /// Lines for a run of this graph.
    pub(crate) fn new(graph: &Graph, paint: Paint, loudness: Loudness) -> Self {
        Self::with_ids(graph.steps.iter().map(|step| step.id.as_str()), paint, loudness)
    }

    fn with_ids<'a>(ids: impl Iterator<Item = &'a str>, paint: Paint, loudness: Loudness) -> Self {
        let (mut steps, mut width) = (0, 0);
        for id in ids {
            steps += 1;
            width = width.max(id.chars().count());
        }
        let list_cached = steps < MANY_STEPS || loudness == Loudness::Detailed;
        let (width, reasons, stopped) = (width.min(WIDEST), BTreeMap::new(), BTreeSet::new());
        Self { paint, loudness, width, list_cached, reasons, stopped }
    }

    /// The line of an event; none if it says nothing to people, or all is to be quiet.
    pub(crate) fn of(&mut self, event: &Event) -> Option<String> {
        let line = self.line(event)?;
        (self.loudness > Loudness::Quiet).then_some(line)
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::RunStarted { run, pipeline, steps, overrides, .. } => {
                let mut text = format!("run {run} of {pipeline}, {}", count(*steps, "step"));
                for (name, value) in overrides {
                    text.push_str(&format!("\n  {:<8} {name} = {}", "set", clean(&value.to_string())));
                }
                Some(self.paint.text(Tone::Faint, &text))
            }
            Event::StepQueued { step, reason, .. } => {
                self.reasons.insert(step.clone(), reason.clone());
                None
            }
            Event::StepStarted { step, .. } => {
                let reason = self.reasons.remove(step).unwrap_or_default();
                Some(self.step(Tone::Busy, "run", step, &reason))
            }
            Event::StepCached { step, .. } => {
                self.list_cached.then(|| self.step(Tone::Faint, "cached", step, ""))
            }
            Event::StepSucceeded { step, usage, unchanged, .. } => {
                let same = if *unchanged { ", the same bytes as before" } else { "" };
                Some(self.step(Tone::Good, "done", step, &format!("{}{same}", duration(usage.wall_ms))))
            }
            Event::StepRetried { step, report, wait_ms, .. } => {
                self.reasons.insert(step.clone(), "another attempt".to_owned());
                let text = format!("{}; again in {}", describe(&report.failure), duration(*wait_ms));
                Some(self.step(Tone::Warn, "retry", step, &text))
            }
            Event::StepFailed { step, report, .. } => Some(self.failed(step, report)),
            Event::StepSkipped { step, reason } => Some(self.skipped(step, reason)),
            Event::StepBlocked { by, .. } if self.stopped.contains(by) => None,
            Event::StepBlocked { step, by } => {
                Some(self.step(Tone::Warn, "blocked", step, &format!("by {by}")))
            }
            Event::Gate { step, open, conditions } => Some(self.gate(step, *open, conditions)),
            Event::Published { step, output, path, displaced } => {
                let moved = displaced.as_ref().map(|to| format!("; your file moved to {to}"));
                let text = format!("{output} to {path}{}", moved.unwrap_or_default());
                Some(self.step(Tone::Good, "publish", step, &text))
            }
            Event::Notice { message } => {
                let word = self.paint.text(Tone::Warn, &format!("{:<8}", "note"));
                Some(format!("  {word} {}", clean(message)))
            }
            Event::Metrics { step, values, .. } => self.metrics(step, values),
            Event::RunFinished { .. } => None,
        }
    }

    fn failed(&mut self, step: &StepId, report: &FailureReport) -> String {
        match report.failure {
            Failure::Cancelled => {
                self.stopped.insert(step.clone());
                self.step(Tone::Warn, "stopped", step, "")
            }
            Failure::Step(_) | Failure::Infrastructure(_) => {
                self.step(Tone::Bad, "failed", step, &describe(&report.failure))
            }
        }
    }

    fn skipped(&self, step: &StepId, reason: &SkipReason) -> String {
        match reason {
            SkipReason::When { condition } => {
                self.step(Tone::Faint, "skipped", step, &format!("`{condition}` is false"))
            }
            SkipReason::Upstream { step: upstream } => {
                self.step(Tone::Faint, "skipped", step, &format!("{upstream} was skipped"))
            }
            SkipReason::EffectDone => self.step(Tone::Faint, "current", step, ""),
            SkipReason::Held { message } => self.step(Tone::Warn, "held", step, message),
        }
    }

    fn gate(&self, step: &StepId, open: bool, conditions: &[Condition]) -> String {
        if open {
            return self.step(Tone::Good, "gate", step, "open");
        }
        let failing: Vec<&str> = conditions
            .iter()
            .filter(|condition| condition.holds == Some(false))
            .map(|condition| condition.text.as_str())
            .collect();
        self.step(Tone::Bad, "gate", step, &format!("closed: {} is false", failing.join(", ")))
    }

    fn metrics(&self, step: &StepId, values: &BTreeMap<String, f64>) -> Option<String> {
        let values: Vec<String> =
            values.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
        (self.loudness == Loudness::Detailed)
            .then(|| self.step(Tone::Faint, "metrics", step, &values.join(", ")))
    }

    /// A line about a step: a word, the step, and what is to be said.
    fn step(&self, tone: Tone, word: &str, step: &StepId, text: &str) -> String {
        let word = self.paint.text(tone, &format!("{word:<8}"));
        let step = clean(step.as_str());
        let text = clean(text);
        match text.is_empty() {
            true => format!("  {word} {step}"),
            false => format!("  {word} {step:<width$}  {text}", width = self.width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const IDS: [&str; 3] = ["ingest", "train[algorithm=ridge]", "train[algorithm=boosting]"];

    fn lines(loudness: Loudness, ids: &[&str]) -> String {
        let mut lines = Lines::with_ids(ids.iter().copied(), Paint::Plain, loudness);
        sample::events().iter().filter_map(|event| lines.of(event)).map(|line| line + "\n").collect()
    }

    #[test]
    fn a_run_reads_like_this() {
        insta::assert_snapshot!(lines(Loudness::Normal, &IDS), @r###"
        run 20261120-235501-k3f9qa of diabetes, 8 steps
          set      train.alpha = 0.7
          cached   ingest
          skipped  report                     `params.report` is false
          run      train[algorithm=ridge]     parameter train.alpha changed: 0.5 → 0.7
          run      train[algorithm=boosting]  it never ran
          retry    train[algorithm=boosting]  exit code 1; again in 2.0 s
          done     train[algorithm=ridge]     1.2 s, the same bytes as before
          run      train[algorithm=boosting]  another attempt
          failed   train[algorithm=boosting]  exit code 1
          blocked  register                   by train[algorithm=boosting]
          gate     evaluate                   closed: rmse < 50 is false
          publish  train[algorithm=ridge]     model to models/model.onnx; your file moved to .tidemill/displaced/model.onnx
          held     deploy                     version 3 is held back by ada
          current  notify
          note     clones are not available here
        "###);
    }

    #[test]
    fn quiet_is_quiet_and_detailed_tells_more() {
        assert_eq!(lines(Loudness::Quiet, &IDS), "");
        assert!(!lines(Loudness::Normal, &IDS).contains("  metrics "));
        assert!(lines(Loudness::Detailed, &IDS).contains("rmse 53.8564, rows 89"));
    }

    #[test]
    fn cached_steps_of_a_large_pipeline_are_not_listed() {
        assert!(lines(Loudness::Normal, &IDS).contains("cached   ingest"));
        assert!(!lines(Loudness::Normal, &["ingest"; MANY_STEPS]).contains("cached   ingest"));
    }

    #[test]
    fn lines_hold_no_control_character() {
        let all = lines(Loudness::Detailed, &IDS);
        assert!(all.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
