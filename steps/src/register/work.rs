//! The work of `register`: the model's bytes and records into the registry, then the alias.

use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidemill_cache::{Artifact, Digest, Form};
use tidemill_engine::name::{AliasName, ModelName};
use tidemill_engine::registry::{Deed, NewVersion, Registered, Registry, RegistryError, Rival};

use super::interface::With;
use crate::effect::write_outcome;
use crate::say::say;
use crate::task::read;
use crate::{StepError, Task, with};

/// The `version` output; the same for the same model, whoever registers it when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionFile {
    /// The registered model.
    pub(crate) model: ModelName,
    /// Its version.
    pub(crate) version: u64,
    /// The model file's digest.
    pub(crate) digest: Digest,
}

/// What is kept with the success and handed to the next probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) model: ModelName,
    pub(super) version: u64,
    pub(super) alias: Option<AliasName>,
    pub(super) registry_id: String,
}

pub(super) fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let alias = with.alias().map_err(|message| StepError::With { path: "alias".to_owned(), message })?;
    let effect = task.effect()?;
    let registry = Registry::at(effect.state.as_str());
    let file = task.input("model")?;
    let about = NewVersion {
        model: artifact(&read(&file)?),
        metrics: match task.optional_input("metrics")? {
            Some(path) => crate::task::read_json(&path)?,
            None => Json::Null,
        },
        report: report(task)?.map(|bytes| artifact(&bytes)),
        rival: rival(task)?,
        by: effect.by.clone(),
        run: effect.run.clone(),
        pipeline: effect.pipeline.clone(),
        commit: effect.commit.clone(),
        key: None,
        description: with.description,
        tags: with.tags,
    };
    let Registered { version, new } = registry.register(&with.model, &about, &file)?;
    let number = version.version;
    match new {
        true => say(format!("registered version {number} of {}", with.model)),
        false => say(format!("version {number} of {} is this model already", with.model)),
    }
    if let Some(alias) = &alias {
        promote(&registry, &with.model, alias, number, &effect.by)?;
    }
    let registry_id = registry.ensure_id()?;
    let outcome = Outcome { model: with.model.clone(), version: number, alias, registry_id };
    let digest = about.model.digest;
    task.write_json("version", &VersionFile { model: with.model, version: number, digest })?;
    write_outcome(task, &outcome)
}

/// Lets the alias point to the version, unless a rollback holds it back: then it says so and leaves the alias alone.
fn promote(
    registry: &Registry,
    model: &ModelName,
    alias: &AliasName,
    version: u64,
    by: &str,
) -> Result<(), StepError> {
    match registry.alias_set(model, alias, version, Deed { by, why: "" }) {
        Ok(Some(moved)) => {
            let from = moved.from.map(|from| format!(" (before: version {from})")).unwrap_or_default();
            say(format!("{alias} points to version {version} now{from}"));
        }
        Ok(None) => say(format!("{alias} points to version {version} already")),
        Err(held @ RegistryError::OnHold { .. }) => say(format!("{alias} stays where it is: {held}")),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn artifact(bytes: &[u8]) -> Artifact {
    Artifact { form: Form::File, digest: Digest::of(bytes), size: bytes.len() as u64, files: 1 }
}

fn report(task: &Task) -> Result<Option<Vec<u8>>, StepError> {
    let Some(path) = task.optional_input("report")? else { return Ok(None) };
    // A report may be a folder, such as a page with its images; then only its presence is known.
    if fs::metadata(&path).is_ok_and(|found| found.is_dir()) {
        return Ok(None);
    }
    read(&path).map(Some)
}

/// The model that this one was compared with, as the report's `rival` says: a digest, or null if there was none.
fn rival(task: &Task) -> Result<Rival, StepError> {
    let Some(bytes) = report(task)? else { return Ok(Rival::Unknown) };
    // A report of another form is welcome; it only tells nothing about a rival.
    let report: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let rival = match report.get("rival") {
        None => return Ok(Rival::Unknown),
        Some(Json::Null) => return Ok(Rival::Nobody),
        Some(rival) => rival,
    };
    let text = rival.as_str().or_else(|| rival.get("digest")?.as_str());
    Ok(text.and_then(|text| text.parse().ok()).map_or(Rival::Unknown, |digest| Rival::Model { digest }))
}
