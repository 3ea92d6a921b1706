//! The history of a model: everything that happened to it, in the order of time.

use jiff::Timestamp;
use serde::Serialize;

use super::{AliasMove, Desired, Hold, Registry, RegistryError, Version};
use crate::name::ModelName;

/// Something that happened to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// Which version it is about.
    pub version: u64,
    /// By whom.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Happened {
    /// The version was registered.
    Registered {
        /// The version.
        record: Box<Version>,
    },
    /// An alias was pointed to the version.
    AliasMoved {
        /// The move.
        record: AliasMove,
    },
    /// An alias went back to the version.
    RolledBack {
        /// The move.
        record: AliasMove,
    },
    /// The version was held back.
    Held {
        /// The hold.
        record: Hold,
    },
    /// The version was let go.
    LetGo {
        /// The hold's end.
        record: Hold,
    },
    /// An endpoint should serve the version from then on.
    Deployed {
        /// The endpoint's desired state.
        record: Box<Desired>,
    },
}

impl HistoryEntry {
    /// In a sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let version = self.version;
        let (text, why) = match &self.what {
            Happened::Registered { record } => (
                format!(
                    "version {version} registered ({}, pipeline {})",
                    record.model.digest.short(),
                    record.pipeline
                ),
                "",
            ),
            Happened::AliasMoved { record } => (
                match record.from {
                    Some(from) => format!("{} moved from version {from} to version {version}", record.alias),
                    None => format!("{} set to version {version}", record.alias),
                },
                record.why.as_str(),
            ),
            Happened::RolledBack { record } => {
                let from = record.from.map(|from| format!(" from version {from}")).unwrap_or_default();
                (format!("{} rolled back{from} to version {version}", record.alias), record.why.as_str())
            }
            Happened::Held { record } => (format!("version {version} put on hold"), record.why.as_str()),
            Happened::LetGo { record } => (format!("version {version} let go"), record.why.as_str()),
            Happened::Deployed { record } if record.rollback => {
                (format!("endpoint {} taken back to version {version}", record.endpoint), record.why.as_str())
            }
            Happened::Deployed { record } => {
                (format!("version {version} deployed to endpoint {}", record.endpoint), record.why.as_str())
            }
        };
        if why.is_empty() { text } else { format!("{text}: {why}") }
    }
}

impl Registry {
    /// Everything that happened to a model, oldest first.
    ///
    /// # Errors
    /// If there is no such model, or a record cannot be read.
    pub fn history(&self, model: &ModelName) -> Result<Vec<HistoryEntry>, RegistryError> {
        self.version(model, 1)?;
        let mut entries = Vec::new();
        for version in self.versions(model)? {
            entries.push(HistoryEntry {
                at: version.created,
                version: version.version,
                by: version.by.clone(),
                what: Happened::Registered { record: Box::new(version) },
            });
        }
        for alias in self.aliases(model)?.into_keys() {
            entries.extend(self.alias_moves(model, &alias)?.into_iter().map(HistoryEntry::from));
        }
        let holds = self.hold_log(model).entries::<Hold>()?;
        entries.extend(holds.into_iter().map(|(_, hold)| HistoryEntry::from(hold)));
        for endpoint in self.endpoints()? {
            let states = self.desired_states(&endpoint)?;
            entries.extend(states.into_iter().filter(|state| state.model == *model).map(HistoryEntry::from));
        }
        // Stable: what has the same time stays in the order of cause and effect above.
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }
}

impl From<AliasMove> for HistoryEntry {
    fn from(record: AliasMove) -> Self {
        let (at, version, by) = (record.at, record.version, record.by.clone());
        let what =
            if record.rollback { Happened::RolledBack { record } } else { Happened::AliasMoved { record } };
        Self { at, version, by, what }
    }
}

impl From<Hold> for HistoryEntry {
    fn from(record: Hold) -> Self {
        let (at, version, by) = (record.at, record.version, record.by.clone());
        let what = if record.held { Happened::Held { record } } else { Happened::LetGo { record } };
        Self { at, version, by, what }
    }
}

impl From<Desired> for HistoryEntry {
    fn from(record: Desired) -> Self {
        let (at, version, by) = (record.at, record.version, record.by.clone());
        Self { at, version, by, what: Happened::Deployed { record: Box::new(record) } }
    }
}
