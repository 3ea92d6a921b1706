//! Who may ask for what: bearer tokens with scopes, in a file that holds only their digests. The file is read again when it was changed, so tokens
//! come and go without a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Look at projects, runs, logs, metrics, triggers.
    Read,
    /// Start and cancel runs, fire triggers.
    Run,
    /// Send events.
    Event,
    /// Get outputs.
    Artifacts,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Run, Self::Event, Self::Artifacts];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Event => "event",
            Self::Artifacts => "artifacts",
        }
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Who has it.
    pub name: String,
    /// The digest of its text.
    pub digest: String,
    /// What it is for.
    pub scopes: BTreeSet<Scope>,
    /// Only these projects; all if there is none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub projects: BTreeSet<String>,
    /// It is no longer known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Why tokens cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file system said no.
    #[error("cannot access the tokens in {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is wrong.
    #[error("{path} holds no tokens: {reason}")]
    Wrong {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        reason: String,
    },
    /// There is a token of this name.
    #[error("there is a token {name:?} already")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is none.
    #[error("there is no token {name:?}")]
    NotThere {
        /// The name.
        name: String,
    },
}

/// The file of tokens.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default)]
    tokens: Vec<TokenEntry>,
}

/// What tells one state of a file from another.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The tokens of a daemon.
#[derive(Debug)]
pub struct Tokens {
    path: Utf8PathBuf,
    known: Mutex<(Stamp, BTreeMap<String, TokenEntry>)>,
}

impl Tokens {
    /// Reads the tokens of a file; there are none if it is not there.
    ///
    /// # Errors
    /// If it cannot be read, or is wrong.
    pub fn open(path: Utf8PathBuf) -> Result<Self, TokensError> {
        let stamp = stamp(&path);
        let known = by_digest(read(&path)?);
        Ok(Self { path, known: Mutex::new((stamp, known)) })
    }

    /// Whether nobody has a token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).1.is_empty()
    }

    /// Who brings this `Authorization` header; none if nobody who is known.
    pub(super) fn who(&self, header: Option<&[u8]>, now: Timestamp) -> Option<TokenEntry> {
        let (scheme, token) = header?.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") || token.is_empty() {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != known.0 {
            match read(&self.path) {
                Ok(tokens) => *known = (stamp, by_digest(tokens)),
                Err(error) => {
                    tracing::error!(%error, "the tokens stay as they were");
                    known.0 = stamp;
                }
            }
        }
        // What is looked for is a digest: how long that takes tells nothing of the tokens.
        let entry = known.1.get(&Digest::of(token).to_string())?;
        entry.expires.is_none_or(|expires| now < expires).then(|| entry.clone())
    }

    /// All of a file.
    ///
    /// # Errors
    /// If it cannot be read, or is wrong.
    pub fn list(path: &Utf8Path) -> Result<Vec<TokenEntry>, TokensError> {
        read(path)
    }

    /// Whether a file has the token with this text.
    #[must_use]
    pub fn has(path: &Utf8Path, text: &str) -> bool {
        let digest = Digest::of(text.as_bytes()).to_string();
        read(path).is_ok_and(|tokens| tokens.iter().any(|token| token.digest == digest))
    }

    /// The text of a new token: 256 random bits, with a beginning by which it is known where it should not be.
    #[must_use]
    pub fn generate() -> String {
        let bits: [u8; 32] = rand::rng().random();
        format!("tidemill_{}", bits.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// Adds a token to a file. Its text is kept nowhere: nobody can say it again.
    ///
    /// # Errors
    /// If there is one of this name, or the file cannot be written.
    pub fn add(
        path: &Utf8Path,
        (name, text): (&str, &str),
        scopes: BTreeSet<Scope>,
        projects: BTreeSet<String>,
        expires: Option<Timestamp>,
    ) -> Result<(), TokensError> {
        let mut tokens = read(path)?;
        if tokens.iter().any(|token| token.name == name) {
            return Err(TokensError::Taken { name: name.to_owned() });
        }
        let digest = Digest::of(text.as_bytes()).to_string();
        tokens.push(TokenEntry { name: name.to_owned(), digest, scopes, projects, expires });
        write(path, tokens)
    }

    /// Removes a token from a file: from the next request on nobody knows it.
    ///
    /// # Errors
    /// If there is none of this name, or the file cannot be written.
    pub fn remove(path: &Utf8Path, name: &str) -> Result<(), TokensError> {
        let mut tokens = read(path)?;
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            return Err(TokensError::NotThere { name: name.to_owned() });
        }
        write(path, tokens)
    }
}

fn by_digest(tokens: Vec<TokenEntry>) -> BTreeMap<String, TokenEntry> {
    tokens.into_iter().map(|token| (token.digest.clone(), token)).collect()
}

fn stamp(path: &Utf8Path) -> Stamp {
    let facts = fs::metadata(path).ok()?;
    Some((facts.ino(), facts.size(), facts.mtime(), facts.mtime_nsec()))
}

fn read(path: &Utf8Path) -> Result<Vec<TokenEntry>, TokensError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TokensError::Io { path: path.to_owned(), source }),
    };
    let wrong = |reason: String| TokensError::Wrong { path: path.to_owned(), reason };
    let file: TokenFile = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    if let Some(token) = file.tokens.iter().find(|token| token.digest.parse::<Digest>().is_err()) {
        return Err(wrong(format!("the digest of {:?} is none", token.name)));
    }
    Ok(file.tokens)
}

fn write(path: &Utf8Path, tokens: Vec<TokenEntry>) -> Result<(), TokensError> {
    let io = |source| TokensError::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(folder).map_err(io)?;
    let text = toml::to_string(&TokenFile { tokens }).map_err(|error| io(io::Error::other(error)))?;
    // A temporary file is readable by its owner only from its first moment on.
    let mut file = tempfile::Builder::new().prefix(".tokens-").tempfile_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_and_go_while_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("daemon/tokens.toml");
        let tokens = Tokens::open(path.clone()).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let who =
            |token: &str| tokens.who(Some(format!("Bearer {token}").as_bytes()), now).map(|who| who.name);
        let add = |name, expires| {
            let text = Tokens::generate();
            Tokens::add(&path, (name, &text), [Scope::Read].into(), BTreeSet::new(), expires).unwrap();
            text
        };
        let one = add("ci", None);
        let old = add("old", Some(now));
        assert_eq!(who(&one).as_deref(), Some("ci"));
        assert_eq!(who(&old), None, "its time is over");
        assert_eq!(who(&one[1..]), None);
        assert_eq!(tokens.who(Some(one.as_bytes()), now), None);
        assert_eq!(tokens.who(None, now), None);
        assert!(!fs::read_to_string(&path).unwrap().contains(&one), "its text is kept nowhere");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(
            Tokens::add(&path, ("ci", "text"), BTreeSet::new(), BTreeSet::new(), None),
            Err(TokensError::Taken { .. })
        ));
        Tokens::remove(&path, "ci").unwrap();
        assert_eq!(who(&one), None);
        assert!(matches!(Tokens::remove(&path, "ci"), Err(TokensError::NotThere { .. })));
        let two = add("two", None);
        assert_eq!(who(&two).as_deref(), Some("two"));
        fs::write(&path, "no tokens").unwrap();
        assert_eq!(who(&two).as_deref(), Some("two"), "a file that is wrong changes nothing");
    }
}
