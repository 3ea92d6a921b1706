//! Events as lines: one line for each that matters. In a log (a file, CI) every line begins with its time, steps are told when
//! they begin and when they end, and now and then that they still run. On a screen, where what runs stands below, they are
//! told when they end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidemill_engine::event::{Condition, Elsewhere, Event, Pulse, Sample, SkipReason, Stamped};
use tidemill_engine::failure::{Failure, FailureReport};
use tidemill_engine::graph::Graph;
use tidemill_engine::name::{ExecutorName, StepId};

use super::board::{cores, gpus};
use super::columns::cut;
use super::failure::describe;
use super::reads;
use super::sink::Loudness;
use super::style::{Paint, Tone};
use super::text::{clean, clock, count, duration, number, size};

/// The widest column of step ids.
const WIDEST: usize = 44;
/// After this time without a line about a running step a log says that it still runs.
const HEARTBEAT_MS: u64 = 60_000;
/// How many steps are named at once when they still run.
const STILL_NAMED: usize = 5;
/// How much is shown of the last line of a step's log.
const SAID: usize = 100;
/// From this many steps on, those found in the cache are counted instead of listed.
const MANY_STEPS: usize = 100;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To a terminal whose lower half shows what runs.
    Screen,
    /// To where nothing is ever rewritten.
    Log,
}

/// Turns the events of one run into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    place: Place,
    paint: Paint,
    loudness: Loudness,
    /// How wide the column of step ids is.
    width: usize,
    /// Whether steps found in the cache are listed.
    list_cached: bool,
    /// Why each queued step runs; told when it starts.
    reasons: BTreeMap<StepId, String>,
    /// By step: how long its attempt had been running when it was last told of, in milliseconds.
    told: BTreeMap<StepId, u64>,
    /// The steps that were told to stop. That others cannot run because of them needs no words.
    stopped: BTreeSet<StepId>,
}

impl Lines {
    /// Lines for a run of this graph.
    pub(crate) fn new(graph: &Graph, place: Place, paint: Paint, loudness: Loudness) -> Self {
        Self::of_width(graph.steps.len(), graph.skeleton.longest_id(), place, paint, loudness)
    }

