//! The work of `deploy`: the smoke test, then the desired state.

use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;
use tidemill_engine::name::{EndpointName, ModelName};
use tidemill_engine::registry::{Desired, Registry, RegistryError};

use super::interface::{SINGLE, With};
use super::rows::Rows;
use super::smoke;
use crate::effect::write_outcome;
use crate::register::VersionFile;
use crate::say::say;
use crate::task::{read, read_json};
use crate::{StepError, Task, with};

/// The `deployment` output; the same for the same model, whoever deploys it when.
#[derive(Debug, Serialize)]
struct Deployment<'a> {
    endpoint: &'a EndpointName,
    model: &'a ModelName,
    version: u64,
    digest: &'a Digest,
    smoke: SmokeRows,
}

#[derive(Debug, Serialize)]
struct SmokeRows {
    rows: u64,
}

/// What is kept with the success and handed to the next probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) endpoint: EndpointName,
    pub(super) endpoint_id: Option<String>,
    pub(super) model: ModelName,
    pub(super) version: u64,
    pub(super) digest: Digest,
}

pub(super) fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let effect = task.effect()?;
    let registry = Registry::at(effect.state.as_str());
    let version: VersionFile = read_json(&task.input("version")?)?;
    let file = task.input("model")?;
    registered(&registry, &version, &Digest::of(&read(&file)?))?;

    let rows = Rows::read(&task.input("predictions")?, with.rows)?;
    let tested = smoke::test(&file, &with.endpoint, version.version, &rows, with.tolerance)?;
    say(format!(
        "smoke test passed: {} rows over HTTP, largest relative difference {:e}",
        tested.rows, tested.max_difference
    ));

    let desired = Desired {
        endpoint: with.endpoint.clone(),
        model: version.model.clone(),
        version: version.version,
        digest: version.digest,
        mode: SINGLE.to_owned(),
        run: effect.run.clone(),
        by: effect.by.clone(),
        why: String::new(),
        at: jiff::Timestamp::now(),
        smoke: tested,
        rollback: false,
    };
    let endpoint_id = deploy(&registry, &desired)?;
    let smoke = SmokeRows { rows: tested.rows };
    let (endpoint, model, digest) = (&with.endpoint, &version.model, &version.digest);
    let version = version.version;
    task.write_json("deployment", &Deployment { endpoint, model, version, digest, smoke })?;
    let outcome =
        Outcome { endpoint: endpoint.clone(), endpoint_id, model: model.clone(), version, digest: *digest };
    write_outcome(task, &outcome)
}

/// Makes sure that this model is what the registry has under this version.
fn registered(registry: &Registry, version: &VersionFile, found: &Digest) -> Result<(), StepError> {
    let VersionFile { model, version, digest } = version;
    let known = registry.version(model, *version)?;
    if known.model.digest != *digest || found != digest {
        let message = format!("the model is not the one that is registered as version {version} of {model}");
        return Err(StepError::Order(message));
    }
    Ok(())
}

/// Writes the desired state, unless it is so already or a rollback holds the version back. Returns the endpoint's id.
fn deploy(registry: &Registry, desired: &Desired) -> Result<Option<String>, StepError> {
    let Desired { endpoint, model, version, .. } = desired;
    let now = registry.desired(endpoint)?;
    if now.is_some_and(|(_, now)| now.serves(model, *version) && now.digest == desired.digest) {
        say(format!("endpoint {endpoint} serves version {version} of {model} already"));
        return Ok(registry.endpoint_id(endpoint)?);
    }
    match registry.deploy(desired) {
        Ok(id) => {
            say(format!("endpoint {endpoint} serves version {version} of {model} from now on"));
            say("`tidemill serve` follows it");
            Ok(Some(id))
        }
        Err(held @ RegistryError::OnHold { .. }) => {
            say(format!("endpoint {endpoint} stays as it is: {held}"));
            Ok(registry.endpoint_id(endpoint)?)
        }
        Err(error) => Err(error.into()),
    }
}
