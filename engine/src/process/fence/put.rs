//! Fences that were made, and how a process puts one around itself.
#![expect(
    unsafe_code,
    reason = "the process that puts up a fence may call nothing but the system; proofs at each block"
)]

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use seccompiler::BpfProgram;

use super::files::Files;
use super::{Fence, network};

/// So many are kept for the commands that come; each attempt of a `strict` step has its own.
const MOST: usize = 8;

/// The fences of the commands that were started last.
#[derive(Debug, Default)]
pub(in crate::process) struct Fences {
    made: Vec<(Fence, Made)>,
}

#[derive(Debug)]
struct Made {
    files: Option<Files>,
    network: Option<BpfProgram>,
}

impl Fences {
    /// The fence, made now unless it was before. It lasts until the next one is asked for.
    ///
    /// # Errors
    /// If the kernel cannot make it.
    pub(in crate::process) fn of(&mut self, fence: &Fence) -> io::Result<Put<'_>> {
        let is_it =
            |(of, made): &(Fence, Made)| of == fence && made.files.as_ref().is_none_or(Files::is_current);
        let made = match self.made.iter().position(is_it) {
            Some(place) => self.made.remove(place),
            None => (fence.clone(), Made::of(fence)?),
        };
        self.made.truncate(MOST - 1);
        self.made.insert(0, made);
        let Made { files, network } = &self.made[0].1;
        Ok(Put { ruleset: files.as_ref().map(|files| files.ruleset.as_raw_fd()), filter: network.as_deref() })
    }
}

impl Made {
    fn of(fence: &Fence) -> io::Result<Self> {
        Ok(Self {
            files: fence.guards_files().then(|| Files::guarded(fence)).transpose()?,
            network: (!fence.network).then(network::filter).transpose()?,
        })
    }
}

/// A fence that is ready to be put up.
#[derive(Debug, Clone, Copy)]
pub(in crate::process) struct Put<'a> {
    ruleset: Option<RawFd>,
    filter: Option<&'a [seccompiler::sock_filter]>,
}

impl Put<'_> {
    /// Puts it around this process, for good. Async-signal-safe: it makes three system calls and allocates nothing.
    pub(in crate::process) fn around_this(&self) -> io::Result<()> {
        // SAFETY: takes numbers, and changes this process alone.
        done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
        if let Some(ruleset) = self.ruleset {
            // SAFETY: takes two numbers; whoever made this keeps the descriptor open meanwhile.
            done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) })?;
        }
        let Some(filter) = self.filter else { return Ok(()) };
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            // Both types are the kernel's: two bytes, two single bytes, four bytes. The kernel only reads it.
            filter: filter.as_ptr().cast_mut().cast(),
        };
        // SAFETY: the pointer is to a live program of as many instructions as it says, which the call copies.
        done(unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        })
    }
}

fn done(answer: libc::c_long) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
