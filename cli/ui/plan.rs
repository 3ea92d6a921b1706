//! The plan as people read it: a line per step, or per group of steps that are alike; then how many, and the forecast.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use tidemill_engine::{Forecast, Plan, PlannedStep, Verdict};

use super::style::{Paint, Tone};
use super::text::{clean, count, duration};

/// A plan with its forecast.
#[derive(Debug, Serialize)]
pub(crate) struct Planned<'a> {
    /// The plan.
    #[serde(flatten)]
    pub(crate) plan: &'a Plan,
    /// What a run will take.
    pub(crate) forecast: &'a Forecast,
}

/// Whether steps that are alike share a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// They do.
    Folded,
    /// Every step has a line of its own.
    Whole,
}

/// From so many combinations of a matrix on, those that are alike share a line.
const MANY: usize = 4;
/// With more lines than this, the cached steps are only counted.
const SCREENFUL: usize = 20;

/// What one line is about.
struct Line<'a> {
    verdict: Verdict,
    what: String,
    reason: String,
    /// The expected times of the steps that run.
    times: Vec<u64>,
    steps: Vec<&'a PlannedStep>,
}

/// Draws a plan.
pub(crate) fn draw(planned: &Planned<'_>, form: Form, paint: Paint) -> String {
    let steps = &planned.plan.steps;
    let mut lines = match form {
        Form::Folded => folded(steps),
        Form::Whole => steps.iter().map(|step| Line::of(vec![step])).collect(),
    };
    if form == Form::Folded && lines.len() > SCREENFUL {
        fold_cached(&mut lines);
    }
    let width = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or(0);
    let mut text: String = lines.iter().map(|line| line.draw(width, paint)).collect();
    text.push_str(&format!("\n{}\n", totals(steps)));
    for line in super::forecast::lines(planned.forecast) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// One line per step; combinations of a matrix that are alike share one, at the place of the first.
fn folded(steps: &[PlannedStep]) -> Vec<Line<'_>> {
    let mut numbers: HashMap<(&str, &str, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<&PlannedStep>> = Vec::new();
    // By step: its group. Mostly it is that of the step before.
    let mut group_of: Vec<usize> = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let (name, verdict) = (step.step.step(), word(step.verdict).1);
        let before = place.checked_sub(1).map(|place| (&steps[place], group_of[place]));
        let same = before.filter(|(before, _)| {
            before.step.step() == name
                && before.verdict == step.verdict
                && before.reason == step.reason
                && before.differs == step.differs
        });
        let group = match same {
            Some((_, group)) => group,
            None => *numbers.entry((name, verdict, common(&said(step)))).or_insert(groups.len()),
        };
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(step);
        group_of.push(group);
    }
    let mut lines = Vec::new();
    for (step, group) in steps.iter().zip(group_of) {
        match groups[group].len() {
            // It was drawn with its first step.
            0 => {}
            few if few < MANY => lines.push(Line::of(vec![step])),
            _ => lines.push(Line::of(std::mem::take(&mut groups[group]))),
        }
    }
    lines
}

/// Why something happens to a step, and what else is to be known of it.
fn said(step: &PlannedStep) -> Cow<'_, str> {
    match (&step.differs, step.reason.is_empty()) {
        (None, _) => Cow::Borrowed(&step.reason),
        (Some(note), true) => Cow::Borrowed(note),
        (Some(note), false) => format!("{}; {note}", step.reason).into(),
    }
}

/// What the reasons of combinations have in common: matrix values of steps are left out.
fn common(reason: &str) -> String {
    let mut common = String::new();
    let mut rest = reason;
    while let Some(open) = rest.find('[') {
        let after_name = rest[..open].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let close = rest[open..].find(']').filter(|_| after_name);
        let (kept, next) = match close {
            Some(close) => (open, open + close + 1),
            None => (open + 1, open + 1),
        };
        common.push_str(&rest[..kept]);
        rest = &rest[next..];
    }
    common + rest
}

