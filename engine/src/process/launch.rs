//! Starting a command: its session, its streams, its environment, and why it could not be started.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};

use super::output::Output;
use super::redact::Redactor;
use super::table::RawPid;
use super::wire::{Fault, Order, Refusal};
use super::{MARKS, sys};

/// A command that runs.
pub(super) struct Launched {
    pub(super) pid: RawPid,
    pub(super) outputs: Vec<Output>,
}

/// Starts a command as the leader of a session of its own.
pub(super) fn launch(order: &Order, mark: &str) -> Result<Launched, Refusal> {
    let refuse = |fault, reason: String| Refusal { fault, program: program(order).to_owned(), reason };
    let machine =
        |what: &str, error: &dyn std::fmt::Display| refuse(Fault::Machine, format!("{what}: {error}"));
    if order.argv.is_empty() {
        return Err(refuse(Fault::Command, "the command is empty".to_owned()));
    }
    let log = open_log(order)
        .map_err(|error| machine(&format!("its log {} cannot be opened", order.log), &error))?;
    let mut outputs = Vec::new();
    let streams = streams(order, log, &mut outputs)
        .map_err(|error| machine("its output cannot be prepared", &error))?;
    let mut command = Command::new(program(order));
    command.args(&order.argv[1..]).current_dir(&order.folder).env_clear().envs(&order.env);
    command.env(MARKS[0], &order.attempt).env(MARKS[1], mark);
    command.stdin(Stdio::null()).stdout(streams.0).stderr(streams.1);
    sys::make_leader(&mut command, rustix::process::getpid());
    let child = command.spawn().map_err(|error| {
        let (fault, reason) = explain(order, &error);
        refuse(fault, reason)
    })?;
    let pid = RawPid::try_from(child.id()).expect("process ids are small positive numbers");
    Ok(Launched { pid, outputs })
}

fn program(order: &Order) -> &str {
    order.argv.first().map_or("", String::as_str)
}

fn open_log(order: &Order) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(&order.log)
}

/// Stdout and stderr. Without secrets both are the log itself, so that it grows while the command runs and keeps their
/// order; with secrets both are one pipe.
fn streams(order: &Order, log: File, outputs: &mut Vec<Output>) -> io::Result<(Stdio, Stdio)> {
    let (out, err) = if order.redact.is_empty() {
        (Stdio::from(log.try_clone()?), Stdio::from(log))
    } else {
        let redactor = Redactor::new(&order.redact).map_err(io::Error::other)?;
        let (output, writer) = Output::redacted(log, redactor)?;
        outputs.push(output);
        (Stdio::from(writer.try_clone()?), Stdio::from(writer))
    };
    if !order.capture {
        return Ok((out, err));
    }
    let (output, writer) = Output::kept()?;
    outputs.push(output);
    Ok((Stdio::from(writer), err))
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
