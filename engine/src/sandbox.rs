//! How strictly a step is kept from what it did not declare: the words of the language. They never enter a key.

use serde::{Deserialize, Serialize};

/// How strictly a step is kept from what it did not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// Its process runs in a folder of its own.
    Off,
    /// It cannot read files of the project that it did not declare either.
    #[default]
    Default,
    /// It can read nothing but what it declared and what is installed on the machine, and write nothing but in its folder and
    /// its `TMPDIR`.
    Strict,
    /// Nothing is refused, and what it reads that it did not declare is told.
    Trace,
}

impl Sandbox {
    /// The level of a word of the language.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Off, Self::Default, Self::Strict, Self::Trace].into_iter().find(|level| level.word() == word)
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Default => "default",
            Self::Strict => "strict",
            Self::Trace => "trace",
        }
    }
}