/// Cached steps as one number, at the end.
fn fold_cached(lines: &mut Vec<Line<'_>>) {
    let has_note = |line: &Line<'_>| line.steps.iter().any(|step| step.differs.is_some());
    let is_cached =
        |line: &Line<'_>| matches!(line.verdict, Verdict::Cached | Verdict::Done) && !has_note(line);
    let steps: usize = lines.iter().filter(|line| is_cached(line)).map(|line| line.steps.len()).sum();
    lines.retain(|line| !is_cached(line));
    if steps > 0 {
        let what = count(steps, "step");
        lines.push(Line {
            verdict: Verdict::Cached,
            what,
            reason: String::new(),
            times: Vec::new(),
            steps: Vec::new(),
        });
    }
}

impl<'a> Line<'a> {
    /// A line about steps that are alike.
    fn of(steps: Vec<&'a PlannedStep>) -> Self {
        let first = steps[0];
        let (what, reason) = match steps.len() {
            1 => (first.step.to_string(), said(first).into_owned()),
            many => (format!("{} ×{many}", first.step.step()), common(&said(first))),
        };
        let times = steps.iter().filter_map(|step| step.expected_ms).collect();
        Self { verdict: first.verdict, what, reason, times, steps }
    }

    fn draw(&self, width: usize, paint: Paint) -> String {
        let (tone, word) = word(self.verdict);
        let word = paint.text(tone, &format!("{word:<8}"));
        let mut line = format!("  {word} {:<width$}  {}", clean(&self.what), clean(&self.reason));
        let mut times = self.times.clone();
        times.sort_unstable();
        if let Some(middle) = times.get(times.len() / 2) {
            let each = if self.steps.len() > 1 { " each" } else { "" };
            let time = format!("~{}{each}", duration(*middle));
            line.push_str(&format!("  {}", paint.text(Tone::Faint, &time)));
        }
        format!("{}\n", line.trim_end())
    }
}

fn totals(steps: &[PlannedStep]) -> String {
    let number = |verdicts: &[Verdict]| steps.iter().filter(|step| verdicts.contains(&step.verdict)).count();
    let mut text = match (number(&[Verdict::Run]), number(&[Verdict::Maybe])) {
        (0, 0) => "nothing to do".to_owned(),
        (run, 0) => format!("{} would run", count(run, "step")),
        (run, maybe) => format!("{} would run, {maybe} more may have to", count(run, "step")),
    };
    text.push_str(&format!(", {} cached", number(&[Verdict::Cached, Verdict::Done])));
    for (verdict, word) in [(Verdict::Blocked, "blocked"), (Verdict::Held, "held back")] {
        match number(&[verdict]) {
            0 => {}
            number => text.push_str(&format!(", {number} {word}")),
        }
    }
    text
}

fn word(verdict: Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::Cached => (Tone::Faint, "cached"),
        Verdict::Done => (Tone::Faint, "current"),
        Verdict::Run => (Tone::Busy, "run"),
        Verdict::Maybe => (Tone::Busy, "maybe"),
        Verdict::Blocked => (Tone::Warn, "blocked"),
        Verdict::Skipped => (Tone::Faint, "skipped"),
        Verdict::Held => (Tone::Warn, "held"),
    }
}

#[cfg(test)]
mod tests {
    use tidemill_engine::name::{StepId, StepName};

    use super::*;

    fn step(name: &str, fold: Option<usize>, verdict: Verdict, reason: &str) -> PlannedStep {
        let axes: Vec<_> = fold.iter().map(|fold| ("fold".to_owned(), fold.to_string())).collect();
        PlannedStep {
            step: StepId::new(&StepName::new(name).unwrap(), &axes),
            verdict,
            reason: reason.to_owned().into(),
            key: None,
            differs: None,
            has_result: false,
            expected_ms: None,
            fetch_bytes: 0,
        }
    }

