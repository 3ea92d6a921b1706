//! What rests on bad content outside of the cache: registered models with their aliases, endpoints, and targets of effects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use tidemill_cache::{Digest, Key};

use crate::effects::Effects;
use crate::error::EngineError;
use crate::name::{AliasName, EndpointName};
use crate::project::Project;
use crate::registry::Registry;
use crate::withdrawn::{BadModel, Because};

/// A version of a registered model that rests on what is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveModel {
    /// Which, and what of it is bad.
    #[serde(flatten)]
    pub bad: BadModel,
    /// The aliases that point to it now.
    pub aliases: Vec<AliasName>,
    /// Whether a rollback holds it back.
    pub held: bool,
}

/// An endpoint that is to serve such a version now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveEndpoint {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The model.
    pub model: crate::name::ModelName,
    /// Its version.
    pub version: u64,
    /// Since when.
    pub since: Timestamp,
}

/// The last success of an effect that is withdrawn: what it did is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveEffect {
    /// What it changed.
    pub target: String,
    /// Its step, after its pipeline.
    pub step: String,
    /// The run that did it.
    pub run: String,
    /// When.
    pub at: Timestamp,
}

/// Bad contents, each with the keys that made it.
pub(super) type Makers = BTreeMap<Digest, Vec<Key>>;

/// The models that rest on these contents.
///
/// # Errors
/// If the registry cannot be read.
pub(super) fn models(project: &Project, contents: &Makers) -> Result<Vec<LiveModel>, EngineError> {
    let registry = Registry::at(project.state());
    let mut found = Vec::new();
    for model in registry.models()? {
        let (aliases, holds) = (registry.aliases(&model)?, registry.holds(&model)?);
        for version in registry.versions(&model)? {
            let report = version.report.as_ref().map(|report| (Because::Report, report.digest));
            let parts = [Some((Because::Model, version.model.digest)), report];
            let bad = parts
                .into_iter()
                .flatten()
                .find_map(|(because, digest)| Some((because, digest, contents.get(&digest)?)));
            let Some((because, digest, keys)) = bad else { continue };
            let number = version.version;
            let points_to_it = aliases.iter().filter(|(_, moved)| moved.version == number);
            found.push(LiveModel {
                aliases: points_to_it.map(|(alias, _)| alias.clone()).collect(),
                held: holds.get(&number).is_some_and(|hold| hold.held),
                bad: BadModel { model: model.clone(), version: number, because, digest, keys: keys.clone() },
            });
        }
    }
    Ok(found)
}

/// The endpoints that are to serve one of these models, or one of these contents.
///
/// # Errors
/// If the registry cannot be read.
pub(super) fn endpoints(
    project: &Project,
    models: &[LiveModel],
    contents: &Makers,
) -> Result<Vec<LiveEndpoint>, EngineError> {
    let registry = Registry::at(project.state());
    let mut found = Vec::new();
    for endpoint in registry.endpoints()? {
        let Some((_, desired)) = registry.desired(&endpoint)? else { continue };
        let is_bad = contents.contains_key(&desired.digest)
            || models.iter().any(|model| desired.serves(&model.bad.model, model.bad.version));
        if is_bad {
            let (model, version, since) = (desired.model, desired.version, desired.at);
            found.push(LiveEndpoint { endpoint, model, version, since });
        }
    }
    Ok(found)
}

/// The effects whose last success has one of these keys; without those on models and endpoints, which are told by themselves.
///
/// # Errors
/// If the logs of effects cannot be read.
pub(super) fn effects(project: &Project, keys: &BTreeSet<Key>) -> Result<Vec<LiveEffect>, EngineError> {
    let successes = Effects::below(project.state()).last_successes()?;
    let is_told = |target: &str| target.starts_with("models/") || target.starts_with("endpoints/");
    let bad =
        successes.into_iter().filter(|(target, _, success)| !is_told(target) && keys.contains(&success.key));
    let live = |(target, step, success): (String, String, crate::effects::Success)| LiveEffect {
        target,
        step,
        run: success.run.to_string(),
        at: success.at,
    };
    Ok(bad.map(live).collect())
}