    #[cfg(test)]
    fn with_ids<'a>(
        ids: impl Iterator<Item = &'a str>,
        place: Place,
        paint: Paint,
        loudness: Loudness,
    ) -> Self {
        let (mut steps, mut width) = (0, 0);
        for id in ids {
            steps += 1;
            width = width.max(id.chars().count());
        }
        Self::of_width(steps, width, place, paint, loudness)
    }

    /// Lines for a run of so many steps, the longest id of which is so long.
    pub(crate) fn of_width(
        steps: usize,
        width: usize,
        place: Place,
        paint: Paint,
        loudness: Loudness,
    ) -> Self {
        let list_cached = steps < MANY_STEPS || loudness == Loudness::Detailed;
        let (width, reasons) = (width.min(WIDEST), BTreeMap::new());
        let (told, stopped) = (BTreeMap::new(), BTreeSet::new());
        Self { place, paint, loudness, width, list_cached, reasons, told, stopped }
    }

    /// Whether every step that was found in the cache gets a line.
    pub(crate) fn lists_cached(&self) -> bool {
        self.list_cached
    }

    /// The lines of an event, each with its end; nothing if it says nothing to people.
    pub(crate) fn of(&mut self, stamped: &Stamped) -> String {
        let lines = self.line(&stamped.event);
        let is_head = matches!(stamped.event, Event::RunStarted { .. });
        let lines = lines.iter().flat_map(|lines| lines.lines()).enumerate();
        lines.map(|(index, line)| self.placed(stamped.at, line, is_head && index == 0)).collect()
    }

    /// What is to be said of steps that have been running for long without a word, each line with its end.
    pub(crate) fn heartbeat(&mut self, at: Timestamp, pulse: &Pulse) -> String {
        let silent = |sample: &&Sample| {
            let told = self.told.get(&sample.step).copied().unwrap_or(0);
            sample.elapsed_ms >= told.saturating_add(HEARTBEAT_MS)
        };
        let silent: Vec<&Sample> = pulse.samples.iter().filter(silent).collect();
        let mut lines = String::new();
        for sample in &silent {
            self.told.insert(sample.step.clone(), sample.elapsed_ms);
        }
        for sample in silent.iter().take(STILL_NAMED) {
            let line = self.step(Tone::Busy, "running", &sample.step, &still(sample));
            lines.push_str(&self.placed(at, &line, false));
        }
        if silent.len() > STILL_NAMED {
            let word = self.paint.text(Tone::Busy, &format!("{:<8}", "running"));
            let line = format!("{word} … and {} more", silent.len() - STILL_NAMED);
            lines.push_str(&self.placed(at, &line, false));
        }
        lines
    }

    /// A line as it stands in its place.
    fn placed(&self, at: Timestamp, line: &str, is_head: bool) -> String {
        match self.place {
            Place::Log => {
                let time = at.strftime("%H:%M:%S").to_string();
                format!("{} {line}\n", self.paint.text(Tone::Faint, &time))
            }
            Place::Screen if is_head => format!("{line}\n"),
            Place::Screen => format!("  {line}\n"),
        }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::RunStarted { run, pipeline, steps, overrides, .. } => {
                let mut lines = vec![format!("run {run} of {pipeline}, {}", count(*steps, "step"))];
                for (name, value) in overrides {
                    lines.push(format!("{:<8} {name} = {}", "set", clean(&value.to_string())));
                }
                let lines: Vec<String> =
                    lines.iter().map(|line| self.paint.text(Tone::Faint, line)).collect();
                Some(lines.join("\n"))
            }
            Event::StepQueued { step, reason, .. } => {
                self.reasons.insert(step.clone(), reason.clone());
                None
            }
            Event::StepStarted { step, .. } => {
                self.told.remove(step);
                (self.place == Place::Log).then(|| {
                    let reason = self.reasons.remove(step).unwrap_or_default();
                    self.step(Tone::Busy, "run", step, &reason)
                })
            }
            Event::StepCached { step, .. } => {
                self.list_cached.then(|| self.step(Tone::Faint, "cached", step, ""))
            }
            Event::StepsCached { .. } => None,
            Event::StepSucceeded { step, usage, unchanged, .. } => {
                let same = if *unchanged { ", the same bytes as before" } else { "" };
                // On a screen nothing was said when it began.
                let reason = self.reasons.remove(step).map(|reason| format!("  {reason}"));
                let text = format!("{}{same}{}", duration(usage.wall_ms), reason.unwrap_or_default());
                Some(self.step(Tone::Good, "done", step, &text))
            }
            Event::StepElsewhere { step, executor, how, .. } => self.elsewhere(step, executor, how),
            Event::StepRetried { step, report, wait_ms, .. } => {
                self.reasons.insert(step.clone(), "another attempt".to_owned());
                let text = format!("{}; again in {}", describe(&report.failure), duration(*wait_ms));
                Some(self.step(Tone::Warn, "retry", step, &text))
            }
            Event::StepRead { step, reads, .. } => {
                Some(self.step(Tone::Warn, "read", step, &reads::words(reads)))
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
                Some(format!("{word} {}", clean(message)))
            }
            Event::Metrics { step, values, .. } => self.metrics(step, values),
            Event::OutputsDropped { .. } | Event::StepMeasured { .. } | Event::RunFinished { .. } => None,
        }
    }

    /// How an attempt fares that is made elsewhere: on a screen only what needs a word, the rest stands below.
    fn elsewhere(&self, step: &StepId, executor: &ExecutorName, how: &Elsewhere) -> Option<String> {
        let is_worth_it = matches!(how, Elsewhere::Adopted { .. } | Elsewhere::Unreachable { .. });
        if self.place == Place::Screen && !is_worth_it {
            return None;
        }
        let (tone, word) = match how {
            Elsewhere::Adopted { .. } => (Tone::Good, "adopted"),
            Elsewhere::Submitted { .. } => (Tone::Faint, "sent"),
            Elsewhere::Waiting { .. } => (Tone::Faint, "waiting"),
            Elsewhere::Running { .. } => (Tone::Busy, "running"),
            Elsewhere::Unreachable { .. } => (Tone::Warn, "cut off"),
            Elsewhere::Reachable => (Tone::Good, "reached"),
        };
        Some(self.step(tone, word, step, &fares(executor, how)))
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
            true => format!("{word} {step}"),
            false => format!("{word} {step:<width$}  {text}", width = self.width),
        }
    }
}

/// How an attempt fares that is made elsewhere: `on gpu, at node-7`.
pub(crate) fn fares(executor: &ExecutorName, how: &Elsewhere) -> String {
    match how {
        Elsewhere::Adopted { run } => {
            format!("run {run} has sent it to {executor}; it is followed from here")
        }
        Elsewhere::Submitted { job } => format!("to {executor}, as {job}"),
        Elsewhere::Waiting { reason: Some(reason) } => format!("on {executor}: {reason}"),
        Elsewhere::Waiting { reason: None } => format!("on {executor}"),
        Elsewhere::Running { host: Some(host) } => format!("on {executor}, at {host}"),
        Elsewhere::Running { host: None } => format!("on {executor}"),
        Elsewhere::Unreachable { reason } => {
            format!("{executor} cannot be reached ({reason}); what runs there goes on, and it is asked again")
        }
        Elsewhere::Reachable => format!("{executor} answers again"),
    }
}

