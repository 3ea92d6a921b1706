//! What a person needs after a failure: what happened, the end of the log, where the rest is, and what to do.

use camino::Utf8Path;
use tidemill_engine::failure::Failure;
use tidemill_engine::record::{FailedStep, Recap, RunRecord};

use super::style::{Paint, Tone};
use super::text::{clean, clip};
use crate::args::ParamArgs;

/// How many failures are told in full.
const TOLD: usize = 3;
/// How many more are told in a line.
const LISTED: usize = 7;
/// How many lines of a log are shown, if one step failed.
const TAIL: usize = 20;
/// How many, if several failed.
const TAIL_OF_SEVERAL: usize = 8;
/// The longest line of a log that is shown whole.
const LONGEST_LINE: usize = 240;
/// How many blocked steps are named.
const NAMED: usize = 6;

/// Why an attempt failed, in a few words.
pub(crate) fn describe(failure: &Failure) -> String {
    failure.words()
}

/// How a command like the one that failed is typed: its pipeline and the values of its parameters.
#[derive(Debug, Default)]
pub(crate) struct Again {
    /// What stands behind the step: the pipeline, and the options that set parameters.
    words: Vec<String>,
}

impl Again {
    /// The pipeline as it was typed, if it was, and the options.
    pub(crate) fn new(pipeline: Option<&str>, params: &ParamArgs) -> Self {
        let mut words: Vec<String> = pipeline.map(str::to_owned).into_iter().collect();
        for file in &params.files {
            words.extend(["--params".to_owned(), file.to_string()]);
        }
        for (name, value) in &params.set {
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        Self { words }
    }

    /// The pipeline and the parameters of a run in the history.
    pub(crate) fn of(record: &RunRecord) -> Self {
        let mut words = vec![record.pipeline.to_string()];
        for (name, value) in &record.overrides {
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        Self { words }
    }

    /// The line to type.
    fn debug(&self, step: &str) -> String {
        let words = ["tidemill", "debug", step].into_iter().chain(self.words.iter().map(String::as_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// A word as a shell reads it: in quotes only where it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        // What cannot be quoted is a NUL byte, which no word of a command line holds.
        false => shlex::try_quote(word).map_or_else(|_| clean(word), std::borrow::Cow::into_owned),
    }
}

/// Where and how failures are told.
pub(crate) struct Telling<'a> {
    /// With colours or not.
    pub(crate) paint: Paint,
    /// The folder that paths are shown from.
    pub(crate) folder: &'a Utf8Path,
    /// How to type a command about the same pipeline.
    pub(crate) again: Again,
}

/// The failures of a run: the first ones with the end of their logs, others in a line, and how many more there are.
pub(crate) fn draw(recap: &Recap, telling: &Telling<'_>) -> String {
    let mut text = String::new();
    let failures = &recap.failures;
    let tail = if failures.len() > 1 { TAIL_OF_SEVERAL } else { TAIL };
    for failed in failures.iter().take(TOLD) {
        text.push_str(&block(failed, recap, telling, tail));
    }
    for (place, failed) in failures.iter().skip(TOLD).take(LISTED).enumerate() {
        let what = clean(&describe(&failed.report.failure));
        let step = telling.paint.text(Tone::Bad, &format!("{} failed:", clean(failed.step.as_str())));
        text.push_str(&format!("{}{step} {what}\n", if place == 0 { "\n" } else { "" }));
    }
    let others = failures.len().saturating_sub(TOLD + LISTED);
    if others > 0 {
        text.push_str(&format!("and {others} more failures; `tidemill show` lists them\n"));
    }
    text
}

fn block(failed: &FailedStep, recap: &Recap, telling: &Telling<'_>, lines: usize) -> String {
    let Telling { paint, folder, again } = telling;
    let report = &failed.report;
    let step = clean(failed.step.as_str());
    let what = clean(&describe(&report.failure));
    let mut text = format!("\n{} {what}\n", paint.text(Tone::Bad, &format!("{step} failed:")));
    let bar = paint.text(Tone::Faint, "|");
    for line in &report.tail[report.tail.len().saturating_sub(lines)..] {
        text.push_str(format!("  {bar} {}", clip(&clean(line), LONGEST_LINE)).trim_end());
        text.push('\n');
    }
    let mut say = |word: &str, rest: &str| {
        let word = paint.text(Tone::Strong, &format!("{:<7}", format!("{word}:")));
        text.push_str(&format!("  {word} {}\n", clean(rest)));
    };
    if let Some(log) = &report.log {
        let log = log.strip_prefix(folder).unwrap_or(log);
        match report.tail.len() > lines || report.tail.len() >= TAIL {
            true => say("log", &format!("{log}  (more than is shown here)")),
            false => say("log", log.as_str()),
        }
    }
    if let Some(hint) = &report.hint {
        say("hint", hint);
    }
    // It goes when the step succeeds later.
    if report.folder.as_ref().is_some_and(|folder| folder.exists()) {
        say("debug", &format!("`{}` opens its folder as it was left", again.debug(failed.step.as_str())));
    }
    let blocked = recap.blocked_by(&failed.step);
    if !blocked.is_empty() {
        let mut names: Vec<&str> = blocked.iter().take(NAMED).map(|step| step.as_str()).collect();
        let more = format!("and {} more", blocked.len().saturating_sub(NAMED));
        if blocked.len() > NAMED {
            names.push(&more);
        }
        say("blocks", &names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn telling() -> Telling<'static> {
        let params = ParamArgs { set: vec![("a".to_owned(), "x y".to_owned())], files: Vec::new() };
        Telling {
            paint: Paint::Plain,
            folder: "/project".into(),
            again: Again::new(Some("pipelines/diabetes"), &params),
        }
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let mut recap = sample::recap();
        // A folder that is there.
        recap.failures[0].report.folder = Some("/".into());
        insta::assert_snapshot!(draw(&recap, &telling()), @r###"
        train[algorithm=boosting] failed: exit code 1
          | Traceback:
          | ValueError: alpha
          log:    .tidemill/runs/x/3.log
          hint:   declare `helper.py` as an input
          debug:  `tidemill debug 'train[algorithm=boosting]' pipelines/diabetes --set 'a=x y'` opens its folder as it was left
          blocks: register
        "###);
        recap.failures[0].report.folder = Some("/project/not-there".into());
        assert!(!draw(&recap, &telling()).contains("debug"));
    }

    #[test]
    fn many_failures_fit_a_few_screens() {
        let mut recap = sample::recap();
        let mut failed = recap.failures.remove(0);
        failed.report.tail = (0..20).map(|number| format!("line {number}")).collect();
        for number in 0..50 {
            failed.step = sample::step(&format!("s{number}"), &[]);
            recap.failures.push(failed.clone());
        }
        let text = draw(&recap, &telling());
        assert!(text.lines().count() < 50, "{text}");
        assert!(text.contains("| line 12\n") && !text.contains("| line 11\n"), "{text}");
        assert!(text.contains("s9 failed: exit code 1\nand 40 more failures"), "{text}");
    }
}
