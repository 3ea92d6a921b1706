//! A run in a list: one line of the history, without its steps.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fold::RunRecord;
use crate::event::{Cause, Counts, Git, Outcome};
use crate::name::{PipelineName, RunId};

/// A run as a list tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunLine {
    /// Its id.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The pipeline file, relative to the project.
    pub file: String,
    /// What started it.
    pub cause: Cause,
    /// The git commit.
    pub git: Option<Git>,
    /// When it began.
    pub started: jiff::Timestamp,
    /// When it ended; none if it still runs or died.
    pub finished: Option<jiff::Timestamp>,
    /// How it ended; none if it still runs or died.
    pub outcome: Option<Outcome>,
    /// Whether it still runs.
    pub alive: bool,
    /// Wall time in milliseconds, up to the last event.
    pub wall_ms: u64,
    /// How many steps ended in which way.
    pub counts: Counts,
    /// The metrics and parameters that were asked for, by full name, as far as the run has them.
    pub values: BTreeMap<String, serde_json::Value>,
}

impl RunLine {
    /// The line of a run, without values.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        Self {
            run: record.run.clone(),
            pipeline: record.pipeline.clone(),
            file: record.file.clone(),
            cause: record.cause,
            git: record.git.clone(),
            started: record.started,
            finished: record.finished,
            outcome: record.outcome,
            alive: record.alive && record.outcome.is_none(),
            wall_ms: record.wall_ms,
            counts: record.counts,
            values: BTreeMap::new(),
        }
    }
}

/// All that can become of a run, with the word for it and the word that `--json` has.
const STANDINGS: [(Option<Outcome>, &str, &str); 5] = [
    (Some(Outcome::Succeeded), "done", "succeeded"),
    (Some(Outcome::StepFailed), "failed", "step failed"),
    (Some(Outcome::GateClosed), "gate closed", "gate closed"),
    (Some(Outcome::InfrastructureFailed), "machine failed", "infrastructure failed"),
    (Some(Outcome::Interrupted), "interrupted", "interrupted"),
];
const RUNNING: &str = "running";
const DIED: &str = "died";

/// How a run stands, in a word: `done`, `failed`, `gate closed`, `machine failed`, `interrupted`, `running` or `died`.
#[must_use]
pub fn standing(outcome: Option<Outcome>, alive: bool) -> &'static str {
    match STANDINGS.iter().find(|(known, ..)| outcome.is_some() && *known == outcome) {
        Some((_, word, _)) => word,
        None if alive => RUNNING,
        None => DIED,
    }
}

/// The outcome that a word of [`standing`] tells.
pub(super) fn outcome_of(word: &str) -> Option<Outcome> {
    STANDINGS.iter().find(|(_, known, _)| *known == word).and_then(|(outcome, ..)| *outcome)
}

/// The word of [`standing`] that a user means, who may write it with `-` or `_`, or as `--json` does.
pub(super) fn meant(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase().replace(['-', '_'], " ");
    let found = STANDINGS.iter().find(|(_, word, json)| *word == text || *json == text);
    found.map(|(_, word, _)| *word).or_else(|| [RUNNING, DIED].into_iter().find(|word| *word == text))
}

/// All words of [`standing`].
pub(super) fn standings() -> impl Iterator<Item = &'static str> {
    STANDINGS.iter().map(|(_, word, _)| *word).chain([RUNNING, DIED])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_tells_the_outcome() {
        for word in standings() {
            assert_eq!(meant(word), Some(word));
            assert_eq!(standing(outcome_of(word), word == RUNNING), word);
        }
        assert_eq!(meant("Gate-Closed"), Some("gate closed"));
        assert_eq!(meant("succeeded"), Some("done"));
        assert_eq!(meant("infrastructure-failed"), Some("machine failed"));
        assert_eq!(meant("finished"), None);
    }
}
