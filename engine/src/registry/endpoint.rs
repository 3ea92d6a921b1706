//! An endpoint: what a model server should serve under a name, and the log of what it should have served before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Digest, LogError};

use super::model::names_in;
use super::{Deed, Registry, RegistryError, identity};
use crate::name::{EndpointName, ModelName};

/// An entry of an endpoint's log: what it should serve from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// The model file's digest.
    pub digest: Digest,
    /// How it is rolled out; `single`: one model takes all requests.
    pub mode: String,
    /// The run that deployed it.
    pub run: String,
    /// By whom.
    pub by: String,
    /// Why; empty for a deployment.
    #[serde(default)]
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// What its smoke test showed.
    pub smoke: Smoke,
    /// Whether this is an earlier state that was taken back.
    #[serde(default)]
    pub rollback: bool,
}

/// What a smoke test showed: answers over HTTP compared with the evaluation's predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Smoke {
    /// How many rows were sent.
    pub rows: u64,
    /// The largest relative difference.
    pub max_difference: f64,
}

/// What became of an endpoint that served a version that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// What it serves again; none if it never served anything else, so that it still serves the removed version.
    pub now: Option<(ModelName, u64)>,
}

impl Desired {
    /// What, by whom and when, in a sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let at = self.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("set to version {} of {} by {} on {at}", self.version, self.model, self.by)
    }

    /// Whether it is this version of this model.
    #[must_use]
    pub fn serves(&self, model: &ModelName, version: u64) -> bool {
        self.model == *model && self.version == version
    }
}

impl Registry {
    /// The names of all endpoints, sorted.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn endpoints(&self) -> Result<Vec<EndpointName>, RegistryError> {
        names_in(&self.endpoints_folder())
    }

    /// What an endpoint should serve, and the number of that entry; none if nothing was deployed to it.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn desired(&self, endpoint: &EndpointName) -> Result<Option<(u64, Desired)>, RegistryError> {
        Ok(self.endpoint_log(endpoint).last()?)
    }

    /// All that an endpoint should have served, oldest first.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn desired_states(&self, endpoint: &EndpointName) -> Result<Vec<Desired>, RegistryError> {
        Ok(self.endpoint_log(endpoint).entries()?.into_iter().map(|(_, desired)| desired).collect())
    }

    /// An endpoint's own id; none if nothing was deployed to it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn endpoint_id(&self, endpoint: &EndpointName) -> Result<Option<String>, RegistryError> {
        identity::read(self.endpoint_log(endpoint).folder())
    }

    /// Writes what an endpoint should serve from now on, unless it is a version on hold. Returns the endpoint's id.
    ///
    /// # Errors
    /// If the version is on hold, or the record cannot be written.
    pub fn deploy(&self, desired: &Desired) -> Result<String, RegistryError> {
        let log = self.endpoint_log(&desired.endpoint);
        let id = identity::ensure(log.folder())?;
        loop {
            let number = log.last_number()?;
            // Read again each time: a rollback holds the version back before it looks at the endpoints.
            if let Some(hold) = self.hold_of(&desired.model, desired.version)? {
                return Err(RegistryError::OnHold {
                    model: desired.model.clone(),
                    version: desired.version,
                    held: hold.describe(),
                });
            }
            match log.create(number + 1, desired) {
                Ok(()) => return Ok(id),
                Err(LogError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives every endpoint that serves a removed version the state that it had before.
    pub(super) fn restore_endpoints(
        &self,
        model: &ModelName,
        removed: u64,
        deed: Deed<'_>,
    ) -> Result<Vec<Restored>, RegistryError> {
        let mut restored = Vec::new();
        for endpoint in self.endpoints()? {
            restored.extend(self.restore(&endpoint, model, removed, deed)?);
        }
        Ok(restored)
    }

    fn restore(
        &self,
        endpoint: &EndpointName,
        model: &ModelName,
        removed: u64,
        deed: Deed<'_>,
    ) -> Result<Option<Restored>, RegistryError> {
        let log = self.endpoint_log(endpoint);
        loop {
            let mut states = log.entries::<Desired>()?;
            let Some((number, current)) = states.pop() else { return Ok(None) };
            if !current.serves(model, removed) {
                return Ok(None);
            }
            let Some(before) = self.before(states, model, removed)? else {
                return Ok(Some(Restored { endpoint: endpoint.clone(), now: None }));
            };
            let now = Some((before.model.clone(), before.version));
            let again = Desired {
                by: deed.by.to_owned(),
                why: deed.why.to_owned(),
                at: Timestamp::now(),
                rollback: true,
                ..before
            };
            match log.create(number + 1, &again) {
                Ok(()) => return Ok(Some(Restored { endpoint: endpoint.clone(), now })),
                Err(LogError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The newest state that serves something else, and nothing that is on hold.
    fn before(
        &self,
        states: Vec<(u64, Desired)>,
        model: &ModelName,
        removed: u64,
    ) -> Result<Option<Desired>, RegistryError> {
        for (_, state) in states.into_iter().rev() {
            if !state.serves(model, removed) && self.hold_of(&state.model, state.version)?.is_none() {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }
}
