//! Where everything lies in the state folder, in one place.
//!
//! ```text
//! .gitignore CACHEDIR.TAG version   so that git and backups leave it alone; the format's number
//! index.db                          the index: may be deleted at any time
//! objects/ab/<digest>[x]            blobs; `x`: with the executable bit. One inode each, read-only
//! results/ab/<key>.1                the first action result of a key, with its recipe
//! results/ab/<key>/00000002         a later one; `00000002.quarantined`, `00000001.quarantined` here withdraw one
//! results/ab/<key>/00000001.condemned-<generation>     one that a collection of garbage took out and did not remove yet
//! recipes/ab/<key>                  the canonical bytes of a recipe that has no result, or that none holds
//! inputs/ab/<digest>                what small text files of the project held, what its folders listed; for explanations
//! changes                           the keys that have got a result or lost one; goes with the results
//! unsynced                          the boot of the machine in which something was written without being synced
//! stash/<kind>-<digest>             what makes the next start fast: may be deleted at any time
//! leases/<key>                      a file that is locked while a process works on that key
//! presence/<token>                  where hosts share the folder: a process that lives; grows by a byte at each beat
//! claims/<name>/00000001            the same instead of a lock: the token of the process that has a key
//! live/<number>                     places, each locked by a process that runs something; grows by a byte per run
//! trash/<generation>/<digest>[x]    blobs that a collection of garbage took out and did not remove yet
//! collecting                        locked by the process that collects garbage
//! tmp/                              what is being written
//! work/ runs/ registry/ endpoints/ effects/ displaced/     kept by the engine
//! ```

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Digest, Key};

/// The format that this version writes, and the newest that it reads. In format 1 no result held a recipe;
/// in format 2 every run locked one file, which nobody locks any more.
pub(crate) const FORMAT: u64 = 3;
/// The oldest format that it reads, and raises.
pub(crate) const OLDEST: u64 = 1;

/// How the name of the file of a first result ends.
const FIRST: &str = ".1";

/// The paths below one state folder.
#[derive(Debug)]
pub(crate) struct Layout {
    state: Utf8PathBuf,
}

/// A blob's name: its digest, and whether it has the executable bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) executable: bool,
}

impl Layout {
    pub(crate) fn new(state: Utf8PathBuf) -> Self {
        Self { state }
    }

    pub(crate) fn state(&self) -> &Utf8Path {
        &self.state
    }

    pub(crate) fn version(&self) -> Utf8PathBuf {
        self.state.join("version")
    }

    pub(crate) fn index(&self) -> Utf8PathBuf {
        self.state.join("index.db")
    }

    pub(crate) fn temporary(&self) -> Utf8PathBuf {
        self.state.join("tmp")
    }

    pub(crate) fn live(&self) -> Utf8PathBuf {
        self.state.join("live")
    }

    pub(crate) fn trash(&self) -> Utf8PathBuf {
        self.state.join("trash")
    }

    pub(crate) fn collecting(&self) -> Utf8PathBuf {
        self.state.join("collecting")
    }

    pub(crate) fn changes(&self) -> Utf8PathBuf {
        self.state.join("changes")
    }

    pub(crate) fn unsynced(&self) -> Utf8PathBuf {
        self.state.join("unsynced")
    }

    pub(crate) fn stash(&self) -> Utf8PathBuf {
        self.state.join("stash")
    }

    pub(crate) fn leases(&self) -> Utf8PathBuf {
        self.state.join("leases")
    }

    pub(crate) fn presence(&self) -> Utf8PathBuf {
        self.state.join("presence")
    }

    /// Where it is said who has something, where hosts share the folder.
    pub(crate) fn claim(&self, name: &str) -> Utf8PathBuf {
        self.state.join("claims").join(name)
    }

    pub(crate) fn lease(&self, key: &Key) -> Utf8PathBuf {
        self.leases().join(key.to_string())
    }

    pub(crate) fn objects(&self) -> Utf8PathBuf {
        self.state.join("objects")
    }

    pub(crate) fn object(&self, blob: Blob) -> Utf8PathBuf {
        let name = blob.to_string();
        self.objects().join(&name[..2]).join(name)
    }

    pub(crate) fn recipes(&self) -> Utf8PathBuf {
        self.state.join("recipes")
    }

    pub(crate) fn recipe(&self, key: &Key) -> Utf8PathBuf {
        let name = key.to_string();
        self.recipes().join(&name[..2]).join(name)
    }

    pub(crate) fn results(&self) -> Utf8PathBuf {
        self.state.join("results")
    }

    pub(crate) fn inputs(&self) -> Utf8PathBuf {
        self.state.join("inputs")
    }

    /// Where a copy of something that was an input lies.
    pub(crate) fn input(&self, digest: &Digest) -> Utf8PathBuf {
        let name = digest.to_string();
        self.inputs().join(&name[..2]).join(name)
    }

    /// The first result of a key, which mostly is its only one.
    pub(crate) fn first_result(&self, key: &Key) -> Utf8PathBuf {
        let name = key.to_string();
        self.results().join(&name[..2]).join(format!("{name}{FIRST}"))
    }

    /// The folder of a key's other results, and of what withdraws results.
    pub(crate) fn results_of(&self, key: &Key) -> Utf8PathBuf {
        let name = key.to_string();
        self.results().join(&name[..2]).join(name)
    }
}

/// The key of a recipe, or of a file or folder of results, by its name.
pub(crate) fn key_of_record(name: &str) -> Option<Key> {
    name.strip_suffix(FIRST).unwrap_or(name).parse().ok()
}

impl Blob {
    /// The blob of this file name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (hex, executable) = name.strip_suffix('x').map_or((name, false), |hex| (hex, true));
        hex.parse().ok().map(|digest| Self { digest, executable })
    }

    /// The same content with the other executable bit.
    pub(crate) fn twin(self) -> Self {
        Self { executable: !self.executable, ..self }
    }

    pub(crate) fn mode(self) -> u32 {
        if self.executable { 0o555 } else { 0o444 }
    }
}

impl std::fmt::Display for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.digest, if self.executable { "x" } else { "" })
    }
}
