//! Memory in small pages, for a process that waits for most of its life: in huge ones an idle daemon takes several times what it uses. A
//! process inherits the choice from the one that starts it, so runs are started with the choice that was found.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether this process has chosen small pages. Who starts a process has it locked, since the choice is one of the whole process.
static CHOSEN: Mutex<bool> = Mutex::new(false);

/// From now on this process takes memory in small pages, where the system can tell. Where somebody has chosen that before, nothing changes.
pub fn take_small_pages() {
    let mut chosen = chosen();
    *chosen = *chosen || (!system::are_small() && system::set(true));
}

/// Starts a process, which takes its pages as this one did in the beginning.
pub(super) fn with_usual_pages<T>(start: impl FnOnce() -> T) -> T {
    let chosen = chosen();
    if !*chosen {
        return start();
    }
    system::set(false);
    let started = start();
    system::set(true);
    started
}

fn chosen() -> MutexGuard<'static, bool> {
    CHOSEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

    pub(super) fn are_small() -> bool {
        transparent_huge_pages_are_disabled().unwrap_or(true)
    }

    /// Whether it was done.
    pub(super) fn set(small: bool) -> bool {
        disable_transparent_huge_pages(small).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn are_small() -> bool {
        true
    }

    pub(super) fn set(_small: bool) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a process that is started now says of its pages.
    fn pages_of_a_child() -> String {
        let status = Command::new("cat").arg("/proc/self/status").output().expect("cat can be started");
        let text = String::from_utf8(status.stdout).expect("it prints a text");
        text.lines().find(|line| line.starts_with("THP_enabled:")).unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_started_takes_its_pages_as_before() {
        let before = pages_of_a_child();
        take_small_pages();
        assert!(system::are_small());
        assert_eq!(with_usual_pages(pages_of_a_child), before);
        assert!(system::are_small(), "this process goes on as it was");
    }
}
