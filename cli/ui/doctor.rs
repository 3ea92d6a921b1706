//! What the doctor found, a line for each, and what to do below it.

use tidemill_engine::doctor::{Report, Standing};

use super::style::{Paint, Tone};
use super::text::{clean, count};

/// How far what is to be done stands to the right.
const INDENT: usize = 18;

/// The findings.
pub(crate) fn draw(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let (tone, word) = match finding.standing {
            Standing::Ok => (Tone::Good, "ok"),
            Standing::Note => (Tone::Warn, "note"),
            Standing::Problem { .. } => (Tone::Bad, "problem"),
        };
        let word = paint.text(tone, &format!("{word:<7}"));
        text.push_str(&format!("{word} {:<9} {}\n", finding.subject, clean(&finding.said)));
        if let Some(help) = &finding.help {
            text.push_str(&format!("{:INDENT$}{}\n", "", paint.text(Tone::Faint, &clean(help))));
        }
    }
    let said = match report.counts() {
        (0, 0) => "all is well".to_owned(),
        (0, notes) => format!("no problem, {}", count(notes, "note")),
        (problems, 0) => count(problems, "problem"),
        (problems, notes) => format!("{}, {}", count(problems, "problem"), count(notes, "note")),
    };
    text + &format!("\n{said}\n")
}
