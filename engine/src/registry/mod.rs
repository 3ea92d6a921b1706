//! The embedded registry: which models there are, who moved which alias, what is held back, and what endpoints should serve.
//!
//! All of it are append-only logs of immutable records below the state folder; nothing is ever changed in place:
//! `registry/models/<model>/versions`, `…/aliases/<alias>`, `…/holds`, and `endpoints/<endpoint>`. The present is the last
//! entry of a log. The models' bytes lie beside them (`…/blobs/<digest>.onnx`), so that serving needs no cache.
//!
//! The registry and each endpoint have an id of their own, written once: a registry that was deleted and made again is
//! another one, whatever its records say. This room knows names and the cache's logs; no graph and no plan.

mod alias;
mod endpoint;
mod error;
mod history;
mod hold;
mod identity;
mod model;
#[cfg(test)]
mod tests;

pub use alias::{AliasMove, Rollback};
pub use endpoint::{Desired, Restored, Smoke};
pub use error::RegistryError;
pub use history::{Happened, HistoryEntry};
pub use hold::Hold;
pub use model::{ModelSummary, NewVersion, Registered, Rival, Version};

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{Digest, Log};

use crate::name::{AliasName, EndpointName, ModelName};

/// The registry and the endpoints of one project. Cheap to make; nothing is created until something is written.
#[derive(Debug, Clone)]
pub struct Registry {
    state: Utf8PathBuf,
}

/// Who does something to the registry, and why.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// A user's name, or the run that does it.
    pub by: &'a str,
    /// In a sentence; may be empty.
    pub why: &'a str,
}

impl Registry {
    /// The registry in this state folder.
    #[must_use]
    pub fn at(state: impl Into<Utf8PathBuf>) -> Self {
        Self { state: state.into() }
    }

    /// The state folder.
    #[must_use]
    pub fn state(&self) -> &Utf8Path {
        &self.state
    }

    /// The registry's own id; none if nothing was ever registered.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn id(&self) -> Result<Option<String>, RegistryError> {
        identity::read(&self.folder())
    }

    /// The registry's own id, made now if there is none.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn ensure_id(&self) -> Result<String, RegistryError> {
        identity::ensure(&self.folder())
    }

    /// All digests that the registry refers to: models and their reports. A garbage collection keeps them.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn roots(&self) -> Result<BTreeSet<Digest>, RegistryError> {
        let mut roots = BTreeSet::new();
        for model in self.models()? {
            for version in self.versions(&model)? {
                roots.insert(version.model.digest);
                roots.extend(version.report.as_ref().map(|report| report.digest));
            }
        }
        for endpoint in self.endpoints()? {
            roots.extend(self.desired(&endpoint)?.map(|(_, desired)| desired.digest));
        }
        Ok(roots)
    }

    fn folder(&self) -> Utf8PathBuf {
        self.state.join("registry")
    }

    /// The folder with the records of all models: what sees new versions and moved aliases watches it.
    #[must_use]
    pub fn models_folder(&self) -> Utf8PathBuf {
        self.folder().join("models")
    }

    fn model_folder(&self, model: &ModelName) -> Utf8PathBuf {
        self.models_folder().join(model.as_str())
    }

    fn version_log(&self, model: &ModelName) -> Log {
        Log::at(self.model_folder(model).join("versions"))
    }

    fn alias_log(&self, model: &ModelName, alias: &AliasName) -> Log {
        Log::at(self.model_folder(model).join("aliases").join(alias.as_str()))
    }

    fn hold_log(&self, model: &ModelName) -> Log {
        Log::at(self.model_folder(model).join("holds"))
    }

    fn endpoint_log(&self, endpoint: &EndpointName) -> Log {
        Log::at(self.endpoints_folder().join(endpoint.as_str()))
    }

    /// The folder with one log per endpoint: what a model server watches.
    #[must_use]
    pub fn endpoints_folder(&self) -> Utf8PathBuf {
        self.state.join("endpoints")
    }
}
