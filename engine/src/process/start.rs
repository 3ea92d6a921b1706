//! Starting a process as the leader of a session of its own, on Linux without copying the memory of the one that starts it.
//!
//! Between the two of them, `fork` and `exec` copy and drop the page tables of the whole program, which was a third of what a tiny
//! step cost beside its own processes. So the child shares the memory of its parent, which stands still until the child is another program:
//! what `vfork` and `posix_spawn` do, of which neither can give it the death signal that it needs.

use std::os::fd::BorrowedFd;

/// A process to start.
pub(super) struct Start<'a> {
    /// The program and its arguments; the first is looked up in the `PATH` of the variables if it has no slash.
    pub(super) argv: &'a [String],
    /// All its variables.
    pub(super) env: Vec<(&'a str, &'a str)>,
    /// Where it works (absolute).
    pub(super) folder: &'a str,
    /// Its standard streams, none of which has the number of one here.
    pub(super) streams: [BorrowedFd<'a>; 3],
    /// What it may reach.
    #[cfg(target_os = "linux")]
    pub(super) fence: Option<super::fence::Put<'a>>,
    /// How it is watched.
    #[cfg(target_os = "linux")]
    pub(super) asks: Option<super::trace::Asks<'a>>,
}

/// Why a process was not started.
pub(super) enum Failed {
    /// The program cannot be executed, or the system has no more processes.
    Command(std::io::Error),
    /// The fence cannot be put up.
    #[cfg(target_os = "linux")]
    Fence(std::io::Error),
    /// It cannot be watched.
    #[cfg(target_os = "linux")]
    Trace(std::io::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Command(error)
    }
}

/// The program that runs nearly all commands.
const SHELL_NAME: &str = "sh";

/// Where the shell was found last: each command would look for it in every folder of `PATH` again, at the time that the place
/// of the one before stands empty.
#[derive(Debug, Default)]
pub(super) struct Shell {
    /// For this `PATH`.
    path: String,
    place: Option<String>,
}

impl Shell {
    /// Where it is, if that is known for this `PATH`.
    fn known(&self, program: &str, path: &str) -> Option<&String> {
        self.place.as_ref().filter(|_| program == SHELL_NAME && self.path == path)
    }

    fn note(&mut self, program: &str, path: &str, place: &str) {
        if program == SHELL_NAME && self.known(program, path).is_none_or(|known| known != place) {
            *self = Self { path: path.to_owned(), place: Some(place.to_owned()) };
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(
        unsafe_code,
        reason = "no library starts a process with a death signal and without fork; proofs at each block"
    )]

    use std::ffi::{CString, c_char, c_int, c_void};
    use std::io;
    use std::os::fd::{AsRawFd as _, RawFd};

    use super::{Failed, Shell, Start};
    use crate::process::fence::Put;
    use crate::process::sys;
    use crate::process::table::RawPid;
    use crate::process::trace::Asks;

    /// Where programs are looked for if the variables name no `PATH`: what `execvp` of the C library does.
    const USUAL: &str = "/bin:/usr/bin";
    /// The shell that runs a text file without a first line that names one, as `execvp` does.
    const SHELL: &std::ffi::CStr = c"/bin/sh";
    /// The stack of the child, in words of sixteen bytes: its function calls the system and itself nothing deep.
    const STACK: usize = 4096;

    /// What the child needs, made before it lives: it may allocate nothing.
    struct Child<'a> {
        /// Each place where the program may be.
        programs: Vec<*const c_char>,
        /// A free place for a shell, then the arguments, then null.
        argv: Vec<*const c_char>,
        env: Vec<*const c_char>,
        folder: *const c_char,
        streams: [RawFd; 3],
        fence: Option<Put<'a>>,
        asks: Option<Asks<'a>>,
        parent: c_int,
        /// Which of the programs was tried last.
        tried: usize,
        /// What it does now, to tell what failed.
        stage: Stage,
        /// The number of the error that kept it from becoming the program.
        error: c_int,
    }

    enum Stage {
        /// What every command's process does.
        Usual,
        /// It puts up its fence.
        Fence,
        /// It has itself watched.
        Trace,
    }

