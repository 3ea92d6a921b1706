//! The few calls of this room that the compiler cannot check: signal dispositions, the child between fork and exec, and
//! the wait that tells resource use.
#![expect(
    unsafe_code,
    reason = "neither std nor rustix offers sigaction, wait4 or a safe pre_exec; proofs at each block"
)]

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::command::Status;

/// Signals by which people and systems end programs: the warden ignores them, what it starts does not.
const ENDINGS: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The pipe that wakes the warden's loop, and its writing end for the handler.
static WAKE: OnceLock<PipeWriter> = OnceLock::new();
static WAKE_FD: AtomicI32 = AtomicI32::new(-1);

/// A pipe that becomes readable whenever a child of this process ended.
pub(super) fn child_signals() -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    WAKE_FD.store(WAKE.get_or_init(|| writer).as_raw_fd(), Ordering::SeqCst);
    let handler: extern "C" fn(libc::c_int) = wake;
    disposition(libc::SIGCHLD, handler as libc::sighandler_t)?;
    Ok(reader)
}

/// Makes this process deaf to Ctrl-C, hang-up and termination.
pub(super) fn ignore_endings() -> io::Result<()> {
    ENDINGS.iter().try_for_each(|signal| disposition(*signal, libc::SIG_IGN))
}

/// Keeps what this process has open besides the three streams from its children: whoever started the engine may have
/// left files open for it. A kernel that cannot (before 5.11) leaves them open.
pub(super) fn keep_descriptors() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes three numbers, and changes only a flag of descriptors that matters at exec.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

#[cfg(target_os = "linux")]
use libc::__errno_location as errno_place;
#[cfg(not(target_os = "linux"))]
use libc::__error as errno_place;

/// The handler: writes a byte into the pipe. A full pipe is awake already.
extern "C" fn wake(_signal: libc::c_int) {
    let fd: RawFd = WAKE_FD.load(Ordering::SeqCst);
    // SAFETY: `write` is async-signal-safe; the buffer is a static byte and one byte is written; the file descriptor
    // lives in `WAKE` until the process ends. `errno` is saved and put back, so the interrupted code does not see it.
    unsafe {
        let errno = errno_place();
        let before = *errno;
        libc::write(fd, c"!".as_ptr().cast(), 1);
        *errno = before;
    }
}

/// Sets what a signal does. Async-signal-safe.
fn disposition(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction` (no flags, no restorer), `sigemptyset` gets a valid pointer to its mask,
    // and the handler is SIG_IGN, SIG_DFL or `wake`, which does nothing that is not async-signal-safe.
    let answer = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the calling process the leader of a session of its own that dies with its parent and has the usual signals. Between its
/// birth and its program; it allocates nothing.
pub(super) fn lead(parent: i32) -> io::Result<()> {
    die_with_parent(parent)?;
    rustix::process::setsid()?;
    // What this program ignores must not be ignored by what it starts.
    ENDINGS.iter().chain(&[libc::SIGPIPE]).try_for_each(|signal| disposition(*signal, libc::SIG_DFL))
}

/// Makes a command the leader of a session of its own that dies with its warden and has the usual signals.
#[cfg(not(target_os = "linux"))]
pub(super) fn make_leader(command: &mut std::process::Command, warden: rustix::process::Pid) {
    use std::os::unix::process::CommandExt as _;
    let prepare = move || {
        lead(warden.as_raw_pid())?;
        unblock_signals()
    };
    // SAFETY: the closure runs between fork and exec and only makes system calls (getppid, setsid, sigaction, sigprocmask) that
    // are async-signal-safe; it allocates nothing, takes no lock and owns nothing but a number.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(target_os = "linux")]
fn die_with_parent(parent: i32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // If the parent died before the call above, nobody will send the signal.
    match rustix::process::getppid() {
        Some(present) if present.as_raw_pid() == parent => Ok(()),
        _ => Err(rustix::io::Errno::SRCH.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_parent: i32) -> io::Result<()> {
    Ok(())
}

/// Blocks all signals; those that were blocked before.
#[cfg(target_os = "linux")]
pub(super) fn block_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: a zeroed `sigset_t` is made a valid full set before it is read, and the other is written by the call; both
    // pointers are to live values.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        match libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before) {
            0 => Ok(before),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Blocks these signals and no others. Async-signal-safe.
pub(super) fn set_signals(blocked: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the pointer is to a live, valid set; the call is async-signal-safe.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, blocked, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Blocks no signal. Async-signal-safe.
pub(super) fn unblock_signals() -> io::Result<()> {
    // SAFETY: a zeroed `sigset_t` is made a valid empty set by `sigemptyset`, which is async-signal-safe.
    let none = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        none
    };
    set_signals(&none)
}

/// Waits for the end of a child that is about to end.
#[cfg(target_os = "linux")]
pub(super) fn wait_for(pid: i32) {
    // SAFETY: asks for no status; a child that is none is an error that tells that it is gone.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}

/// A child that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dead {
    pub(super) pid: i32,
    pub(super) status: Status,
    pub(super) user: Duration,
    pub(super) system: Duration,
    pub(super) peak_memory: u64,
}

/// What a look at the children gives.
pub(super) enum Reaped {
    /// One ended, and its process id is free from now on.
    One(Dead),
    /// All children run.
    None,
    /// There is no child.
    Childless,
}

/// Takes the exit of any child that ended, without waiting for one.
pub(super) fn reap() -> Reaped {
    let mut status = 0;
    // SAFETY: all zeros is a valid `rusage`, a struct of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, exclusively borrowed values of the right types.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
    match pid {
        0 => Reaped::None,
        -1 => Reaped::Childless,
        pid => Reaped::One(Dead {
            pid,
            status: if libc::WIFSIGNALED(status) {
                Status::Signal(libc::WTERMSIG(status))
            } else {
                Status::Code(libc::WEXITSTATUS(status))
            },
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(MAXRSS_UNIT),
        }),
    }
}

/// The unit of `ru_maxrss` in bytes.
const MAXRSS_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
