//! A hold: a version that a rollback removed and that no run promotes again until someone lets it go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Deed, Registry, RegistryError};
use crate::name::ModelName;

/// An entry of a model's log of holds: a version was held back, or let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The version.
    pub version: u64,
    /// True if it was held back, false if it was let go.
    pub held: bool,
    /// By whom.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl Hold {
    /// By whom and since when, in a sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("held back by {} since {}", self.by, self.at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    }
}

impl Registry {
    /// The last word about each version that was ever held back or let go.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn holds(&self, model: &ModelName) -> Result<BTreeMap<u64, Hold>, RegistryError> {
        let entries = self.hold_log(model).entries::<Hold>()?;
        Ok(entries.into_iter().map(|(_, hold)| (hold.version, hold)).collect())
    }

    /// The hold that keeps this version back, if there is one.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn hold_of(&self, model: &ModelName, version: u64) -> Result<Option<Hold>, RegistryError> {
        Ok(self.holds(model)?.remove(&version).filter(|hold| hold.held))
    }

    /// Lets a version go that a rollback held back.
    ///
    /// # Errors
    /// If it is not on hold, or the record cannot be written.
    pub fn unhold(&self, model: &ModelName, version: u64, deed: Deed<'_>) -> Result<Hold, RegistryError> {
        self.version(model, version)?;
        if self.hold_of(model, version)?.is_none() {
            return Err(RegistryError::NotOnHold { model: model.clone(), version });
        }
        self.write_hold(model, version, deed, false)
    }

    /// Whether the version was let go after this time: someone wants it back.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn let_go_since(
        &self,
        model: &ModelName,
        version: u64,
        moved: Timestamp,
    ) -> Result<bool, RegistryError> {
        Ok(self.holds(model)?.get(&version).is_some_and(|hold| !hold.held && hold.at >= moved))
    }

    pub(super) fn write_hold(
        &self,
        model: &ModelName,
        version: u64,
        deed: Deed<'_>,
        held: bool,
    ) -> Result<Hold, RegistryError> {
        let hold =
            Hold { version, held, by: deed.by.to_owned(), why: deed.why.to_owned(), at: Timestamp::now() };
        self.hold_log(model).append(&hold)?;
        Ok(hold)
    }
}
