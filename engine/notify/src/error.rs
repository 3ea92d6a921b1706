//! A delivery that failed: where, why, and whether another try may help.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A message that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("cannot deliver to {place}: {reason}")]
pub struct DeliveryError {
    /// The place as people call it, without anything secret.
    pub place: String,
    /// Why, in one line, without anything secret.
    pub reason: String,
    /// Whether another try may help.
    pub kind: Kind,
}

/// Whether another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It may: nobody answered, or the answer was "not now".
    Again {
        /// After this time, if the place said so.
        after: Option<Duration>,
    },
    /// It will not, until somebody changes the place or the message.
    Refused,
}

/// A delivery error whose place is still to be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) kind: Kind,
}

impl Failure {
    pub(crate) fn again(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Again { after: None } }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Refused }
    }

    pub(crate) fn at(self, place: String) -> DeliveryError {
        DeliveryError { place, reason: self.reason, kind: self.kind }
    }
}

/// The last of a chain of causes: the others only say what was going on.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    crate::text::one_line(&last.to_string(), 300)
}