    /// Starts it; the process.
    pub(in crate::process) fn start(wanted: &Start<'_>, shell: &mut Shell) -> Result<RawPid, Failed> {
        let text = |text: &str| CString::new(text).map_err(io::Error::from);
        let argv: Vec<CString> = wanted.argv.iter().map(|word| text(word)).collect::<io::Result<_>>()?;
        let env: Vec<CString> = wanted
            .env
            .iter()
            .map(|(name, value)| text(&format!("{name}={value}")))
            .collect::<io::Result<_>>()?;
        let places = places(wanted, shell);
        let programs: Vec<CString> = places.iter().map(|path| text(path)).collect::<io::Result<_>>()?;
        let folder = text(wanted.folder)?;
        let ended = |texts: &[CString]| -> Vec<*const c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let mut child = Child {
            programs: programs.iter().map(|path| path.as_ptr()).collect(),
            argv: [std::ptr::null()].into_iter().chain(ended(&argv)).collect(),
            env: ended(&env),
            folder: folder.as_ptr(),
            streams: std::array::from_fn(|stream| wanted.streams[stream].as_raw_fd()),
            fence: wanted.fence,
            asks: wanted.asks,
            parent: rustix::process::getpid().as_raw_pid(),
            tried: 0,
            stage: Stage::Usual,
            error: 0,
        };
        let mut stack: Vec<u128> = Vec::with_capacity(STACK);
        let before = sys::block_signals()?;
        // SAFETY: the stack is `STACK` aligned words that live until the child has left them, since with CLONE_VFORK this
        // thread stands still until the child has become another program or ended; for the same reason `child`, and all
        // texts that it points to, outlive it and are not used by both at once. Its pointer is the only one to `child`
        // meanwhile. The stack grows downwards, so it begins at its end, which is aligned to sixteen bytes. No signal
        // handler runs in the child, for all signals are blocked until it has called the last function of its own.
        let pid = unsafe {
            libc::clone(
                become_program,
                stack.as_mut_ptr().add(STACK).cast::<c_void>(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                (&raw mut child).cast::<c_void>(),
            )
        };
        let failed = io::Error::last_os_error();
        sys::set_signals(&before)?;
        if pid < 0 {
            return Err(failed.into());
        }
        if child.error != 0 {
            sys::wait_for(pid);
            let error = io::Error::from_raw_os_error(child.error);
            return Err(match child.stage {
                Stage::Usual => Failed::Command(error),
                Stage::Fence => Failed::Fence(error),
                Stage::Trace => Failed::Trace(error),
            });
        }
        if let (Some(program), Some(place)) = (wanted.argv.first(), places.get(child.tried)) {
            shell.note(program, search_path(wanted), place);
        }
        Ok(pid)
    }

    /// Where programs are looked for.
    fn search_path<'a>(wanted: &'a Start<'_>) -> &'a str {
        wanted.env.iter().rev().find(|(name, _)| *name == "PATH").map_or(USUAL, |(_, path)| path)
    }

    /// The paths at which the program may be, in order.
    fn places(wanted: &Start<'_>, shell: &Shell) -> Vec<String> {
        let Some(program) = wanted.argv.first() else { return Vec::new() };
        if program.contains('/') {
            return vec![program.clone()];
        }
        let path = search_path(wanted);
        let below = |folder: &str| match folder {
            "" => program.clone(),
            folder => format!("{folder}/{program}"),
        };
        shell.known(program, path).cloned().into_iter().chain(path.split(':').map(below)).collect()
    }

    /// The child: it becomes the program, or notes why it could not.
    extern "C" fn become_program(child: *mut c_void) -> c_int {
        // SAFETY: the pointer is the one to the `Child` that `start` made, which outlives this process and is used by nobody
        // else meanwhile.
        let child = unsafe { &mut *child.cast::<Child<'_>>() };
        let error = match prepare(child) {
            Ok(()) => execute(child),
            Err(error) => error,
        };
        child.error = error.raw_os_error().unwrap_or(libc::EINVAL);
        // SAFETY: ends this process at once: it runs nothing that the program registered to be run at its end.
        unsafe { libc::_exit(127) }
    }

    fn prepare(child: &mut Child<'_>) -> io::Result<()> {
        sys::lead(child.parent)?;
        for (stream, source) in (0..).zip(child.streams) {
            // SAFETY: takes two numbers; the descriptors of this process are a copy.
            if unsafe { libc::dup2(source, stream) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the text ends with a zero byte and lives as long as `child`.
        if unsafe { libc::chdir(child.folder) } < 0 {
            return Err(io::Error::last_os_error());
        }
        sys::unblock_signals()?;
        if let Some(fence) = &child.fence {
            child.stage = Stage::Fence;
            fence.around_this()?;
        }
        if let Some(asks) = &child.asks {
            // Another thread of its parent answers: this one's stands still.
            child.stage = Stage::Trace;
            asks.begin()?;
        }
        child.stage = Stage::Usual;
        Ok(())
    }

    /// As `execvp` of the C library: the first place where something is that can be executed.
    fn execute(child: &mut Child<'_>) -> io::Error {
        let mut denied = None;
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for place in 0..child.programs.len() {
            let program = child.programs[place];
            child.tried = place;
            // SAFETY: program, arguments and variables are texts that end with a zero byte, in lists that end with null, and
            // live as long as `child`. The arguments begin after the free place.
            unsafe { libc::execve(program, child.argv.as_ptr().add(1), child.env.as_ptr()) };
            last = io::Error::last_os_error();
            match last.raw_os_error() {
                Some(libc::ENOEXEC) => {
                    child.argv[0] = SHELL.as_ptr();
                    child.argv[1] = program;
                    // SAFETY: as above; the free place holds the shell now.
                    unsafe { libc::execve(SHELL.as_ptr(), child.argv.as_ptr(), child.env.as_ptr()) };
                    return io::Error::last_os_error();
                }
                Some(libc::EACCES) => denied = Some(libc::EACCES),
                Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {}
                _ => return last,
            }
        }
        denied.map_or(last, io::Error::from_raw_os_error)
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::start;

/// Starts it; the process.
#[cfg(not(target_os = "linux"))]
pub(super) fn start(wanted: &Start<'_>, _shell: &mut Shell) -> Result<super::table::RawPid, Failed> {
    use std::io;
    use std::process::Command;
    let (program, arguments) =
        wanted.argv.split_first().ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(wanted.folder).env_clear().envs(wanted.env.iter().copied());
    let [stdin, stdout, stderr] = &wanted.streams;
    let own = |stream: &BorrowedFd<'_>| stream.try_clone_to_owned();
    command.stdin(own(stdin)?).stdout(own(stdout)?).stderr(own(stderr)?);
    super::sys::make_leader(&mut command, rustix::process::getpid());
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(|error| io::Error::other(error).into())
}
