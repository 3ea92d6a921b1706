//! The endpoints that the server offers, each with the model that answers for it now.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::Digest;
use tidemill_steps::model::{Model, ModelError};

/// What the server has to say while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeEvent {
    /// It takes requests.
    Listening {
        /// Where.
        address: SocketAddr,
        /// The file with the token, if it is in a file.
        token_file: Option<Utf8PathBuf>,
    },
    /// An endpoint answers with another model from now on.
    Serving {
        /// The endpoint.
        endpoint: String,
        /// The model.
        model: String,
        /// Its version.
        version: u64,
        /// The names of the model's inputs with their datatypes and shapes, for an example.
        inputs: Vec<(String, String, Vec<i64>)>,
        /// The version that it answered with before.
        before: Option<u64>,
    },
    /// A desired state cannot be served; what was served before goes on.
    Refused {
        /// The endpoint.
        endpoint: String,
        /// Why.
        reason: String,
        /// The version that goes on, if there is one.
        still: Option<u64>,
    },
    /// An endpoint is no longer wanted.
    Withdrawn {
        /// The endpoint.
        endpoint: String,
    },
    /// The desired states cannot be read; what is served goes on.
    Blind {
        /// Why.
        reason: String,
    },
    /// It takes no more requests and finishes those that it has.
    Stopping,
}

/// A model that is ready to answer.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) version: u64,
    pub(crate) model: Model,
}

/// Why a model file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file system said no.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the one that was deployed.
    #[error("{path} was changed: it is not the model that was deployed")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The file is no model that this server can run.
    #[error("{path} is no model that can be served: {source}")]
    Unfit {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: ModelError,
    },
}

impl Loaded {
    /// Reads, verifies and loads a model file.
    pub(crate) fn read(version: u64, path: &Utf8Path, digest: Option<&Digest>) -> Result<Self, LoadError> {
        let bytes = fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        if digest.is_some_and(|digest| Digest::of(&bytes) != *digest) {
            return Err(LoadError::Changed { path: path.to_owned() });
        }
        let model =
            Model::load(&bytes).map_err(|source| LoadError::Unfit { path: path.to_owned(), source })?;
        Ok(Self { version, model })
    }
}

/// Which model answers for each endpoint. A reader takes the model and is not disturbed by a swap.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    /// None: the endpoint is wanted, but nothing could be loaded for it yet.
    models: RwLock<BTreeMap<String, Option<Arc<Loaded>>>>,
}

impl Endpoints {
    /// The model that answers for an endpoint now.
    pub(crate) fn get(&self, endpoint: &str) -> Option<Arc<Loaded>> {
        self.read().get(endpoint).cloned().flatten()
    }

    /// Whether something is served and nothing that is wanted is missing.
    pub(crate) fn ready(&self) -> bool {
        let models = self.read();
        !models.is_empty() && models.values().all(Option::is_some)
    }

    /// Lets an endpoint answer with this model from now on; returns the version that it answered with before.
    pub(crate) fn swap(&self, endpoint: &str, loaded: Loaded) -> Option<u64> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let before = models.insert(endpoint.to_owned(), Some(Arc::new(loaded)));
        before.flatten().map(|before| before.version)
    }

    /// Notes that an endpoint is wanted, whatever answers for it; returns the version that does.
    pub(crate) fn want(&self, endpoint: &str) -> Option<u64> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.entry(endpoint.to_owned()).or_default().as_ref().map(|loaded| loaded.version)
    }

    /// Forgets an endpoint.
    pub(crate) fn withdraw(&self, endpoint: &str) {
        self.models.write().unwrap_or_else(PoisonError::into_inner).remove(endpoint);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Option<Arc<Loaded>>>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }
}
