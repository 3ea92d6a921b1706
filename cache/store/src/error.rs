//! What can go wrong with a store, each with what to do.

use camino::Utf8PathBuf;
use tidemill_cache::{CacheError, Digest};

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be one.
    #[error("{url:?} cannot be the address of a store: {reason}")]
    Address {
        /// The address, without what may be secret in it.
        url: String,
        /// Why.
        reason: String,
    },
    /// No credentials were found, or they are refused.
    #[error("the store refuses access: {reason}")]
    Access {
        /// What it said.
        reason: String,
    },
    /// The store did not answer, or not with what was asked for.
    #[error("the store cannot be reached: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The store was made by a newer version.
    #[error("the store has format {found}, and this version knows formats up to {known}")]
    Newer {
        /// Its format.
        found: u64,
        /// The newest format that this version knows.
        known: u64,
    },
    /// Something in the store is not what it claims to be.
    #[error("{path} in the store is damaged: {reason}")]
    Damaged {
        /// Where it lies, below the prefix of the store.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A content is in none of the places where it should be.
    #[error("content {} is not in the store", digest.short())]
    Missing {
        /// Its digest.
        digest: Digest,
    },
    /// The settings say that nothing is written.
    #[error("the store is used read-only")]
    ReadOnly,
    /// There is no room for what would be fetched.
    #[error("{needed} bytes are to be fetched, and {free} are free at {path}")]
    NoRoom {
        /// How many bytes are needed.
        needed: u64,
        /// How many are free.
        free: u64,
        /// Where.
        path: Utf8PathBuf,
    },
    /// The cache said no.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl StoreError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Address { .. } => Some(
                "an address is s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, gs://BUCKET/PREFIX, http(s)://… or file:///FOLDER",
            ),
            Self::Access { .. } => Some(
                "docs/store.md says where the credentials come from: for a cloud from where its own tools have them, for WebDAV from TIDEMILL_STORE_USER and TIDEMILL_STORE_PASSWORD, or TIDEMILL_STORE_TOKEN",
            ),
            Self::Unreachable { .. } => {
                Some("nothing is lost: what was made is here, and `tidemill push` sends it later")
            }
            Self::Newer { .. } => Some("use a newer version of tidemill with this store"),
            Self::Damaged { .. } | Self::Missing { .. } => {
                Some("what is missing is made again where it is needed; `tidemill push` sends it again")
            }
            Self::ReadOnly => {
                Some("set `access = \"read-write\"` in [store], or unset TIDEMILL_STORE_ACCESS")
            }
            Self::NoRoom { .. } => Some("make room, or `tidemill cache gc`"),
            Self::Cache(_) => None,
        }
    }

    /// Whether trying another time may help.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Access { .. })
    }

    /// The error for what lies at this path of the store.
    pub(crate) fn damaged(path: &object_store::path::Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_string(), reason: reason.into() }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        let reason = shortened(&chain(&error));
        match error {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Access { reason }
            }
            _ => Self::Unreachable { reason },
        }
    }
}

/// The error and its causes in one line, nothing said twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

/// One line of a length that people read, without the query of an address, which may hold a signature, and without the page that a
/// server shows in a browser.
fn shortened(text: &str) -> String {
    let page = ["<!doctype", "<html"].iter().filter_map(|start| text.to_ascii_lowercase().find(start)).min();
    let text = text[..page.unwrap_or(text.len())].trim_end_matches([':', ' ', '\n', '\r']);
    let line = text.split_whitespace().map(without_query).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn without_query(word: &str) -> &str {
    match word.contains("://") {
        true => word.split('?').next().unwrap_or(word),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_shown_without_its_page_and_without_queries() {
        let page = "PUT https://host/x?sig=abc: 401 Unauthorized:\n<HTML><body>Log in</body></HTML>";
        assert_eq!(shortened(page), "PUT https://host/x 401 Unauthorized");
        let xml = "403: <Error><Code>AccessDenied</Code></Error>";
        assert_eq!(shortened(xml), xml);
        assert_eq!(shortened(&"long ".repeat(200)).chars().count(), 401);
    }
}