    fn drawn(steps: Vec<PlannedStep>, form: Form) -> String {
        let planned = Planned { plan: &Plan { steps }, forecast: &Forecast::default() };
        draw(&planned, form, Paint::Plain)
    }

    #[test]
    fn a_plan_says_what_and_why_and_how_long() {
        let mut train = step("train", None, Verdict::Run, "parameter train.alpha changed: 0.5 → 1.0");
        train.expected_ms = Some(12_340);
        let steps = vec![
            step("ingest", None, Verdict::Cached, ""),
            train,
            step("evaluate", None, Verdict::Maybe, "train runs before it"),
            step("deploy", None, Verdict::Blocked, "the gate of check says no"),
        ];
        insta::assert_snapshot!(drawn(steps, Form::Folded), @r"
          cached   ingest
          run      train     parameter train.alpha changed: 0.5 → 1.0  ~12.3 s
          maybe    evaluate  train runs before it
          blocked  deploy    the gate of check says no

        1 step would run, 1 more may have to, 1 cached, 1 blocked
        ");
    }

    fn matrix() -> Vec<PlannedStep> {
        let mut steps = Vec::new();
        for fold in 1..=6 {
            let mut train = match fold {
                6 => step("train", Some(fold), Verdict::Cached, ""),
                _ => step("train", Some(fold), Verdict::Run, "parameter alphas changed: [1] → [1, 2]"),
            };
            train.expected_ms = Some(fold as u64 * 1000).filter(|_| fold < 6);
            steps.push(train);
        }
        for fold in 1..=5 {
            let reason = format!("train[fold={fold}] runs before it");
            steps.push(step("score", Some(fold), Verdict::Maybe, &reason));
        }
        steps
    }

    #[test]
    fn combinations_that_are_alike_share_a_line() {
        insta::assert_snapshot!(drawn(matrix(), Form::Folded), @r"
          run      train ×5       parameter alphas changed: [1] → [1, 2]  ~3.0 s each
          cached   train[fold=6]
          maybe    score ×5       train runs before it

        5 steps would run, 5 more may have to, 1 cached
        ");
        assert_eq!(drawn(matrix(), Form::Whole).lines().count(), 11 + 2);
    }

    #[test]
    fn beyond_a_screenful_the_cached_ones_are_a_number() {
        let mut steps = vec![step("changed", None, Verdict::Run, "command changed")];
        steps.extend((0..30).map(|place| step(&format!("s{place}"), None, Verdict::Cached, "")));
        insta::assert_snapshot!(drawn(steps, Form::Folded), @r"
          run      changed   command changed
          cached   30 steps

        1 step would run, 30 cached
        ");
    }

    #[test]
    fn a_step_that_differs_when_it_is_repeated_is_marked() {
        let mut steps = matrix();
        steps.truncate(6);
        for place in [1, 5] {
            steps[place].differs = Some("differs when repeated: output `model` at byte 7".into());
        }
        insta::assert_snapshot!(drawn(steps.clone(), Form::Folded), @r"
          run      train ×4       parameter alphas changed: [1] → [1, 2]  ~4.0 s each
          run      train[fold=2]  parameter alphas changed: [1] → [1, 2]; differs when repeated: output `model` at byte 7  ~2.0 s
          cached   train[fold=6]  differs when repeated: output `model` at byte 7

        5 steps would run, 1 cached
        ");
        steps.extend((0..30).map(|place| step(&format!("s{place}"), None, Verdict::Cached, "")));
        assert!(
            drawn(steps, Form::Folded).contains("cached   train[fold=6]"),
            "what has a note is not only counted"
        );
    }

    #[test]
    fn nothing_to_do() {
        insta::assert_snapshot!(drawn(vec![step("a", None, Verdict::Cached, "")], Form::Folded), @r"
          cached   a

        nothing to do, 1 cached
        ");
    }
}
