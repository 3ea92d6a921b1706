//! What the registry says about the last registration.

use camino::Utf8Path;
use serde_json::Value as Json;
use tidemill_engine::Value;
use tidemill_engine::interface::Standing;
use tidemill_engine::registry::{Registry, RegistryError};

use super::work::Outcome;
use crate::effect::text_of;

pub(super) fn target(table: &Value) -> String {
    format!("models/{}", text_of(table, "model").unwrap_or_default())
}

pub(super) fn probe(state: &Utf8Path, _with: &Value, outcome: &Json) -> Result<Standing, String> {
    // A success that an older program recorded in another form is not believed.
    let Ok(outcome) = serde_json::from_value::<Outcome>(outcome.clone()) else { return Ok(Standing::Gone) };
    standing(&Registry::at(state), &outcome).map_err(|error| error.to_string())
}

fn standing(registry: &Registry, outcome: &Outcome) -> Result<Standing, RegistryError> {
    let Outcome { model, version, alias, registry_id } = outcome;
    if registry.id()?.as_ref() != Some(registry_id) {
        return Ok(Standing::Gone);
    }
    let Some(found) = registry.versions(model)?.into_iter().find(|found| found.version == *version) else {
        return Ok(Standing::Gone);
    };
    if !registry.model_file(model, &found.model.digest).exists() {
        return Ok(Standing::Gone);
    }
    let Some(alias) = alias else { return Ok(Standing::Same) };
    let Some((_, moved)) = registry.alias(model, alias)? else { return Ok(Standing::Gone) };
    if moved.version == *version {
        return Ok(Standing::Same);
    }
    if let Some(hold) = registry.hold_of(model, *version)? {
        let message = format!("version {version} of {model} is {}", hold.describe());
        return Ok(Standing::Held { message });
    }
    if registry.let_go_since(model, *version, moved.at)? {
        return Ok(Standing::Gone);
    }
    Ok(Standing::Moved { message: format!("{alias} of {model} was {}", moved.describe()) })
}
