//! What engine and warden say to each other: one JSON document per line, over two pipes that no other process has.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::command::{Command, Exit, Rank, Secret, Status};
use super::error::ProcessError;
use super::fence::Fence;
use super::trace::{Reads, Trace};

/// How much of a quick command's stdout is read.
pub(super) const CAPTURE_LIMIT: usize = 1 << 20;

/// What the engine asks. No `Debug`: an order holds secrets.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// Start a command.
    Spawn(Box<Order>),
    /// Start a command when it is told to go, or when one of its kind has ended well; of those that are held, the highest
    /// rank first.
    Hold { order: Box<Order>, rank: Rank },
    /// Start a command that is held, unless it runs already.
    Go(u64),
    /// Forget a command that is held; kill it if it runs already.
    Withdraw(u64),
    /// None of the commands that are held now takes the place of another by itself.
    Recall,
    /// Send SIGTERM to a command's whole tree.
    Terminate(u64),
    /// Send SIGKILL to a command's whole tree.
    Kill(u64),
    /// Kill everything and end.
    Shutdown,
}

/// A command as it travels.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) attempt: String,
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) folder: Utf8PathBuf,
    pub(super) log: Utf8PathBuf,
    pub(super) redact: Vec<String>,
    /// Whether stdout is sent back instead of going to the log.
    pub(super) capture: bool,
    pub(super) kind: Option<u64>,
    pub(super) fence: Option<Fence>,
    pub(super) trace: Option<Trace>,
}

impl Order {
    pub(super) fn new(id: u64, command: Command, capture: bool) -> Self {
        Self {
            id,
            attempt: command.id,
            argv: command.argv,
            env: command.env,
            folder: command.folder,
            log: command.log,
            redact: command.redact.iter().map(Secret::expose).map(str::to_owned).collect(),
            capture,
            kind: command.kind,
            fence: command.fence,
            trace: command.trace,
        }
    }
}

/// What the warden tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The warden listens; its mark.
    Ready(String),
    /// A command runs.
    Started { id: u64, pid: u32 },
    /// A command does not run.
    Refused { id: u64, refusal: Refusal },
    /// A command and all that it left behind are gone; the one that has its place now.
    Exited { id: u64, end: End, follower: Option<u64> },
}

/// Why a command was not started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) program: String,
    pub(super) reason: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    Command,
    Machine,
    /// Nobody's: it was not to run any more.
    Withdrawn,
}

impl From<Refusal> for ProcessError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { fault, program, reason } = refusal;
        match fault {
            Fault::Command => Self::NotStarted { program, reason },
            Fault::Machine | Fault::Withdrawn => Self::Machine { program, reason },
        }
    }
}

/// How a command ended, as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) status: Status,
    pub(super) user_us: u64,
    pub(super) system_us: u64,
    pub(super) peak_memory: u64,
    /// What a quick command wrote to stdout; none if it was too much.
    pub(super) output: Option<Vec<u8>>,
    /// What it read, if that was to be told.
    pub(super) reads: Option<Reads>,
    /// The name of the command that has its place now, as the engine knows it.
    #[serde(skip)]
    pub(super) follower: Option<String>,
}

impl End {
    pub(super) fn exit(&self) -> Exit {
        Exit {
            status: self.status,
            user: Duration::from_micros(self.user_us),
            system: Duration::from_micros(self.system_us),
            peak_memory: self.peak_memory,
        }
    }
}
