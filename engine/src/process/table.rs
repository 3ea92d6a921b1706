//! The kernel's table of processes, as far as it shows: who is whose child, and what a process was started with.
//!
//! Elsewhere than on Linux it shows nothing, and only process groups are known.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;

/// A process id as the kernel writes it.
pub(super) type RawPid = i32;

/// What the table says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) parent: RawPid,
    pub(super) group: RawPid,
    pub(super) session: RawPid,
    /// When it started, in clock ticks since the machine did: with the id it names a process for ever.
    pub(super) start: u64,
    /// Whether it is dead and only waits for its parent to notice.
    pub(super) zombie: bool,
    /// Whether it is on its way out: its memory may be gone while its children are still its own.
    exiting: bool,
    /// Whether it is a thread of the kernel.
    kernel: bool,
    /// Where its environment ends in its memory; 0 if it has none now, or if that may not be known.
    environment_end: u64,
    /// CPU time that it and the children it waited for took, in clock ticks.
    pub(super) ticks: u64,
    /// Its resident memory, in pages.
    pub(super) pages: u64,
}

/// Flags of a process as the kernel's `include/linux/sched.h` has them.
const EXITING: u64 = 0x4;
const KERNEL: u64 = 0x20_0000;

/// The entry of a process, if there is one.
pub(super) fn entry(pid: RawPid) -> Option<Entry> {
    parse(&String::from_utf8_lossy(&read(&format!("/proc/{pid}/stat")).ok()?))
}

/// What the kernel says in a file. Such files have no length to be asked for, and are mostly read in one piece.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut content = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(content),
            Ok(length) => content.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a line of `/proc/<pid>/stat`. The name in parentheses may hold anything, so its last parenthesis counts.
fn parse(line: &str) -> Option<Entry> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let id = |index: usize| fields.get(index)?.parse::<RawPid>().ok();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let flags = number(6)?;
    Some(Entry {
        parent: id(1)?,
        group: id(2)?,
        session: id(3)?,
        start: number(19)?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        exiting: flags & EXITING != 0,
        kernel: flags & KERNEL != 0,
        environment_end: number(48).unwrap_or(0),
        ticks: (11..=14).filter_map(number).sum(),
        pages: number(21).unwrap_or(0),
    })
}

/// The children of a process, dead ones included that nobody has waited for.
pub(super) fn children(pid: RawPid) -> Vec<RawPid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => children.extend(numbers(&list)),
            // A kernel without these lists, or a thread that has just ended.
            Err(error) if error.kind() == ErrorKind::NotFound && thread.path().exists() => {
                return children_by_parent(pid);
            }
            Err(_) => {}
        }
    }
    children
}

/// The children of this process, which asks for them again and again: the lists of its threads stay open.
pub(super) struct OwnChildren {
    lists: Vec<File>,
}

impl OwnChildren {
    /// To be called by the thread that starts children: what loses its parent falls to the first thread, which is another one if
    /// this is a part of a larger program.
    pub(super) fn new() -> Self {
        let me = rustix::process::getpid().as_raw_pid();
        let threads = fs::read_dir(format!("/proc/{me}/task")).into_iter().flatten().flatten();
        Self { lists: threads.filter_map(|thread| File::open(thread.path().join("children")).ok()).collect() }
    }

    /// Those of this moment, dead ones included that nobody has waited for.
    pub(super) fn now(&self) -> Vec<RawPid> {
        let read: io::Result<Vec<Vec<u8>>> = self.lists.iter().map(from_the_beginning).collect();
        match read {
            Ok(lists) if !lists.is_empty() => lists
                .iter()
                .flat_map(|list| numbers(&String::from_utf8_lossy(list)).collect::<Vec<_>>())
                .collect(),
            // A kernel without these lists, or a thread that has ended.
            _ => children(rustix::process::getpid().as_raw_pid()),
        }
    }
}

/// What the kernel says now in a file that was read before.
fn from_the_beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read_at(&mut piece, content.len() as u64) {
            Ok(0) => return Ok(content),
            Ok(length) => content.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The process ids of a list.
fn numbers(list: &str) -> impl Iterator<Item = RawPid> {
    list.split_ascii_whitespace().filter_map(|id| id.parse().ok())
}

fn children_by_parent(pid: RawPid) -> Vec<RawPid> {
    all().into_iter().filter(|other| entry(*other).is_some_and(|entry| entry.parent == pid)).collect()
}

/// These processes and all that descend from them, parents first.
pub(super) fn trees(roots: &[RawPid]) -> Vec<RawPid> {
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        for child in children(*pid) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// All processes that this one can see.
pub(super) fn all() -> Vec<RawPid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What can be seen of the environment that a process was started with.
pub(super) enum Surroundings {
    /// All.
    Known(Environment),
    /// Nothing, and that will stay so: it is another user's, or dead.
    Hidden,
    /// Nothing yet: it is about to become another program.
    Starting,
    /// Nothing any more: it is about to die, and its children to fall to another.
    Exiting,
}

/// The variables that a process was started with.
pub(super) struct Environment(Vec<u8>);

impl Surroundings {
    pub(super) fn of(pid: RawPid) -> Self {
        match read(&format!("/proc/{pid}/environ")) {
            Ok(variables) if !variables.is_empty() => return Self::Known(Environment(variables)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Self::Hidden,
            Ok(_) | Err(_) => {}
        }
        // Nothing to read: there is no variable, or there is no memory that could hold one at this moment.
        match entry(pid) {
            None => Self::Hidden,
            Some(entry) if entry.kernel => Self::Hidden,
            Some(entry) if entry.exiting || entry.zombie => Self::Exiting,
            Some(entry) if entry.environment_end == 0 => Self::Starting,
            Some(_) => match read(&format!("/proc/{pid}/environ")) {
                Ok(variables) => Self::Known(Environment(variables)),
                Err(_) => Self::Exiting,
            },
        }
    }
}

impl Environment {
    /// The value of a variable, if it is there and is text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut variables = self.0.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        std::str::from_utf8(value?).ok()
    }
}

/// The mark of a process: its id and start, which no other process of this machine has had since it was started.
pub(super) fn mark(pid: RawPid) -> String {
    format!("{pid}:{}", entry(pid).map_or(0, |entry| entry.start))
}

/// Whether the process with this mark is alive; one on its way out does nothing any more.
pub(super) fn is_alive(mark: &str) -> bool {
    let Some((pid, start)) = mark.split_once(':') else { return false };
    let (Ok(pid), Ok(start)) = (pid.parse(), start.parse::<u64>()) else { return false };
    entry(pid).is_some_and(|entry| entry.start == start && !entry.zombie && !entry.exiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let line = "42 (a) Z 1 (b)) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 321";
        let entry = parse(line).unwrap();
        assert_eq!((entry.parent, entry.group, entry.session), (7, 8, 9));
        assert_eq!((entry.start, entry.zombie, entry.exiting, entry.kernel), (123_456, false, false, false));
        assert_eq!((entry.ticks, entry.pages), (5 + 6 + 7 + 8, 321));
        assert!(parse("42 (a").is_none());
        assert!(parse("42 (a) S 1").is_none());
    }

    #[test]
    fn this_process_is_alive_and_another_start_is_not() {
        let mark = mark(i32::try_from(std::process::id()).unwrap());
        assert!(is_alive(&mark));
        assert!(!is_alive(&format!("{mark}1")));
        assert!(!is_alive("nonsense"));
    }
}
