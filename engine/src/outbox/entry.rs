//! What is to be told to one place, and how far that has come.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemill_cache::Digest;
use tidemill_notify::Message;
use tidemill_triggers::CloudEvent;

use crate::name::NotifyName;

/// The version of the files.
const VERSION: u32 = 1;

/// What is to be told to one place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub(super) version: u32,
    /// Its id.
    pub id: EntryId,
    /// Who is told. Where that is, is looked up when it is told.
    pub to: Recipient,
    /// What is told.
    pub what: What,
    /// When it was written.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub tried: Option<Timestamp>,
    /// When it is tried next.
    pub next: Timestamp,
    /// Why the last try failed, without anything secret.
    pub last_error: Option<String>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Recipient {
    /// A `[[notify]]` of a pipeline.
    Notify {
        /// The pipeline file, relative to the project.
        file: String,
        /// Its name.
        name: NotifyName,
    },
    /// A sink of the project.
    Sink {
        /// Its name.
        name: NotifyName,
    },
}

/// What is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A message for people.
    Message(Message),
    /// An event for programs.
    Event(Box<CloudEvent>),
}

/// What tells one entry from another: two with the same id are the same thing, told to the same place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId([u8; 16]);

impl Entry {
    /// What is told to a place, due now. `key` tells it from all else that this place is told.
    #[must_use]
    pub fn new(to: Recipient, key: &str, what: What, now: Timestamp) -> Self {
        let id = EntryId::of(&to, key);
        Self {
            version: VERSION,
            id,
            to,
            what,
            at: now,
            attempts: 0,
            tried: None,
            next: now,
            last_error: None,
        }
    }

    /// Whether this program understands it.
    pub(super) fn is_known(&self) -> bool {
        self.version == VERSION
    }

    /// What it says, in a line.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.what {
            What::Message(message) => message.subject.clone(),
            What::Event(event) => format!("{} {}", event.kind(), event.id()),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notify { file, name } => write!(f, "{file}#{name}"),
            Self::Sink { name } => write!(f, "the sink {name}"),
        }
    }
}

impl EntryId {
    fn of(to: &Recipient, key: &str) -> Self {
        let (file, name) = match to {
            Recipient::Notify { file, name } => (file.as_str(), name),
            Recipient::Sink { name } => ("", name),
        };
        let mut bytes = Vec::new();
        for part in [file, name.as_str(), key] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        let mut own = [0; 16];
        own.copy_from_slice(&Digest::of(&bytes).as_bytes()[..16]);
        Self(own)
    }

    /// A number that spreads the times of tries.
    pub(super) fn seed(self) -> u64 {
        self.0.iter().fold(0, |seed, byte| (seed << 8) ^ (seed >> 56) ^ u64::from(*byte))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for EntryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "an id of an entry has 32 hexadecimal digits".to_owned();
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| wrong())
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
