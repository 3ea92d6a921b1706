//! What a recipe is compared with, and who made it.

use serde::Serialize;
use tidemill_cache::{ActionResult, Key};

use crate::error::EngineError;
use crate::graph::Step;
use crate::project::Project;
use crate::record::{History, RecordError};

/// An earlier execution of a step: its key, and who ran it where and when, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The key.
    pub key: Key,
    /// The step, with its matrix values.
    pub step: Option<String>,
    /// The run.
    pub run: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// Who ran it.
    pub user: Option<String>,
    /// The root of the project, on that machine.
    pub project: Option<String>,
    /// When it ended; none if it gave no result, or the result is gone.
    pub finished: Option<jiff::Timestamp>,
}

impl Origin {
    /// Of a result.
    #[must_use]
    pub fn of(result: &ActionResult) -> Self {
        let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            key: result.key,
            step: told(&result.step),
            run: told(&result.run),
            host: told(&result.host),
            user: told(&result.user),
            project: told(&result.project),
            finished: Some(result.finished),
        }
    }

    /// Of the newest result of a key, or of one that was withdrawn; of an attempt without a result, only what is known of it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn of_key(project: &Project, key: Key, run: Option<String>) -> Result<Self, EngineError> {
        let known = match project.cache().result(&key)? {
            Some(result) => Some(result),
            None => project.cache().every_result(&key)?.into_iter().next().map(|(result, _)| result),
        };
        Ok(match known {
            Some(result) => Self::of(&result),
            None => Self { key, step: None, run, host: None, user: None, project: None, finished: None },
        })
    }
}

/// The fewest digits that mean a key.
const SHORTEST_KEY: usize = 4;

/// What `--against` means for a step: the key that it had in a run, or a key itself.
///
/// # Errors
/// If it means nothing, or more than one thing.
pub(super) fn named(project: &Project, step: &Step, text: &str) -> Result<Origin, EngineError> {
    let wrong = |reason: String| EngineError::Against { text: text.to_owned(), reason };
    match History::below(project.state()).find(text) {
        Ok(record) => {
            let key = record.step(step.id.as_str()).and_then(|step| step.key);
            let key =
                key.ok_or_else(|| wrong(format!("run {} did not come to step {}", record.run, step.id)))?;
            let mut origin = Origin::of_key(project, key, Some(record.run.to_string()))?;
            if origin.run.as_deref() != Some(record.run.as_str()) {
                // It was satisfied there by what another run had made.
                origin = Origin {
                    run: Some(record.run.to_string()),
                    host: None,
                    user: None,
                    project: None,
                    ..origin
                };
            }
            Ok(origin)
        }
        Err(RecordError::NotFound { .. }) => {
            let is_key = text.len() >= SHORTEST_KEY && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let keys = if is_key { project.cache().keys_beginning(text, 2)? } else { Vec::new() };
            match keys.as_slice() {
                [key] => Origin::of_key(project, *key, None),
                [] => Err(wrong("it is no run and no key that is known".to_owned())),
                _ => Err(wrong("several keys begin so".to_owned())),
            }
        }
        Err(error) => Err(error.into()),
    }
}
