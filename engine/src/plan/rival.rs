//! The rival: the registered model that a candidate has to beat.
//!
//! The model that a candidate was compared with when it was registered, as long as that candidate holds the alias (or is
//! held back by a rollback): so a run that changes nothing compares the same two models again, finds that comparison in the
//! cache, and does nothing. Any other candidate meets the present holder of the alias. So an old, worse candidate that comes
//! back meets the model that replaced it, and does not win a second time against the rival of its youth.
//!
//! A comparison is recorded under its *contest*: the digest of the step's recipe without the rival.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Digest, Key, Log, LogError};

use crate::error::EngineError;
use crate::graph::{Source, Step};
use crate::name::{AliasName, InputName, ModelName};
use crate::project::Project;
use crate::registry::{Registry, Rival, Version};

/// A comparison that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Comparison {
    /// The rival's digest; none if there was none yet.
    rival: Option<Digest>,
    /// The key of the comparing step.
    key: Key,
}

/// The input of a step that is a rival's model.
pub(crate) fn input(step: &Step) -> Option<(&InputName, &ModelName, &AliasName)> {
    step.inputs.iter().find_map(|(name, input)| match &input.source {
        Source::Rival { model, alias } => Some((name, model, alias)),
        _ => None,
    })
}

/// The registered version that the candidate of this contest is compared with; none if there is none yet.
///
/// # Errors
/// If the registry or the cache cannot be read.
pub(crate) fn choose(
    project: &Project,
    model: &ModelName,
    alias: &AliasName,
    contest: &Key,
) -> Result<Option<Version>, EngineError> {
    let registry = Registry::at(project.state());
    let versions = registry.versions(model)?;
    let holder = registry.alias(model, alias)?.map(|(_, moved)| moved.version);
    for (_, comparison) in log(project, model, contest).entries::<Comparison>()?.into_iter().rev() {
        // What a comparison led to stays true if its result is withdrawn: it is made again with the same rival.
        let result = match project.cache().result(&comparison.key)? {
            Some(result) => Some(result),
            None => {
                project.cache().every_result(&comparison.key)?.into_iter().next().map(|(result, _)| result)
            }
        };
        let Some(result) = result else { continue };
        let made = |version: &&Version| {
            let model = version.about.model.digest;
            result.outputs.values().flatten().any(|artifact| artifact.digest == model)
        };
        for version in versions.iter().filter(made).filter(|version| compared_so(version, &comparison)) {
            let holds = holder == Some(version.version);
            if holds || registry.hold_of(model, version.version)?.is_some() {
                let rival = |version: &&Version| Some(version.about.model.digest) == comparison.rival;
                return Ok(versions.iter().find(rival).cloned());
            }
        }
    }
    Ok(versions.into_iter().find(|version| holder == Some(version.version)))
}

/// Whether a version may have been registered after this comparison.
fn compared_so(version: &Version, comparison: &Comparison) -> bool {
    match version.about.rival {
        Rival::Unknown => true,
        Rival::Nobody => comparison.rival.is_none(),
        Rival::Model { digest } => comparison.rival == Some(digest),
    }
}

/// Records which rival a contest was decided with.
///
/// # Errors
/// If the record cannot be written.
pub fn record(
    project: &Project,
    model: &ModelName,
    contest: &Key,
    rival: Option<Digest>,
    key: Key,
) -> Result<(), LogError> {
    let log = log(project, model, contest);
    let comparison = Comparison { rival, key };
    match log.entries::<Comparison>()?.iter().any(|(_, known)| *known == comparison) {
        true => Ok(()),
        false => log.append(&comparison).map(|_| ()),
    }
}

fn log(project: &Project, model: &ModelName, contest: &Key) -> Log {
    let folder: Utf8PathBuf = project.state().join("contests").join(model.as_str()).join(contest.to_string());
    Log::at(folder)
}
