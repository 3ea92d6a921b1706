//! Finding what outlived its warden: the processes of a run that was killed together with its watcher.
//!
//! A process belongs to a dead run if its environment names this state folder and a warden that is dead. Nothing else
//! counts: a shell that a person opened in a step's folder is left alone, and so is every process of a run that lives.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::process::Signal;

use super::MARKS;
use super::error::ProcessError;
use super::family::signal_all;
use super::table::{self, RawPid, Surroundings};

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a process may take to become another program before it is passed over.
const INDULGENCE: Duration = Duration::from_secs(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Kills the processes of this state folder whose warden is dead, with their descendants, waits until they are gone, and
/// tells how many. Costs a look at every process of the machine that may be looked at: a run that starts nothing need not
/// call it. After [`ProcessError::WardenLost`] it ends what the lost warden had watched.
///
/// # Errors
/// [`ProcessError::Survivors`] if some do not go away.
pub fn sweep(state: &Utf8Path) -> Result<usize, ProcessError> {
    let spared = ancestors();
    let began = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let (mut orphans, mut undecided) = (Vec::new(), false);
        for pid in table::all().into_iter().filter(|pid| !spared.contains(pid)) {
            match verdict(pid, state) {
                Verdict::Orphan => orphans.push(pid),
                Verdict::Undecided => undecided = true,
                Verdict::Stranger => {}
            }
        }
        if orphans.is_empty() && (!undecided || began.elapsed() > INDULGENCE) {
            return Ok(killed.len());
        }
        let mut trees = table::trees(&orphans);
        trees.retain(|pid| !spared.contains(pid));
        signal_all(&trees, Signal::KILL);
        killed.extend(trees);
        if began.elapsed() > PATIENCE {
            return Err(ProcessError::Survivors {
                pids: orphans.iter().map(|pid| pid.unsigned_abs()).collect(),
            });
        }
        std::thread::sleep(PAUSE);
    }
}

/// This process and those above it: whatever their environment says, a run does not end itself.
fn ancestors() -> BTreeSet<RawPid> {
    let mut pid = rustix::process::getpid().as_raw_pid();
    let mut ancestors = BTreeSet::new();
    while pid > 0 && ancestors.insert(pid) {
        pid = table::entry(pid).map_or(0, |entry| entry.parent);
    }
    ancestors
}

/// What a process is to this project.
enum Verdict {
    /// It was started by a warden of this state folder that is dead.
    Orphan,
    /// It is none of our business, or dead.
    Stranger,
    /// It is about to become another program and cannot be read before.
    Undecided,
}

fn verdict(pid: RawPid, state: &Utf8Path) -> Verdict {
    let [attempt, warden, place] = MARKS;
    let environment = match Surroundings::of(pid) {
        Surroundings::Known(environment) => environment,
        Surroundings::Starting => return Verdict::Undecided,
        Surroundings::Hidden | Surroundings::Exiting => return Verdict::Stranger,
    };
    let orphaned = environment.get(place) == Some(state.as_str())
        && environment.get(attempt).is_some()
        && environment.get(warden).is_some_and(|mark| !table::is_alive(mark))
        && sees_our_processes(pid);
    if orphaned { Verdict::Orphan } else { Verdict::Stranger }
}

/// Whether a process lives among the same process ids as this one: in a container of its own the mark of its warden means
/// another process.
fn sees_our_processes(pid: RawPid) -> bool {
    let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let ours = space("self");
    ours.is_some() && space(&pid.to_string()) == ours
}
