//! `tidemill run --detach`: the same command once more, as a process of its own that outlives the terminal.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tidemill_engine::Project;
use tidemill_engine::name::RunId;
use tidemill_engine::record::History;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// What is said to this process only: how its answer looks.
const OWN: [&str; 4] = ["--detach", "--json", "-q", "--quiet"];
/// How often it is looked whether the run has begun.
const OFTEN: Duration = Duration::from_millis(20);

/// Starts this command in the background, and waits until its run has begun.
pub(crate) fn start(context: &Context, project: &Project) -> Result<Exit, CliError> {
    let run = RunId::generate(jiff::Timestamp::now());
    let folder = project.state().join("detached");
    fs::create_dir_all(&folder).map_err(CliError::file("make", &folder))?;
    let said = folder.join(format!("{run}.log"));
    let log = File::create(&said).map_err(CliError::file("write", &said))?;
    let again = log.try_clone().map_err(CliError::file("write", &said))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| !OWN.iter().any(|own| argument == own));
    let mut command = Command::new(project.program());
    command.args(arguments).args(["--output", "plain", "--as-run", run.as_str()]);
    command.stdin(Stdio::null()).stdout(log).stderr(again);
    command.process_group(0);
    let mut child = command
        .spawn()
        .map_err(|source| CliError::NotStarted { program: project.program().to_string(), source })?;
    let history = History::below(project.state());
    let mut follower = history.follow(&run);
    loop {
        if !follower.more()?.is_empty() {
            break;
        }
        // It may also have begun and ended in between: then its journal is there, and is seen above.
        if let Some(status) = child.try_wait().map_err(CliError::file("watch", &said))?
            && follower.more()?.is_empty()
        {
            let text = fs::read_to_string(&said).unwrap_or_default();
            fs::remove_file(&said).ok();
            context.ui.tell(&text);
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(Exit::Infrastructure, Exit::Of));
        }
        std::thread::sleep(OFTEN);
    }
    context.ui.result(&json!({ "run": run, "log": said }), || {
        format!("run {run} goes on in the background\n`tidemill attach {run}` watches it, `tidemill cancel {run}` stops it\n")
    })?;
    Ok(Exit::Done)
}
