//! Starting a command: its session, its streams, its environment, and why it could not be started.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::MARKS;
use super::output::Output;
use super::redact::Redactor;
use super::start::{self, Failed, Shell, Start};
use super::table::RawPid;
use super::wire::{Fault, Order, Refusal};

#[cfg(target_os = "linux")]
const FENCE: &str = "what it may reach cannot be limited";
#[cfg(target_os = "linux")]
const TRACE: &str = "what it reads cannot be watched";

/// A command that runs.
pub(super) struct Launched {
    pub(super) pid: RawPid,
    pub(super) outputs: Vec<Output>,
    #[cfg(target_os = "linux")]
    pub(super) watcher: Option<super::trace::Watcher>,
}

/// What is kept from one command to the next.
#[derive(Debug)]
pub(super) struct Launcher {
    /// Every command's standard input.
    nothing: File,
    shell: Shell,
    #[cfg(target_os = "linux")]
    fences: super::fence::Fences,
    /// The warden's mark.
    mark: String,
}

impl Launcher {
    /// # Errors
    /// If there is no empty file to read from.
    pub(super) fn new(mark: String) -> io::Result<Self> {
        Ok(Self {
            nothing: File::open("/dev/null")?,
            shell: Shell::default(),
            #[cfg(target_os = "linux")]
            fences: Default::default(),
            mark,
        })
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Starts a command as the leader of a session of its own.
    pub(super) fn launch(&mut self, order: &Order) -> Result<Launched, Refusal> {
        let refuse = |fault, reason: String| Refusal { fault, program: program(order).to_owned(), reason };
        let machine =
            |what: &str, error: &dyn std::fmt::Display| refuse(Fault::Machine, format!("{what}: {error}"));
        if order.argv.is_empty() {
            return Err(refuse(Fault::Command, "the command is empty".to_owned()));
        }
        let log = open_log(order)
            .map_err(|error| machine(&format!("its log {} cannot be opened", order.log), &error))?;
        let streams =
            streams(order, log).map_err(|error| machine("its output cannot be prepared", &error))?;
        let marks = [(MARKS[0], order.attempt.as_str()), (MARKS[1], self.mark.as_str())];
        let given = order.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = given.filter(|(name, _)| marks.iter().all(|(mark, _)| mark != name));
        #[cfg(target_os = "linux")]
        let fence = match order.fence.as_ref().map(|fence| self.fences.of(fence)).transpose() {
            Ok(fence) => fence,
            Err(error) => return Err(machine(FENCE, &error)),
        };
        #[cfg(target_os = "linux")]
        let beginning = match order.trace.as_ref().map(super::trace::Beginning::of).transpose() {
            Ok(beginning) => beginning,
            Err(error) => return Err(machine(TRACE, &error)),
        };
        let start = Start {
            argv: &order.argv,
            env: given.chain(marks).collect(),
            folder: order.folder.as_str(),
            streams: [self.nothing.as_fd(), streams.stdout(), streams.stderr.as_fd()],
            #[cfg(target_os = "linux")]
            fence,
            #[cfg(target_os = "linux")]
            asks: beginning.as_ref().map(super::trace::Beginning::asks),
        };
        let pid = start::start(&start, &mut self.shell).map_err(|failed| match failed {
            #[cfg(target_os = "linux")]
            Failed::Fence(error) => machine(FENCE, &error),
            #[cfg(target_os = "linux")]
            Failed::Trace(error) => machine(TRACE, &error),
            Failed::Command(error) => {
                let (fault, reason) = explain(order, &error);
                refuse(fault, reason)
            }
        })?;
        Ok(Launched {
            pid,
            outputs: streams.outputs,
            #[cfg(target_os = "linux")]
            watcher: beginning.map(super::trace::Beginning::done),
        })
    }
}

fn program(order: &Order) -> &str {
    order.argv.first().map_or("", String::as_str)
}

fn open_log(order: &Order) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(&order.log)
}

/// Where a command writes. Without secrets both streams are the log itself, so that it grows while the command runs and keeps
/// their order; with secrets both are one pipe.
struct Streams {
    /// Only if it is another one than stderr.
    stdout: Option<OwnedFd>,
    stderr: OwnedFd,
    outputs: Vec<Output>,
}

impl Streams {
    fn stdout(&self) -> BorrowedFd<'_> {
        self.stdout.as_ref().unwrap_or(&self.stderr).as_fd()
    }
}

fn streams(order: &Order, log: File) -> io::Result<Streams> {
    let mut outputs = Vec::new();
    let stderr = if order.redact.is_empty() {
        log.into()
    } else {
        let redactor = Redactor::new(&order.redact).map_err(io::Error::other)?;
        let (output, writer) = Output::redacted(log, redactor)?;
        outputs.push(output);
        writer.into()
    };
    let stdout = if order.capture {
        let (output, writer) = Output::kept()?;
        outputs.push(output);
        Some(writer.into())
    } else {
        None
    };
    Ok(Streams { stdout, stderr, outputs })
}

/// Why a command could not be executed, in words: the system's own do not say what was not found.
fn explain(order: &Order, error: &io::Error) -> (Fault, String) {
    let program = program(order);
    let reason = match error.kind() {
        ErrorKind::NotFound if !order.folder.is_dir() => {
            return (Fault::Machine, format!("its folder {} does not exist", order.folder));
        }
        ErrorKind::NotFound if !program.contains('/') => "no such program in PATH".to_owned(),
        ErrorKind::NotFound if order.folder.join(program).exists() => {
            "it is there, but the interpreter that its first line names is not".to_owned()
        }
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied if program.contains('/') && order.folder.join(program).is_dir() => {
            "it is a folder".to_owned()
        }
        ErrorKind::PermissionDenied => "it is not executable, or its folder may not be entered".to_owned(),
        ErrorKind::ArgumentListTooLong => {
            "its arguments and variables are too long for this system".to_owned()
        }
        ErrorKind::InvalidInput => "an argument or a variable holds a NUL byte".to_owned(),
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ExecutableFileBusy => {
            return (Fault::Machine, error.to_string());
        }
        _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            return (Fault::Machine, error.to_string());
        }
        _ => error.to_string(),
    };
    (Fault::Command, reason)
}