/// What a running step does: `2 min, 3.9 cores, 2.1 GiB: epoch 3`.
fn still(sample: &Sample) -> String {
    let mut said = vec![clock(sample.elapsed_ms)];
    said.extend(sample.cores.map(cores));
    said.extend(sample.memory.map(size));
    said.extend(sample.gpus.map(gpus));
    let line = sample.last_line.as_deref().map(clean).filter(|line| !line.is_empty());
    let line = line.map(|line| format!(": {}", cut(line.trim(), SAID))).unwrap_or_default();
    said.join(", ") + &line
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const IDS: [&str; 3] = ["ingest", "train[algorithm=ridge]", "train[algorithm=boosting]"];

    const AT: &str = "2026-11-20T23:55:01Z";

    fn lines(loudness: Loudness, ids: &[&str]) -> String {
        lines_in(Place::Log, loudness, ids)
    }

    fn lines_in(place: Place, loudness: Loudness, ids: &[&str]) -> String {
        let mut lines = Lines::with_ids(ids.iter().copied(), place, Paint::Plain, loudness);
        let stamped = |event| Stamped { at: AT.parse().unwrap(), event };
        sample::events().into_iter().map(|event| lines.of(&stamped(event))).collect()
    }

    #[test]
    fn a_run_reads_like_this() {
        insta::assert_snapshot!(lines(Loudness::Normal, &IDS), @r###"
        23:55:01 run 20261120-235501-k3f9qa of diabetes, 8 steps
        23:55:01 set      train.alpha = 0.7
        23:55:01 cached   ingest
        23:55:01 skipped  report                     `params.report` is false
        23:55:01 run      train[algorithm=ridge]     parameter train.alpha changed: 0.5 → 0.7
        23:55:01 run      train[algorithm=boosting]  it never ran
        23:55:01 retry    train[algorithm=boosting]  exit code 1; again in 2.0 s
        23:55:01 done     train[algorithm=ridge]     1.2 s, the same bytes as before
        23:55:01 run      train[algorithm=boosting]  another attempt
        23:55:01 failed   train[algorithm=boosting]  exit code 1
        23:55:01 blocked  register                   by train[algorithm=boosting]
        23:55:01 gate     evaluate                   closed: rmse < 50 is false
        23:55:01 publish  train[algorithm=ridge]     model to models/model.onnx; your file moved to .tidemill/displaced/model.onnx
        23:55:01 held     deploy                     version 3 is held back by ada
        23:55:01 current  notify
        23:55:01 note     clones are not available here
        "###);
    }

    #[test]
    fn above_what_runs_only_what_ended_is_told() {
        insta::assert_snapshot!(lines_in(Place::Screen, Loudness::Normal, &IDS), @r###"
        run 20261120-235501-k3f9qa of diabetes, 8 steps
          set      train.alpha = 0.7
          cached   ingest
          skipped  report                     `params.report` is false
          retry    train[algorithm=boosting]  exit code 1; again in 2.0 s
          done     train[algorithm=ridge]     1.2 s, the same bytes as before  parameter train.alpha changed: 0.5 → 0.7
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
    fn detailed_tells_more() {
        assert!(!lines(Loudness::Normal, &IDS).contains(" metrics "));
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

    fn running(step: &StepId, elapsed_s: u64) -> Sample {
        Sample {
            step: step.clone(),
            attempt: sample::attempt(1),
            elapsed_ms: elapsed_s * 1000,
            cores: Some(3.94),
            memory: Some(2_254_857_830),
            gpus: None,
            last_line: None,
        }
    }

    #[test]
    fn once_a_minute_a_log_says_that_a_step_still_runs() {
        let mut lines = Lines::with_ids(IDS.into_iter(), Place::Log, Paint::Plain, Loudness::Normal);
        let ridge = sample::ridge();
        let mut beat = |samples: Vec<Sample>| {
            lines.heartbeat(AT.parse().unwrap(), &Pulse { samples, ..Pulse::default() })
        };
        assert_eq!(beat(vec![running(&ridge, 59)]), "");
        let words = "23:55:01 running  train[algorithm=ridge]     1 min 2 s, 3.9 cores, 2.1 GiB\n";
        assert_eq!(beat(vec![running(&ridge, 62)]), words);
        assert_eq!(beat(vec![running(&ridge, 121)]), "");
        let said = Some(" 30%|###  \u{1b}[A".to_owned());
        let words = "23:55:01 running  train[algorithm=ridge]     2 min 3 s, 3.9 cores, 2.1 GiB: 30%|###\n";
        assert_eq!(beat(vec![Sample { last_line: said, ..running(&ridge, 123) }]), words);
        let many: Vec<Sample> =
            (0..300).map(|fold| running(&sample::step("fit", &[("fold", &fold.to_string())]), 60)).collect();
        let text = beat(many.clone());
        assert_eq!(text.lines().count(), STILL_NAMED + 1);
        assert!(text.ends_with("running  … and 295 more\n"), "{text}");
        assert_eq!(beat(many), "", "all of them were told of");
    }

    #[test]
    fn another_attempt_starts_anew() {
        let mut lines = Lines::with_ids(IDS.into_iter(), Place::Log, Paint::Plain, Loudness::Normal);
        let (at, ridge) = (AT.parse().unwrap(), sample::ridge());
        let pulse = |s| Pulse { samples: vec![running(&ridge, s)], ..Pulse::default() };
        assert_ne!(lines.heartbeat(at, &pulse(300)), "");
        lines.of(&Stamped { at, event: sample::started(&ridge, 2) });
        assert_eq!(lines.heartbeat(at, &pulse(59)), "");
        assert_ne!(lines.heartbeat(at, &pulse(61)), "");
    }
}
