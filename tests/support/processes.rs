//! Commands that are started and stopped, and the processes that belong to a project.

use std::fs;
use std::path::Path;
use std::process::{Child, Output};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::wait::until;

/// A command that was started; it is killed if the story ends before it does.
pub(crate) struct Started {
    child: Option<Child>,
    arguments: Vec<String>,
}

impl Started {
    pub(crate) fn new(child: Child, arguments: Vec<String>) -> Self {
        Self { child: Some(child), arguments }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        let id = self.child.as_ref().expect("it is taken only by its answer").id();
        i32::try_from(id).unwrap()
    }

    /// Sends a signal to its process group, as a terminal does with Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// Waits until an interrupt would be heard by the process, rather than end it.
    pub(crate) fn until_it_hears(&mut self) {
        let status = format!("/proc/{}/status", self.pid());
        self.until("it hears signals", || {
            let status = fs::read_to_string(&status).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
            (caught >> (Signal::INT.as_raw() - 1) & 1 == 1).then_some(())
        });
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits until the condition gives a value; fails the story if the command ends before that.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        until(what, || condition().map(Ok).or_else(|| self.has_ended().then_some(Err(())))).unwrap_or_else(
            |()| {
                let output = self.child.take().expect("it is taken only once").wait_with_output().unwrap();
                panic!("the command ended before this: {what}\n{}", String::from_utf8_lossy(&output.stderr))
            },
        )
    }

    pub(crate) fn output(mut self) -> (Vec<String>, Output) {
        let child = self.child.take().expect("it is taken only here");
        (std::mem::take(&mut self.arguments), child.wait_with_output().unwrap())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Kills a process and all its descendants at once: all are stopped first, so that none can react to another's end.
pub(crate) fn kill_with_descendants(pid: i32) {
    let mut tree = vec![pid];
    let mut done = 0;
    while done < tree.len() {
        signal_if_there(tree[done], Signal::STOP);
        tree.extend(children_of(tree[done]));
        done += 1;
    }
    for pid in tree {
        signal_if_there(pid, Signal::KILL);
    }
}

fn signal_if_there(pid: i32, signal: Signal) {
    // It may have ended by itself.
    kill_process(Pid::from_raw(pid).unwrap(), signal).ok();
}

/// The children of a process, whichever of its threads started them.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    all().into_iter().filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

/// The living processes that steps of the project with this state folder started, however far they went from it.
pub(crate) fn processes_of(state: &Path) -> Vec<i32> {
    let mark = format!("TIDEMILL_STATE={}", state.display());
    let is_of = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let alive = || stat(*pid).is_some_and(|(state, _)| state != 'Z' && state != 'X');
        variables.any(|variable| variable == mark.as_bytes()) && alive()
    };
    all().into_iter().filter(is_of).collect()
}

fn all() -> Vec<i32> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

/// The state of a process and its parent.
pub(crate) fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
