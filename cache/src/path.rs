//! A relative path that is stored and hashed: the same on every machine.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Deserializer, Serialize};

/// A path below some root: UTF-8, separated by `/`, not absolute, not empty, without `.`, `..`, empty parts or NUL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RelPath(String);

/// Text that is no relative path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// It begins with a slash.
    #[error("{0:?} is absolute")]
    Absolute(String),
    /// It leaves its root.
    #[error("{0:?} leaves its folder through `..`")]
    Escapes(String),
    /// It holds a NUL byte.
    #[error("{0:?} contains a NUL byte")]
    Nul(String),
}

impl RelPath {
    /// The path from text; `./` prefixes, doubled and trailing slashes are normalised away.
    ///
    /// # Errors
    /// If it is empty, absolute, or holds `..` or a NUL byte.
    pub fn new(text: &str) -> Result<Self, InvalidPath> {
        if text.starts_with('/') {
            return Err(InvalidPath::Absolute(text.to_owned()));
        }
        if text.contains('\0') {
            return Err(InvalidPath::Nul(text.to_owned()));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if parts.contains(&"..") {
            return Err(InvalidPath::Escapes(text.to_owned()));
        }
        Ok(Self(parts.join("/")))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder that holds it, if it is not at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// This path followed by another.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self(format!("{}/{}", self.0, other.0))
    }

    /// Where it lies below this root.
    #[must_use]
    pub fn below(&self, root: &Utf8Path) -> Utf8PathBuf {
        root.join(&self.0)
    }

    /// Whether `other` is this path or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0 == self.0 || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RelPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_root() {
        assert_eq!(RelPath::new("a/../b"), Err(InvalidPath::Escapes("a/../b".into())));
        assert_eq!(RelPath::new("/etc"), Err(InvalidPath::Absolute("/etc".into())));
        assert_eq!(RelPath::new("./"), Err(InvalidPath::Empty));
        assert_eq!(RelPath::new("./a//b/").map(|path| path.to_string()), Ok("a/b".into()));
    }

    #[test]
    fn containment_is_by_whole_parts() {
        let models = RelPath::new("models").unwrap();
        assert!(models.contains(&RelPath::new("models/a").unwrap()));
        assert!(!models.contains(&RelPath::new("models2").unwrap()));
    }
}
