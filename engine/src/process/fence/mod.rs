//! What a command may reach: a fence that its process puts around itself before it becomes the command, and that no descendant
//! can leave. Files are guarded by Landlock, the network by a filter of system calls.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod put;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub(super) use put::{Fences, Put};

/// What a command may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// No file below these may be read (absolute, without symbolic links); `/` hides all.
    pub hidden: Vec<Utf8PathBuf>,
    /// Whether the folders below them may be listed.
    pub lists: bool,
    /// These may be read wherever they lie. Those that do not exist are passed over.
    pub open: Vec<Utf8PathBuf>,
    /// Files may be made, changed and removed only here and below; none: wherever the user may.
    pub writable: Option<Vec<Utf8PathBuf>>,
    /// Whether it may use the network.
    pub network: bool,
}

impl Fence {
    /// Puts it around this thread and all that it starts from now on, for good. For a process of the terminal's: a warden's commands
    /// put up theirs themselves.
    ///
    /// # Errors
    /// If the kernel says no.
    #[cfg(target_os = "linux")]
    pub fn around_this_thread(&self) -> std::io::Result<()> {
        Fences::default().of(self)?.around_this()
    }

    /// There is no fence on this system, see [`Guards`].
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn around_this_thread(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
impl Fence {
    fn guards_files(&self) -> bool {
        !self.hidden.is_empty() || self.writable.is_some()
    }
}

/// What this machine can keep a command from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// From files. It takes a kernel with a Landlock that does not hinder the moving of files (Linux 5.19).
    pub files: bool,
    /// From the network.
    pub network: bool,
}

impl Guards {
    /// Those of this machine.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn here() -> Self {
        Self { files: files::are_guarded(), network: network::filter().is_ok() }
    }

    /// Those of this machine.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn here() -> Self {
        Self { files: false, network: false }
    }
}
