//! What can go wrong in the cache, each with what it happened to.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Digest, DocumentError};

/// The cache could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file system said no.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: `read`, `create`, `link` …
        action: &'static str,
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state folder was written by a newer version.
    #[error("{path} has format {found}, and this version knows formats up to {known}")]
    Newer {
        /// The state folder.
        path: Utf8PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that this version knows.
        known: u64,
    },
    /// The state folder's format cannot be told.
    #[error("{path} does not hold a format number")]
    Format {
        /// The version file.
        path: Utf8PathBuf,
    },
    /// A content is not in the cache, or was damaged and is no longer.
    #[error("content {} is not in the cache", digest.short())]
    Missing {
        /// Its digest.
        digest: Digest,
    },
    /// A project file is not what it was when it was looked at.
    #[error("{path} changed while it was being used")]
    Changed {
        /// The file or folder.
        path: Utf8PathBuf,
    },
    /// A name in a tree is not UTF-8.
    #[error("the name of {path} is not UTF-8")]
    NotUtf8 {
        /// The path, with what cannot be shown replaced.
        path: String,
    },
    /// A device, pipe or socket.
    #[error("{path} is neither a file, a folder nor a symbolic link")]
    Special {
        /// Where it is.
        path: Utf8PathBuf,
    },
    /// A symbolic link that leaves its tree, or may.
    #[error("the symbolic link {path} leads out of its folder, to {target:?}")]
    Escapes {
        /// The link.
        path: Utf8PathBuf,
        /// Its target.
        target: String,
    },
    /// Two names that are one on some file systems.
    #[error("{first} and {second} differ only in case or Unicode form")]
    Collision {
        /// One.
        first: Utf8PathBuf,
        /// The other.
        second: Utf8PathBuf,
    },
    /// An artifact was expected to be a file, or a folder, and is not.
    #[error("content {} is not {expected}", digest.short())]
    Form {
        /// Its digest.
        digest: Digest,
        /// `a file` or `a folder`.
        expected: &'static str,
    },
    /// More bytes than the caller wants to hold.
    #[error("content {} is {size} bytes long, more than {limit}", digest.short())]
    TooLarge {
        /// Its digest.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Another process collects garbage.
    #[error("another process is collecting the garbage of this cache")]
    Busy,
    /// An ignore file that cannot be understood.
    #[error("{path} is not a list of ignore patterns")]
    Ignore {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: ignore::Error,
    },
    /// A document without a canonical form.
    #[error("the recipe has no canonical form")]
    Document(#[from] DocumentError),
    /// A name that cannot stand in a folder.
    #[error("{name:?} cannot be the name of an entry of a folder")]
    Name {
        /// The name.
        name: String,
    },
    /// A value that cannot be written as JSON.
    #[error("cannot write a record")]
    Json(#[from] serde_json::Error),
}

impl CacheError {
    /// Turns an I/O error into this error: `.map_err(CacheError::io("read", path))`.
    pub(crate) fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether something was not there.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// The same error, its relative paths seen from this folder.
    pub(crate) fn below(self, root: &Utf8Path) -> Self {
        match self {
            Self::Escapes { path, target } => Self::Escapes { path: root.join(path), target },
            Self::Collision { first, second } => {
                Self::Collision { first: root.join(first), second: root.join(second) }
            }
            other => other,
        }
    }
}
