//! What a person needs after a failure: what happened, the end of the log, where the rest is, and what to do.

use camino::Utf8Path;
use tidemill_engine::failure::{Failure, InfraFailure, StepFailure};

use super::report::{Failed, Report};
use super::style::{Paint, Tone};
use super::text::{clean, duration};

/// How many failures are told in full.
const TOLD: usize = 10;
/// How many lines of a log are shown.
const TAIL: usize = 20;
/// How many blocked steps are named.
const NAMED: usize = 6;

/// Why an attempt failed, in a few words.
pub(crate) fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Cancelled => "it was stopped".to_owned(),
        Failure::Infrastructure(
            InfraFailure::Storage { message } | InfraFailure::SupervisorLost { message },
        ) => message.clone(),
        Failure::Step(failure) => match failure {
            StepFailure::Exit { code } => format!("exit code {code}"),
            StepFailure::Signal { signal } => format!("ended by {}", signal_name(*signal)),
            StepFailure::TimedOut { seconds } => {
                format!("it took longer than its timeout of {}", duration(seconds.saturating_mul(1000)))
            }
            StepFailure::OutputMissing { output, path } => {
                format!("it ended without its output `{output}` ({path})")
            }
            StepFailure::OutputInvalid { output, reason } => {
                format!("its output `{output}` cannot be kept: {reason}")
            }
            StepFailure::InputChanged { input, path } => {
                format!("its input `{input}` ({path}) changed meanwhile, so the result was not kept")
            }
            StepFailure::NotStarted { reason } => format!("it could not be started: {reason}"),
            StepFailure::TargetMoved { message } => message.clone(),
        },
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL, perhaps for lack of memory",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

/// All failures of a run, one block each.
pub(crate) fn draw(report: &Report, paint: Paint, folder: &Utf8Path) -> String {
    let mut text = String::new();
    for failed in report.failures.iter().take(TOLD) {
        text.push_str(&block(failed, report, paint, folder));
    }
    if report.failures.len() > TOLD {
        text.push_str(&format!("\nand {} more failures\n", report.failures.len() - TOLD));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn block(failed: &Failed, report: &Report, paint: Paint, folder: &Utf8Path) -> String {
    let step = clean(failed.step.as_str());
    let what = clean(&describe(&failed.report.failure));
    let mut text = format!("\n{} {what}\n", paint.text(Tone::Bad, &format!("{step} failed:")));
    let tail = &failed.report.tail;
    let bar = paint.text(Tone::Faint, "|");
    for line in &tail[tail.len().saturating_sub(TAIL)..] {
        text.push_str(format!("  {bar} {}", clean(line)).trim_end());
        text.push('\n');
    }
    let mut say = |word: &str, rest: &str| {
        text.push_str(&format!("  {} {}\n", paint.text(Tone::Strong, &format!("{word}:")), clean(rest)));
    };
    if let Some(log) = &failed.report.log {
        say("log", log.strip_prefix(folder).unwrap_or(log).as_str());
    }
    match &failed.report.hint {
        Some(hint) => say("hint", hint),
        None if tail.len() >= TAIL => say("hint", &format!("`tidemill log '{step}'` shows all of it")),
        None => {}
    }
    let blocked = report.blocked_by(&failed.step);
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

    #[test]
    fn a_failure_says_what_to_do() {
        let mut report = Report::default();
        sample::events().iter().for_each(|event| report.add(event));
        insta::assert_snapshot!(draw(&report, Paint::Plain, "/project".into()), @r###"
        train[algorithm=boosting] failed: exit code 1
          | Traceback:
          | ValueError: alpha
          log: .tidemill/runs/x/3.log
          hint: declare `helper.py` as an input
          blocks: register
        "###);
    }

    #[test]
    fn every_failure_has_its_words() {
        let signal = Failure::Step(StepFailure::Signal { signal: 11 });
        assert_eq!(describe(&signal), "ended by signal 11 (SIGSEGV)");
        let signal = Failure::Step(StepFailure::Signal { signal: 40 });
        assert_eq!(describe(&signal), "ended by signal 40");
        let late = Failure::Step(StepFailure::TimedOut { seconds: 120 });
        assert_eq!(describe(&late), "it took longer than its timeout of 2 min");
    }
}
