//! What a store holds.

use std::sync::Arc;

use serde::Serialize;

use crate::error::StoreError;
use crate::level::Level;
use crate::store::Store;

/// More objects than this are not counted.
pub(crate) const OBJECTS_MOST: usize = 10_000_000;

/// What a store holds, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its address, without what may be secret in it.
    pub address: String,
    /// Its id.
    pub id: String,
    /// The level at which this machine writes.
    pub level: Level,
    /// `read-write`, `read-only` or `off`.
    pub access: &'static str,
    /// What each level holds.
    pub levels: Vec<LevelStatus>,
}

/// What a level of a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelStatus {
    /// The level.
    pub level: Level,
    /// Whether its results are believed here.
    pub trusted: bool,
    /// How many results it holds.
    pub results: u64,
    /// How many packs of contents.
    pub packs: u64,
    /// The bytes of those.
    pub bytes: u64,
}

impl Store {
    /// Asks the store for the first time, if it was not asked yet.
    ///
    /// # Errors
    /// If it cannot be reached, refuses access, or was made by a newer version.
    pub fn reach(&self) -> Result<(), StoreError> {
        self.open().map(drop)
    }

    /// Counts what the store holds.
    ///
    /// # Errors
    /// If it cannot be reached, or refuses access.
    pub fn status(&self) -> Result<Status, StoreError> {
        let open = self.open()?;
        let trusted = self.trusted();
        let way = Arc::clone(&open);
        let levels = self.block(async move {
            let mut levels = Vec::new();
            for level in Level::ALL {
                let results = way.link.list(&way.layout.results(level), OBJECTS_MOST).await?;
                let packs = way.link.list(&way.layout.packs(level), OBJECTS_MOST).await?;
                levels.push(LevelStatus {
                    level,
                    trusted: trusted.contains(&level),
                    results: results.len() as u64,
                    packs: packs.len() as u64,
                    bytes: packs.iter().map(|pack| pack.size).sum(),
                });
            }
            Ok::<_, StoreError>(levels)
        })?;
        let settings = self.settings();
        Ok(Status {
            address: self.address(),
            id: open.id.clone(),
            level: settings.level,
            access: settings.access.word(),
            levels,
        })
    }
}
