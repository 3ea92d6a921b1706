//! An alias: a name such as `champion` that points to one version at a time, and the log of its moves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::LogError;

use super::endpoint::Restored;
use super::model::names_in;
use super::{Deed, Registry, RegistryError};
use crate::name::{AliasName, ModelName};

/// An entry of an alias's log: it was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasMove {
    /// The alias.
    pub alias: AliasName,
    /// Where it points to now.
    pub version: u64,
    /// Where it pointed to before; none if it is new.
    pub from: Option<u64>,
    /// Whether it went back to an earlier version.
    #[serde(default)]
    pub rollback: bool,
    /// By whom.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// What a rollback did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollback {
    /// The alias's move.
    pub moved: AliasMove,
    /// The version that was removed and is on hold now.
    pub held: u64,
    /// What became of the endpoints that served the removed version.
    pub endpoints: Vec<Restored>,
}

impl AliasMove {
    /// By whom and when, in a sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let at = self.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        format!("moved to version {} by {} on {at}{why}", self.version, self.by)
    }
}

impl Registry {
    /// All aliases of a model with their last moves.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn aliases(&self, model: &ModelName) -> Result<BTreeMap<AliasName, AliasMove>, RegistryError> {
        let mut aliases = BTreeMap::new();
        for alias in names_in::<AliasName>(&self.model_folder(model).join("aliases"))? {
            if let Some((_, moved)) = self.alias(model, &alias)? {
                aliases.insert(alias, moved);
            }
        }
        Ok(aliases)
    }

    /// The last move of an alias and its number; none if nobody set it.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn alias(
        &self,
        model: &ModelName,
        alias: &AliasName,
    ) -> Result<Option<(u64, AliasMove)>, RegistryError> {
        Ok(self.alias_log(model, alias).last::<AliasMove>()?)
    }

    /// All moves of an alias, oldest first.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn alias_moves(&self, model: &ModelName, alias: &AliasName) -> Result<Vec<AliasMove>, RegistryError> {
        let entries = self.alias_log(model, alias).entries::<AliasMove>()?;
        Ok(entries.into_iter().map(|(_, moved)| moved).collect())
    }

    /// Points an alias to a version; nothing is written if it points there already (then `None`).
    ///
    /// # Errors
    /// If there is no such version, or it is on hold.
    pub fn alias_set(
        &self,
        model: &ModelName,
        alias: &AliasName,
        version: u64,
        deed: Deed<'_>,
    ) -> Result<Option<AliasMove>, RegistryError> {
        self.version(model, version)?;
        let log = self.alias_log(model, alias);
        loop {
            // Read again each time: a rollback may have held the version back meanwhile.
            if let Some(hold) = self.hold_of(model, version)? {
                return Err(RegistryError::OnHold { model: model.clone(), version, held: hold.describe() });
            }
            let last = log.last::<AliasMove>()?;
            let (number, from) = last.map_or((0, None), |(number, moved)| (number, Some(moved.version)));
            if from == Some(version) {
                return Ok(None);
            }
            let moved = deed.move_to(alias, version, from);
            match log.create(number + 1, &moved) {
                Ok(()) => return Ok(Some(moved)),
                Err(LogError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes an alias back to the version that held it before, holds the removed version back, and gives the endpoints
    /// that serve it what they should serve before.
    ///
    /// The hold comes first, so that no run can promote the version again between two writes, and the alias last:
    /// whatever is interrupted, the same rollback again finishes it.
    ///
    /// # Errors
    /// If there is no such alias, nothing earlier, or someone moved the alias meanwhile.
    pub fn rollback(
        &self,
        model: &ModelName,
        alias: &AliasName,
        deed: Deed<'_>,
    ) -> Result<Rollback, RegistryError> {
        self.version(model, 1)?;
        let log = self.alias_log(model, alias);
        let Some((number, current)) = log.last::<AliasMove>()? else {
            return Err(RegistryError::UnknownAlias { model: model.clone(), alias: alias.clone() });
        };
        let removed = current.version;
        let holds = self.holds(model)?;
        let held: BTreeSet<u64> = holds.values().filter(|hold| hold.held).map(|hold| hold.version).collect();
        let Some(back) = earlier(&self.alias_moves(model, alias)?, &held) else {
            let (model, alias) = (model.clone(), alias.clone());
            return Err(RegistryError::NothingEarlier { model, alias, version: removed });
        };
        if !held.contains(&removed) {
            self.write_hold(model, removed, deed, true)?;
        }
        let endpoints = self.restore_endpoints(model, removed, deed)?;
        let moved = AliasMove { rollback: true, ..deed.move_to(alias, back, Some(removed)) };
        match log.create(number + 1, &moved) {
            Ok(()) => Ok(Rollback { moved, held: removed, endpoints }),
            Err(LogError::Taken { .. }) => {
                let now: AliasMove = log.read(number + 1)?;
                let (model, alias) = (model.clone(), alias.clone());
                let (version, by) = (now.version, now.by);
                Err(RegistryError::MovedMeanwhile { model, alias, version, by, held: removed })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Deed<'_> {
    fn move_to(self, alias: &AliasName, version: u64, from: Option<u64>) -> AliasMove {
        AliasMove {
            alias: alias.clone(),
            version,
            from,
            rollback: false,
            by: self.by.to_owned(),
            why: self.why.to_owned(),
            at: Timestamp::now(),
        }
    }
}

/// The version to go back to: moves push, rollbacks pop; of what lies below the top, the first that is not held back.
fn earlier(moves: &[AliasMove], held: &BTreeSet<u64>) -> Option<u64> {
    let mut stack: Vec<u64> = Vec::new();
    for moved in moves {
        if moved.rollback
            && let Some(place) = stack.iter().rposition(|version| *version == moved.version)
        {
            stack.truncate(place + 1);
        } else if stack.last() != Some(&moved.version) {
            stack.push(moved.version);
        }
    }
    let current = stack.pop()?;
    stack.into_iter().rev().find(|version| *version != current && !held.contains(version))
}
