//! Whose process is it? The commands that run, what they left behind, and signals to all of one command's processes.
//!
//! Whatever loses its parent becomes a child of the warden. So a command has left something behind only if the warden
//! has a child that it did not start: without one, one short look is enough. Whose such a stray is, its session, its
//! process group, the mark in its environment, its ancestry or its working folder tell, in this order; a stray that
//! hides all five falls with the last command.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal};

use super::MARKS;
use super::output::Output;
use super::sys::Dead;
use super::table::{self, Environment, OwnChildren, RawPid, Surroundings};
#[cfg(target_os = "linux")]
use super::trace::Watcher;

/// A command that was started, until its end is told.
pub(super) struct Member {
    pub(super) attempt: String,
    pub(super) leader: RawPid,
    pub(super) folder: Utf8PathBuf,
    pub(super) outputs: Vec<Output>,
    #[cfg(target_os = "linux")]
    pub(super) watcher: Option<Watcher>,
    pub(super) kind: Option<u64>,
    pub(super) phase: Phase,
    pub(super) ending: Ending,
    /// Descendants that were killed and may have left children.
    pub(super) doomed: BTreeSet<RawPid>,
}

/// Whether its leader lives.
pub(super) enum Phase {
    Running,
    /// The leader is dead; its strays are not yet.
    Clearing(Dead),
}

/// How its strays end after the leader did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// They are killed.
    Kill,
    /// They were asked to end and have time until the engine says otherwise.
    Grace,
}

/// All commands, by the engine's number.
pub(super) struct Family {
    children: OwnChildren,
    members: BTreeMap<u64, Member>,
    leaders: HashMap<RawPid, u64>,
    strays: HashMap<RawPid, Stray>,
}

/// What is known of a child that the warden did not start.
#[derive(Debug, Clone, Copy)]
enum Stray {
    /// Whose it is.
    Of(u64),
    /// It could not be read when it was first seen: it was becoming another program, or dying. It, and what it hands
    /// down when it dies, may be anybody's.
    Undecided(Instant),
}

/// How long an undecided stray is waited for.
const INDULGENCE: Duration = Duration::from_secs(5);

/// How often and how long a signal waits for undecided strays.
const LOOKS: u32 = 20;
const MOMENT: Duration = Duration::from_millis(1);

/// Whose process it is, at one look.
enum Owner {
    Command(u64),
    Nobody,
    /// It cannot be seen at this moment.
    Unseen,
}

/// The strays of each command.
#[derive(Default)]
struct Sorted {
    of: BTreeMap<u64, Vec<RawPid>>,
    /// Whether there is one that may be anybody's.
    undecided: bool,
}

impl Family {
    /// To be called by the thread that will start the commands.
    pub(super) fn new() -> Self {
        Self {
            children: OwnChildren::new(),
            members: BTreeMap::new(),
            leaders: HashMap::new(),
            strays: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, id: u64, member: Member) {
        self.leaders.insert(member.leader, id);
        self.members.insert(id, member);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = (u64, &mut Member)> {
        self.members.iter_mut().map(|(id, member)| (*id, member))
    }

    /// Notes that a child of the warden died.
    pub(super) fn died(&mut self, dead: Dead) {
        self.strays.remove(&dead.pid);
        let member = self.leaders.remove(&dead.pid).and_then(|id| self.members.get_mut(&id));
        if let Some(member) = member {
            member.phase = Phase::Clearing(dead);
        }
    }

    /// Whether some command waits for its strays to go.
    pub(super) fn is_clearing(&self) -> bool {
        self.members.values().any(|member| matches!(member.phase, Phase::Clearing(_)))
    }

    /// Kills the strays of commands whose leader is dead, and gives the commands that have none left.
    pub(super) fn clear(&mut self, mark: &str) -> Vec<(u64, Member)> {
        if !self.is_clearing() {
            return Vec::new();
        }
        let mut sorted = self.sort_strays(mark);
        let clearing: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Clearing(_)))
            .map(|(id, _)| *id)
            .collect();
        let mut cleared = Vec::new();
        for id in clearing {
            match sorted.of.remove(&id) {
                Some(strays) => self.kill_strays(id, &strays),
                None if sorted.undecided => {}
                None => cleared.extend(self.members.remove(&id).map(|member| (id, member))),
            }
        }
        cleared
    }

