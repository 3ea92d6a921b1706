//! The door to a process that takes the terminal over: it inherits the three streams, and this one waits for its end.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use camino::Utf8Path;
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process};
use tidemill_engine::process::Fence;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CliError;
use crate::runtime;

/// Runs a program with these variables and no others, in this fence, and gives its exit code; 128 and the signal's number if a signal ended it.
///
/// Ctrl-C is for the program, which decides what it means; SIGTERM and SIGHUP are passed on to it.
pub(crate) fn run(
    argv: &[String],
    variables: &BTreeMap<String, String>,
    folder: &Utf8Path,
    fence: Option<&Fence>,
) -> Result<u8, CliError> {
    // The umask of every step.
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let status = runtime::block_on(attend(argv, variables, folder, fence))??;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Starts the program and waits for its end.
async fn attend(
    argv: &[String],
    variables: &BTreeMap<String, String>,
    folder: &Utf8Path,
    fence: Option<&Fence>,
) -> Result<ExitStatus, CliError> {
    let listen =
        |kind| signal(kind).map_err(|source| CliError::Setup { action: "listen to signals", source });
    // What is listened to does not end this process; the program starts without that.
    let _keyboard = [listen(SignalKind::interrupt())?, listen(SignalKind::quit())?];
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let mut child = start(argv, variables, folder, fence)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    loop {
        tokio::select! {
            status = &mut ended => {
                let status = status.expect("waiting for a process does not panic");
                return status.map_err(|source| CliError::Setup { action: "wait for the command", source });
            }
            _ = terminate.recv() => pass_on(pid, Signal::TERM),
            _ = hang_up.recv() => pass_on(pid, Signal::HUP),
        }
    }
}

fn start(
    argv: &[String],
    variables: &BTreeMap<String, String>,
    folder: &Utf8Path,
    fence: Option<&Fence>,
) -> Result<Child, CliError> {
    let (program, arguments) = argv.split_first().map_or(("", argv), |(first, rest)| (first.as_str(), rest));
    let spawn = || {
        let mut command = Command::new(program);
        let started = command.args(arguments).current_dir(folder).env_clear().envs(variables).spawn();
        started.map_err(|source| CliError::NotStarted { program: program.to_owned(), source })
    };
    let Some(fence) = fence else { return spawn() };
    // A thread of its own puts the fence around itself and what it starts; this process stays outside.
    let fenced = || {
        let refused = |source| CliError::Setup { action: "limit what the command may reach", source };
        fence.around_this_thread().map_err(refused)?;
        spawn()
    };
    let started = std::thread::scope(|scope| scope.spawn(fenced).join());
    started.expect("starting a process does not panic")
}

fn pass_on(pid: Option<Pid>, signal: Signal) {
    if let Some(pid) = pid {
        // It may have ended by itself.
        kill_process(pid, signal).ok();
    }
}
