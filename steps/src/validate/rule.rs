//! One rule: what it asks of a value, and what came of it.

use std::fmt;

use serde::Serialize;

/// So many rows that break a rule are named.
const EXAMPLES: usize = 5;
/// So many letters of a value are shown.
const LONGEST_VALUE: usize = 80;

/// What came of a rule.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    /// The column; several, joined by commas, for a rule over a group; none for a rule over the table.
    pub(super) column: Option<String>,
    /// The rule, in words.
    pub(super) rule: String,
    /// Whether the data satisfy it.
    pub(super) passed: bool,
    /// How many rows break it.
    pub(super) failed_rows: u64,
    /// The first of them.
    pub(super) examples: Vec<Example>,
    /// What was found instead, where it is not a matter of rows.
    pub(super) found: Option<String>,
}

/// A row that breaks a rule.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Example {
    /// The row, counted from 1.
    pub(super) row: u64,
    /// The value in it.
    pub(super) value: String,
}

impl Outcome {
    /// A rule that no row has broken yet.
    pub(super) fn new(column: Option<&str>, rule: impl Into<String>) -> Self {
        Self {
            column: column.map(str::to_owned),
            rule: rule.into(),
            passed: true,
            failed_rows: 0,
            examples: Vec::new(),
            found: None,
        }
    }

    /// A row, counted from 0, breaks it by this value.
    pub(super) fn broken_by(&mut self, row: u64, value: impl fmt::Display) {
        self.passed = false;
        self.failed_rows += 1;
        if self.examples.len() < EXAMPLES {
            let visible = |letter: char| if letter.is_control() { ' ' } else { letter };
            let value = value.to_string().chars().take(LONGEST_VALUE).map(visible).collect();
            self.examples.push(Example { row: row + 1, value });
        }
    }

    /// It does not hold, for a reason that is not a matter of rows.
    pub(super) fn broken_because(mut self, found: impl Into<String>) -> Self {
        self.passed = false;
        self.found = Some(found.into());
        self
    }

    /// In a sentence, if it was broken.
    pub(super) fn complaint(&self) -> Option<String> {
        if self.passed {
            return None;
        }
        let subject = self.column.as_deref().map(|column| format!("{column}: ")).unwrap_or_default();
        let what = match (&self.found, self.failed_rows) {
            (Some(found), _) => found.clone(),
            (None, count) => {
                let example = |example: &Example| format!("row {}: {}", example.row, example.value);
                let examples: Vec<String> = self.examples.iter().map(example).collect();
                let (rows, verb) = if count == 1 { ("row", "breaks") } else { ("rows", "break") };
                let more = if count > examples.len() as u64 { "; …" } else { "" };
                format!("{count} {rows} {verb} it ({}{more})", examples.join("; "))
            }
        };
        Some(format!("{subject}{} — {what}", self.rule))
    }
}