    fn kill_strays(&mut self, id: u64, strays: &[RawPid]) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.ending == Ending::Kill {
            let trees = table::trees(strays);
            signal_all(&trees, Signal::KILL);
            member.doomed.extend(trees);
        }
    }

    /// Sends a signal to all processes of a command.
    pub(super) fn signal(&mut self, id: u64, signal: Signal, mark: &str) {
        let strays = self.decided_strays(mark).of.remove(&id).unwrap_or_default();
        let Some(member) = self.members.get_mut(&id) else { return };
        let mut roots = strays;
        if matches!(member.phase, Phase::Running) {
            roots.insert(0, member.leader);
        }
        let trees = table::trees(&roots);
        signal_all(&trees, signal);
        if signal == Signal::KILL {
            member.doomed.extend(trees);
        }
        if !cfg!(target_os = "linux") {
            signal_group(member.leader, signal);
        }
    }

    /// The strays of each command, after the moment that an undecided one may need.
    fn decided_strays(&mut self, mark: &str) -> Sorted {
        for _ in 0..LOOKS {
            let sorted = self.sort_strays(mark);
            if !sorted.undecided {
                return sorted;
            }
            std::thread::sleep(MOMENT);
        }
        self.sort_strays(mark)
    }

    /// The strays of each command as they are now. One that is nobody's counts for all commands, as soon as none runs.
    fn sort_strays(&mut self, mark: &str) -> Sorted {
        let mut sorted = Sorted::default();
        for pid in self.children.now() {
            if self.leaders.contains_key(&pid) {
                continue;
            }
            match self.stray(pid, mark) {
                Some(Stray::Of(id)) => sorted.of.entry(id).or_default().push(pid),
                Some(Stray::Undecided(since)) => sorted.undecided |= since.elapsed() < INDULGENCE,
                None if self.leaders.is_empty() => {
                    self.members.keys().for_each(|id| sorted.of.entry(*id).or_default().push(pid));
                }
                None => {}
            }
        }
        sorted
    }

    /// Whose a stray is; none if it is nobody's.
    fn stray(&mut self, pid: RawPid, mark: &str) -> Option<Stray> {
        let known = self.strays.get(&pid).copied();
        if let Some(Stray::Of(id)) = known
            && self.members.contains_key(&id)
        {
            return known;
        }
        let stray = match self.owner(pid, mark) {
            Owner::Command(id) => Stray::Of(id),
            Owner::Unseen => match known {
                Some(Stray::Undecided(since)) => Stray::Undecided(since),
                Some(Stray::Of(_)) | None => Stray::Undecided(Instant::now()),
            },
            Owner::Nobody => {
                self.strays.remove(&pid);
                return None;
            }
        };
        self.strays.insert(pid, stray);
        Some(stray)
    }

    fn owner(&self, pid: RawPid, mark: &str) -> Owner {
        let Some(entry) = table::entry(pid) else { return Owner::Nobody };
        let by_kin = self.by_leader(entry.session).or_else(|| self.by_leader(entry.group));
        if let Some(id) = by_kin {
            return Owner::Command(id);
        }
        let known = match Surroundings::of(pid) {
            Surroundings::Known(environment) => self.by_environment(&environment, mark),
            Surroundings::Hidden => None,
            Surroundings::Starting | Surroundings::Exiting => return Owner::Unseen,
        };
        let doomed =
            |member: &Member| [pid, entry.group, entry.session].iter().any(|pid| member.doomed.contains(pid));
        known
            .or_else(|| self.find(doomed))
            .or_else(|| self.by_folder(pid))
            .map_or(Owner::Nobody, Owner::Command)
    }

    /// The command that this process leads or led: one that runs first, since a dead one's number may be used again.
    fn by_leader(&self, pid: RawPid) -> Option<u64> {
        self.leaders.get(&pid).copied().or_else(|| self.find(|member| member.leader == pid))
    }

    fn by_environment(&self, environment: &Environment, mark: &str) -> Option<u64> {
        let [attempt, warden, _] = MARKS;
        let attempt = environment.get(attempt)?;
        if environment.get(warden) != Some(mark) {
            return None;
        }
        self.find(|member| member.attempt == attempt)
    }

    fn by_folder(&self, pid: RawPid) -> Option<u64> {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let folder = Utf8Path::from_path(&folder)?;
        let inside = |member: &Member| folder.starts_with(&member.folder);
        // A folder that several commands share, or that holds another's, tells nothing.
        let mut owners = self.members.iter().filter(|(_, member)| inside(member)).map(|(id, _)| *id);
        owners.next().filter(|_| owners.next().is_none())
    }

    fn find(&self, matches: impl Fn(&Member) -> bool) -> Option<u64> {
        self.members.iter().find(|(_, member)| matches(member)).map(|(id, _)| *id)
    }
}

/// Kills whatever descends from this process.
pub(super) fn kill_everything() {
    signal_all(&table::trees(&table::children(rustix::process::getpid().as_raw_pid())), Signal::KILL);
}

/// Sends a signal to processes; one that is gone already has what it should have.
pub(super) fn signal_all(pids: &[RawPid], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a process group.
pub(super) fn signal_group(leader: RawPid, signal: Signal) {
    if let Some(leader) = Pid::from_raw(leader) {
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}
