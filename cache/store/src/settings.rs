//! How a store is used.

use serde::{Deserialize, Serialize};

use crate::level::Level;

/// What is done with a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Results are found there, and those that are made go there.
    #[default]
    ReadWrite,
    /// Results are found there, and nothing is written.
    ReadOnly,
    /// Nothing.
    Off,
}

impl Access {
    /// Its name in settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Off => "off",
        }
    }
}

impl std::str::FromStr for Access {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named =
            [Self::ReadWrite, Self::ReadOnly, Self::Off].into_iter().find(|access| access.word() == text);
        named.ok_or_else(|| format!("{text:?} is no access; there are read-write, read-only and off"))
    }
}

/// How a store is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its address.
    pub url: String,
    /// The level at which this machine writes.
    pub level: Level,
    /// The levels whose results are believed.
    pub trust: Vec<Level>,
    /// What is done with it.
    pub access: Access,
    /// So many bytes go over the wire in a second, at most, in each direction.
    pub rate_limit: Option<u64>,
}

impl Settings {
    /// Whether anything may be written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.access == Access::ReadWrite
    }
}
