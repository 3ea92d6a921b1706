//! What the processes of each command use at one moment, read from the kernel's table from outside: nobody is asked, so
//! nothing is held up.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::MARKS;
use super::table::{self, Entry, RawPid, Surroundings};

/// What all processes of a command use together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// CPU time that those which live, and the children they waited for, took so far. It falls if one dies that nobody
    /// of the command waited for.
    pub cpu: Duration,
    /// Resident memory in bytes; pages that several processes share count for each.
    pub memory: u64,
    /// The processes.
    pub processes: Vec<u32>,
}

/// The load of each command of a warden, by its id; `leaders` are the processes that the warden started.
pub(super) fn loads(warden: u32, leaders: &HashMap<u32, String>) -> BTreeMap<String, Load> {
    let mut loads = BTreeMap::new();
    if leaders.is_empty() {
        return loads;
    }
    let Ok(warden) = RawPid::try_from(warden) else { return loads };
    for child in table::children(warden) {
        let Some(entry) = table::entry(child) else { continue };
        let Some(name) = owner(child, &entry, leaders) else { continue };
        let load: &mut Load = loads.entry(name.to_owned()).or_default();
        for pid in table::trees(&[child]) {
            if let Some(entry) = table::entry(pid) {
                load.cpu += Duration::from_millis(milliseconds(entry.ticks));
                load.memory += entry.pages.saturating_mul(rustix::param::page_size() as u64);
                load.processes.extend(u32::try_from(pid));
            }
        }
    }
    loads
}

/// The command that a child of the warden belongs to: its leader, or one that left its parent and still has the leader's
/// session or group, or the command's mark.
fn owner<'a>(child: RawPid, entry: &Entry, leaders: &'a HashMap<u32, String>) -> Option<&'a str> {
    let known = [child, entry.session, entry.group];
    let known = known.iter().find_map(|pid| leaders.get(&u32::try_from(*pid).ok()?));
    if let Some(name) = known {
        return Some(name);
    }
    let Surroundings::Known(environment) = Surroundings::of(child) else { return None };
    let attempt = environment.get(MARKS[0])?;
    leaders.values().find(|name| *name == attempt).map(String::as_str)
}

fn milliseconds(ticks: u64) -> u64 {
    ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)
}
