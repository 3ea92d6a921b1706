//! How large an event may be, and what can be wrong with one.

/// How much of an event, or of several, is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body. The specification asks for at least 64 KiB (`spec.md`, Size Limits).
    pub body: usize,
    /// Events in one batch.
    pub batch: usize,
    /// Characters of one attribute.
    pub attribute: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1 << 20, batch: 100, attribute: 1024 }
    }
}

/// What is wrong with what came in as an event. The text is meant for the one who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The body is larger than is accepted.
    #[error("the body has {bytes} bytes; at most {limit} are accepted")]
    BodyTooLarge {
        /// So many it has.
        bytes: usize,
        /// So many it may have.
        limit: usize,
    },
    /// The batch is larger than is accepted.
    #[error("the batch has {events} events; at most {limit} are accepted")]
    BatchTooLarge {
        /// So many it has.
        events: usize,
        /// So many it may have.
        limit: usize,
    },
    /// An attribute is longer than is accepted.
    #[error("attribute `{name}` has {characters} characters; at most {limit} are accepted")]
    AttributeTooLong {
        /// The attribute.
        name: String,
        /// So many it has.
        characters: usize,
        /// So many it may have.
        limit: usize,
    },
    /// An event in a format, or text in a charset, that is not read here.
    #[error("`{content_type}` is not read here: {reason}")]
    Unsupported {
        /// What was said of the content.
        content_type: String,
        /// Why not.
        reason: &'static str,
    },
    /// A required attribute is not there.
    #[error("required attribute `{name}` is missing")]
    Missing {
        /// The attribute.
        name: &'static str,
    },
    /// An attribute has a name or a value that it may not have.
    #[error("attribute `{name}` {reason}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// A header that may be there once is there several times.
    #[error("header `{name}` is there more than once")]
    RepeatedHeader {
        /// The header.
        name: String,
    },
    /// The data does not fit what is said of it.
    #[error("the data {reason}")]
    Data {
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// What should be JSON is none, or is not that of an event.
    #[error("the body is not the JSON of an event: {reason}")]
    Json {
        /// Why not.
        reason: String,
    },
    /// One event of a batch is wrong, so none of them is accepted.
    #[error("event {number} of the batch: {error}")]
    InBatch {
        /// Which one, from 1 on.
        number: usize,
        /// What is wrong with it.
        error: Box<Self>,
    },
}

impl EventError {
    /// The HTTP status that tells it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BodyTooLarge { .. } | Self::BatchTooLarge { .. } => 413,
            Self::Unsupported { .. } => 415,
            Self::InBatch { error, .. } => error.status(),
            Self::AttributeTooLong { .. }
            | Self::Missing { .. }
            | Self::Attribute { .. }
            | Self::RepeatedHeader { .. }
            | Self::Data { .. }
            | Self::Json { .. } => 400,
        }
    }

    pub(super) fn attribute(name: &str, reason: impl Into<String>) -> Self {
        Self::Attribute { name: name.to_owned(), reason: reason.into() }
    }

    pub(super) fn data(reason: impl Into<String>) -> Self {
        Self::Data { reason: reason.into() }
    }
}
