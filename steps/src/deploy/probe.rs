//! What an endpoint's desired state says about the last deployment.

use camino::Utf8Path;
use serde_json::Value as Json;
use tidemill_engine::Value;
use tidemill_engine::interface::Standing;
use tidemill_engine::registry::{Registry, RegistryError};

use super::work::Outcome;
use crate::effect::text_of;

pub(super) fn target(table: &Value) -> String {
    format!("endpoints/{}", text_of(table, "endpoint").unwrap_or_default())
}

pub(super) fn probe(state: &Utf8Path, _with: &Value, outcome: &Json) -> Result<Standing, String> {
    // A success that an older program recorded in another form is not believed.
    let Ok(outcome) = serde_json::from_value::<Outcome>(outcome.clone()) else { return Ok(Standing::Gone) };
    standing(&Registry::at(state), &outcome).map_err(|error| error.to_string())
}

fn standing(registry: &Registry, outcome: &Outcome) -> Result<Standing, RegistryError> {
    let Outcome { endpoint, endpoint_id, model, version, digest } = outcome;
    if registry.endpoint_id(endpoint)? != *endpoint_id {
        return Ok(Standing::Gone);
    }
    let now = registry.desired(endpoint)?;
    if now.as_ref().is_some_and(|(_, now)| now.serves(model, *version) && now.digest == *digest) {
        return Ok(Standing::Same);
    }
    if let Some(hold) = registry.hold_of(model, *version)? {
        let message = format!("version {version} of {model} is {}", hold.describe());
        return Ok(Standing::Held { message });
    }
    let Some((_, now)) = now else { return Ok(Standing::Gone) };
    if registry.let_go_since(model, *version, now.at)? {
        return Ok(Standing::Gone);
    }
    Ok(Standing::Moved { message: format!("endpoint {endpoint} was {}", now.describe()) })
}
