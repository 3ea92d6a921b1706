//! What running steps again showed, as people read it: a line per round while it goes on, then one per step.

use tidemill_engine::repeat::{RepeatReport, Round, StepVerdict, Verified};

use super::failure::describe;
use super::style::{Paint, Tone};
use super::text::{clean, count};

/// A round that ended.
pub(crate) fn round(round: &Round<'_>, of: u64) -> String {
    let said = match &round.outcome {
        Ok(None) => "the same".to_owned(),
        Ok(Some(difference)) => format!("differs: {difference}"),
        Err(failure) => format!("failed: {}", describe(failure)),
    };
    format!("{}\n", clean(&format!("{} {} of {of}: {said}", round.step, round.number)))
}

/// All steps, and how many of each kind.
pub(crate) fn draw(report: &RepeatReport, paint: Paint) -> String {
    let width = report.steps.iter().map(|step| step.step.as_str().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for step in &report.steps {
        let (tone, word, said) = line(step);
        let word = paint.text(tone, &format!("{word:<8}"));
        let step = clean(step.step.as_str());
        text.push_str(format!("  {word} {step:<width$}  {}", clean(&said)).trim_end());
        text.push('\n');
    }
    let number = |word: &str| report.steps.iter().filter(|step| line(step).1 == word).count();
    let mut parts = vec![format!("{} gave the same", count(number("same"), "step"))];
    for (word, one, several) in [
        ("differs", "differs", "differ"),
        ("failed", "failed", "failed"),
        ("passed", "was passed over", "were passed over"),
    ] {
        match number(word) {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            number => parts.push(format!("{number} {several}")),
        }
    }
    if report.interrupted {
        parts.push("interrupted".to_owned());
    }
    text.push_str(&format!("\n{}\n", parts.join(", ")));
    text
}

fn line(step: &Verified) -> (Tone, &'static str, String) {
    match &step.verdict {
        StepVerdict::Same { repeats } => (Tone::Good, "same", times(*repeats)),
        StepVerdict::Differs { repeats, differing, note, .. } => {
            (Tone::Bad, "differs", format!("{differing} of {}: {note}", times(*repeats)))
        }
        StepVerdict::Failed { report } => (Tone::Bad, "failed", describe(&report.failure)),
        StepVerdict::Passed { reason } => (Tone::Faint, "passed", reason.clone()),
    }
}

fn times(repeats: u64) -> String {
    match repeats {
        1 => "1 time".to_owned(),
        many => format!("{many} times"),
    }
}
