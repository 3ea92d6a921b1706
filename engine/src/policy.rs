//! What the project file and the command line say about garbage collection, and whether hosts share the state.

use std::time::Duration;

use serde::Deserialize;

/// So many of the newest runs are kept if nothing is said.
pub const KEPT_RUNS: usize = 20;

/// What a collection of garbage keeps beside pins, models, effects and runs that live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// What so many of the newest runs refer to.
    pub keep_runs: Option<usize>,
    /// Results that are no older.
    pub keep_for: Option<Duration>,
    /// Of the other results those used last, up to this size of the whole cache in bytes; without it none.
    pub max_size: Option<u64>,
}

/// The table `[cache]` of the project file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheTable {
    keep_runs: Option<usize>,
    #[serde(deserialize_with = "duration")]
    keep_for: Option<Duration>,
    #[serde(deserialize_with = "size")]
    max_size: Option<u64>,
    /// Whether hosts share the state folder although its file system does not look so.
    pub(crate) shared: bool,
}

impl CacheTable {
    pub(crate) fn policy(self) -> Policy {
        let Self { keep_runs, keep_for, max_size, .. } = self;
        Policy { keep_runs, keep_for, max_size }
    }
}

impl Policy {
    /// This policy, and what it does not say as another one says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            keep_runs: self.keep_runs.or(other.keep_runs),
            keep_for: self.keep_for.or(other.keep_for),
            max_size: self.max_size.or(other.max_size),
        }
    }
}

/// A time such as `30d`.
///
/// # Errors
/// Why the text is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("a time such as \"30d\" is wanted: {error}"))
}

/// A size such as `200 GiB`.
///
/// # Errors
/// Why the text is none.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64()).map_err(|error| format!("a size such as \"200 GiB\" is wanted: {error}"))
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_strictly() {
        let read = |text: &str| toml::from_str::<CacheTable>(text).map(CacheTable::policy);
        let policy = read("keep_runs = 5\nkeep_for = \"30d\"\nmax_size = \"200 GiB\"").unwrap();
        assert_eq!(policy.keep_runs, Some(5));
        assert_eq!(policy.keep_for, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(policy.max_size, Some(200 << 30));
        for wrong in
            ["keep_for = 30", "keep_for = \"soon\"", "max_size = \"much\"", "keep_runs = -1", "keep = 1"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let flags = Policy { keep_runs: Some(1), ..Policy::default() };
        assert_eq!(flags.or(policy), Policy { keep_runs: Some(1), ..policy });
    }
}
