//! What can go wrong with an outbox.

use std::io;

use camino::Utf8PathBuf;

use crate::record::RecordError;
use crate::registry::RegistryError;

/// An outbox that cannot be used, or what cannot be told because it is not known.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The run cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No entry is meant, or several.
    #[error("{text:?} means no entry of the outbox")]
    NotFound {
        /// What was asked for.
        text: String,
    },
    /// Several entries are meant.
    #[error("{text:?} may mean several entries of the outbox")]
    Ambiguous {
        /// What was asked for.
        text: String,
    },
}
