//! One hook: who sends it, the secrets that are shared with it, and what a verified request brings.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::secret::{Secret, SecretError};
use super::{github, gitlab, standard};
use crate::event::{CloudEvent, EventError};

/// Whose way of proving who sends it a hook follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// GitHub, of the public site or an own one: a signature of the body.
    Github,
    /// GitLab: a signature by a signing token, or a secret token that is sent along.
    Gitlab,
    /// Standard Webhooks: a signature of an id, a time and the body.
    Standard,
}

/// A hook as it was set up.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name. The source of events that do not tell theirs is made of it.
    pub name: String,
    /// Who sends it.
    pub sender: Sender,
    /// The secrets of which one has to fit; several while they are changed.
    pub secrets: Vec<Secret>,
    /// By how much a signed time may be away from now, before or after. Standard Webhooks suggest five minutes.
    pub window: Duration,
}

/// A request that comes from whom it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// What it brings. `data` is its whole body.
    pub event: CloudEvent,
    /// Another request with this key, within `window`, is a repetition, whatever its unsigned headers say. To be kept
    /// once the event is accepted, not before, so that a failed delivery can be sent again.
    pub replay_key: String,
    /// For how long the key has to be kept: after that, the time that is signed is too old. `None` if no time is signed;
    /// then for as long as events are known.
    pub window: Option<Duration>,
}

/// Why a request is refused. The text is meant for the one who sent it, and tells no more than they need.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It does not prove who sends it.
    #[error("header `{header}` is missing")]
    Missing {
        /// The header that would.
        header: &'static str,
    },
    /// Its proof is not that of any secret.
    #[error("the signature or the token does not match")]
    Mismatch,
    /// It was signed long ago, or in the future.
    #[error("it was signed at another time: its clock or its delivery is off by too much")]
    Untimely,
    /// It is not written as this sender writes.
    #[error("this is no webhook of the kind that is expected: {reason}")]
    Malformed {
        /// Why not.
        reason: String,
    },
}

impl WebhookError {
    /// The HTTP status that tells it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Missing { .. } | Self::Mismatch | Self::Untimely => 401,
            Self::Malformed { .. } => 400,
        }
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}

impl From<EventError> for WebhookError {
    fn from(error: EventError) -> Self {
        Self::malformed(error.to_string())
    }
}

impl Sender {
    /// The sender that a word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "github" => Some(Self::Github),
            "gitlab" => Some(Self::Gitlab),
            "standard" => Some(Self::Standard),
            _ => None,
        }
    }

    /// # Errors
    /// If this sender cannot use this secret; to be asked when a hook is set up.
    pub fn accepts(self, secret: &Secret) -> Result<(), SecretError> {
        match self {
            Self::Standard => secret.signing().map(drop),
            Self::Github | Self::Gitlab => Ok(()),
        }
    }
}

impl Hook {
    /// The event that a request brings, if one of the secrets proves who sends it. A hook without secrets refuses all.
    ///
    /// # Errors
    /// If it is not proved, is too old, or is not written as this sender writes.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, WebhookError> {
        match self.sender {
            Sender::Github => github::verify(self, headers, body, now),
            Sender::Gitlab => gitlab::verify(self, headers, body, now),
            Sender::Standard => standard::verify(self, headers, body, now),
        }
    }
    /// A key that tells a request from all others, of this hook and of others.
    pub(super) fn key(&self, proof: &str) -> String {
        format!("{}:{proof}", self.name)
    }
}
