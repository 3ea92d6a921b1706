//! What effects share: what is kept for the next probe, and the name of a target.

use std::fs;

use serde::Serialize;
use tidemill_engine::Value;

use crate::{StepError, Task};

/// Writes what is kept with the success and handed to the next probe.
pub(crate) fn write_outcome(task: &Task, outcome: &impl Serialize) -> Result<(), StepError> {
    let path = task.effect()?.outcome.clone();
    let bytes = serde_json::to_vec(outcome).map_err(|error| StepError::Order(error.to_string()))?;
    fs::write(&path, bytes).map_err(|source| StepError::Write { path, source })
}

/// A text of a `with` table, to name the target by; the table was checked before.
pub(crate) fn text_of<'a>(with: &'a Value, name: &str) -> Option<&'a str> {
    with.get(name)?.as_text()
}
