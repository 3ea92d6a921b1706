//! What can go wrong with the registry.

use camino::Utf8PathBuf;
use tidemill_cache::LogError;

use crate::name::{AliasName, ModelName};

/// Why the registry could not do something.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nothing is registered under this name.
    #[error("there is no registered model {model}{}", proposal(.near.as_deref()))]
    UnknownModel {
        /// The name.
        model: ModelName,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// The model has no such version.
    #[error("model {model} has no version {version}; it has {known}")]
    UnknownVersion {
        /// The model.
        model: ModelName,
        /// The number.
        version: u64,
        /// What exists, for people.
        known: String,
    },
    /// The model has no such alias.
    #[error("model {model} has no alias {alias}")]
    UnknownAlias {
        /// The model.
        model: ModelName,
        /// The alias.
        alias: AliasName,
    },
    /// A rollback found nothing to go back to.
    #[error(
        "alias {alias} of {model} cannot go back: no earlier version held it (it is at version {version})"
    )]
    NothingEarlier {
        /// The model.
        model: ModelName,
        /// The alias.
        alias: AliasName,
        /// Where it stands.
        version: u64,
    },
    /// The version is held back by a rollback.
    #[error(
        "version {version} of {model} is on hold: {held}; `tidemill models unhold {model} {version}` lets it go"
    )]
    OnHold {
        /// The model.
        model: ModelName,
        /// The version.
        version: u64,
        /// By whom, since when.
        held: String,
    },
    /// The version is not held back.
    #[error("version {version} of {model} is not on hold")]
    NotOnHold {
        /// The model.
        model: ModelName,
        /// The version.
        version: u64,
    },
    /// Someone moved the alias during a rollback.
    #[error(
        "alias {alias} of {model} was moved to version {version} by {by} in the meantime and stays there; \
         version {held} is on hold all the same"
    )]
    MovedMeanwhile {
        /// The model.
        model: ModelName,
        /// The alias.
        alias: AliasName,
        /// Where it stands now.
        version: u64,
        /// Who moved it.
        by: String,
        /// The version that was to be removed.
        held: u64,
    },
    /// The model file's content is not what was announced.
    #[error("{path} does not hold the content {expected} (it is {found})")]
    WrongContent {
        /// The file.
        path: Utf8PathBuf,
        /// The digest that was announced, shortened.
        expected: String,
        /// The digest of what is there, shortened.
        found: String,
    },
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A record could not be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl RegistryError {
    pub(super) fn io(path: &camino::Utf8Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether the user asked for something that is not there or not possible, as against a machine that failed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Log(_) | Self::WrongContent { .. })
    }
}

fn proposal(near: Option<&str>) -> String {
    near.map(|name| format!(", did you mean {name}?")).unwrap_or_default()
}
