//! The store of the project: what `[store]` in the project file and the environment say of it.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;
use tidemill_store::{Access, Level, Settings, Store};
pub use tidemill_store::{
    Garbage, Keep, LevelStatus, Progress, Pushed, Pushing, Status, StoreError, Transfer, Unused,
};

use crate::error::EngineError;

/// Where the address of the store stands, stronger than the project file.
pub(crate) const URL: &str = "TIDEMILL_STORE_URL";
/// At which level this machine writes, stronger than the project file.
pub(crate) const LEVEL: &str = "TIDEMILL_STORE_LEVEL";
/// What is done with the store, stronger than the project file.
const ACCESS: &str = "TIDEMILL_STORE_ACCESS";

/// `[store]` in the project file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreTable {
    /// The address.
    url: Option<String>,
    /// The level at which this machine writes.
    level: Option<Level>,
    /// The levels whose results are believed.
    trust: Option<Vec<Level>>,
    /// What is done with it.
    #[serde(default)]
    access: Access,
    /// Whether runs send what they make.
    push: Option<bool>,
    /// Bytes in a second, as in `20 MiB/s`.
    rate_limit: Option<String>,
}

/// The store of a project.
#[derive(Debug, Clone)]
pub struct ProjectStore {
    /// The store itself.
    pub store: Store,
    /// Whether runs send what they make.
    pub push: bool,
}

impl StoreTable {
    /// The store; none if no address is given, or it is not to be used.
    ///
    /// # Errors
    /// If a setting cannot be one.
    pub(crate) fn open(
        self,
        environment: &BTreeMap<String, String>,
        state: &Utf8Path,
    ) -> Result<Option<ProjectStore>, EngineError> {
        let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let wrong = |what: &str, reason: String| EngineError::StoreSetting { what: what.to_owned(), reason };
        let level = match given(LEVEL) {
            Some(text) => text.parse().map_err(|reason| wrong(LEVEL, reason))?,
            None => self.level.unwrap_or(Level::Dev),
        };
        let access = match given(ACCESS) {
            Some(text) => text.parse().map_err(|reason| wrong(ACCESS, reason))?,
            None => self.access,
        };
        let rate_limit = self.rate_limit.as_deref().map(rate).transpose();
        let rate_limit = rate_limit.map_err(|reason| wrong("rate_limit", reason))?;
        let Some(url) = given(URL).cloned().or(self.url) else { return Ok(None) };
        let trust = self.trust.unwrap_or_else(|| level.trusts());
        let settings = Settings { url, level, trust, access, rate_limit };
        let store = Store::new(settings, environment.clone(), state)?;
        Ok(Some(ProjectStore { store, push: self.push.unwrap_or(true) }))
    }
}

impl ProjectStore {
    /// Whether it is used at all.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.store.settings().access != Access::Off
    }

    /// Whether runs send what they make.
    #[must_use]
    pub fn takes_results(&self) -> bool {
        self.push && self.store.settings().writes()
    }
}

/// Bytes in a second.
fn rate(text: &str) -> Result<u64, String> {
    let size = text.trim().strip_suffix("/s").unwrap_or(text).trim();
    match size.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() >= 1024 => Ok(size.as_u64()),
        Ok(_) => Err(format!("{text:?} is less than 1 KiB/s")),
        Err(_) => Err(format!("{text:?} is no rate; one is written \"20 MiB/s\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(table: &str, environment: &[(&str, &str)]) -> Result<Option<ProjectStore>, EngineError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        toml::from_str::<StoreTable>(table).unwrap().open(&environment.collect(), Utf8Path::new("/nowhere"))
    }

    #[test]
    fn without_an_address_there_is_no_store() {
        assert!(open("", &[]).unwrap().is_none());
        assert!(open("level = \"ci\"", &[]).unwrap().is_none());
        assert!(open("", &[(URL, "s3://bucket/x")]).unwrap().is_some());
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let table = "url = \"s3://bucket/x\"\nlevel = \"dev\"\nrate_limit = \"1 MiB/s\"";
        let store = open(table, &[(LEVEL, "fork"), (ACCESS, "read-only")]).unwrap().unwrap();
        let settings = store.store.settings();
        assert_eq!((settings.level, settings.access), (Level::Fork, Access::ReadOnly));
        assert_eq!(
            (settings.trust.as_slice(), settings.rate_limit),
            ([Level::Ci, Level::Fork].as_slice(), Some(1 << 20))
        );
        assert!(!store.takes_results());
    }

    #[test]
    fn what_cannot_be_a_setting_is_told() {
        let url = "url = \"s3://bucket/x\"\n";
        for (table, environment) in [
            ("url = \"bucket\"".to_owned(), [("X", "")]),
            (format!("{url}rate_limit = \"fast\""), [("X", "")]),
            (format!("{url}rate_limit = \"1 B/s\""), [("X", "")]),
            (url.to_owned(), [(LEVEL, "boss")]),
            (url.to_owned(), [(ACCESS, "full")]),
        ] {
            assert!(open(&table, &environment).is_err(), "{table} {environment:?}");
        }
    }
}
