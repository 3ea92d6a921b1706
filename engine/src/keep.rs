//! Which outputs are kept when a run is done with them: the words of the language. They never enter a key.

use serde::{Deserialize, Serialize};

/// Which outputs of a step are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// All.
    #[default]
    All,
    /// Those that are no mere way to another step: see [`crate::graph::Output::is_passed_on`].
    Final,
}

impl Keep {
    /// What a word of the language means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "all" => Some(Self::All),
            "final" => Some(Self::Final),
            _ => None,
        }
    }
}
