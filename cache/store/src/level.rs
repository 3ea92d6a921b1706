//! Levels of trust: who wrote a result, and who believes whom.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who writes to a store. Each level has a prefix of its own there, so that the rules of the object store can say who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Machines that build what was reviewed.
    Ci,
    /// The people of the team.
    Dev,
    /// Whoever sends in changes: their results are believed by nobody else.
    Fork,
}

impl Level {
    /// All of them, the most trusted first.
    pub const ALL: [Self; 3] = [Self::Ci, Self::Dev, Self::Fork];

    /// Its name, which is also its prefix in the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Dev => "dev",
            Self::Fork => "fork",
        }
    }

    /// Whose results someone of this level believes, if nothing else was said.
    #[must_use]
    pub fn trusts(self) -> Vec<Self> {
        match self {
            Self::Ci => vec![Self::Ci],
            Self::Dev => vec![Self::Ci, Self::Dev],
            Self::Fork => vec![Self::Ci, Self::Fork],
        }
    }

    /// Its number in what is written.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ci => 0,
            Self::Dev => 1,
            Self::Fork => 2,
        }
    }

    /// The level of this number.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|level| level.word() == text);
        named.ok_or_else(|| format!("{text:?} is no level of trust; there are ci, dev and fork"))
    }
}
