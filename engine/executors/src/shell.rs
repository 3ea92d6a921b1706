//! A shell, here or on another host: scripts go in by its standard input, so that no list of processes shows them.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::ExecutorError;

/// Where a shell runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shell {
    /// On this machine.
    Here {
        /// Variables that it gets beside our own.
        variables: BTreeMap<String, String>,
    },
    /// On another one, by the `ssh` of this machine: its settings, keys, agents and jump hosts are used as they are.
    Ssh {
        /// The host, as one gives it to `ssh`.
        host: String,
        /// The file of settings that is used instead of the user's own.
        config: Option<Utf8PathBuf>,
        /// A folder, the user's alone and with a short path, for the sockets of connections that several scripts share. Without one each
        /// script has a connection of its own.
        sockets: Option<Utf8PathBuf>,
    },
}

/// How long a script may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one may take that is given many bytes.
const LIMIT_OF_COPIES: Duration = Duration::from_secs(3600);
/// What `ssh` exits with if it is its own fault. Our scripts do not.
const OWN_FAULT: i32 = 255;

/// What a script printed, and how it exited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Shell {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Here { .. } => "this machine",
            Self::Ssh { host, .. } => host,
        }
    }

    /// Runs a script, as a whole: a line that breaks off in its middle runs nothing of it.
    pub(crate) async fn run(&self, script: &str) -> Result<Printed, ExecutorError> {
        self.converse(self.command(&["-s"]), &[whole(script).as_bytes()], LIMIT).await
    }

    /// Runs a script whose standard input are these bytes. It is no secret.
    pub(crate) async fn feed(&self, script: &str, bytes: &[u8]) -> Result<Printed, ExecutorError> {
        let whole = whole(script);
        // Shells read more of a script than they run, and so do most programs that could read it for them.
        let read = format!(r#"eval "$(dd bs=1 count={} 2>/dev/null)""#, whole.len());
        let read = if matches!(self, Self::Here { .. }) { read } else { format!("'{read}'") };
        self.converse(self.command(&["-c", &read]), &[whole.as_bytes(), bytes], LIMIT_OF_COPIES).await
    }

    async fn converse(
        &self,
        mut command: Command,
        input: &[&[u8]],
        limit: Duration,
    ) -> Result<Printed, ExecutorError> {
        let unreachable =
            |reason: String| ExecutorError::Unreachable { engine: self.name().to_owned(), reason };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let run = async {
            let mut child = command.spawn()?;
            let mut stdin = child.stdin.take().expect("it is piped");
            let write = async move {
                for bytes in input {
                    stdin.write_all(bytes).await?;
                }
                stdin.shutdown().await
            };
            let (written, output) = tokio::join!(write, child.wait_with_output());
            let output = output?;
            // A shell that is not there reads nothing; its exit says more.
            if output.status.success() {
                written?;
            }
            Ok::<_, std::io::Error>(output)
        };
        let output = tokio::time::timeout(limit, run)
            .await
            .map_err(|_| unreachable(format!("no answer in {} seconds", limit.as_secs())))?
            .map_err(|error| unreachable(format!("{}: {error}", self.program())))?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if matches!(self, Self::Ssh { .. }) && output.status.code().is_none_or(|code| code == OWN_FAULT) {
            return Err(unreachable(one_line(&stderr)));
        }
        Ok(Printed { code: output.status.code(), stdout: output.stdout, stderr })
    }

    fn program(&self) -> &'static str {
        match self {
            Self::Here { .. } => "sh",
            Self::Ssh { .. } => "ssh",
        }
    }

    /// The shell, with its arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Here { variables } => command.envs(variables).args(arguments),
            Self::Ssh { host, config, sockets } => {
                if let Some(config) = config {
                    command.args(["-F", config.as_str()]);
                }
                for option in [
                    "BatchMode=yes",
                    "ConnectTimeout=15",
                    "ServerAliveInterval=5",
                    "ServerAliveCountMax=4",
                    "ClearAllForwardings=yes",
                ] {
                    command.args(["-o", option]);
                }
                if let Some(sockets) = sockets {
                    let path = format!("ControlPath={sockets}/%C");
                    command.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", &path]);
                }
                command.args(["--", host, "sh"]).args(arguments)
            }
        };
        command
    }
}

/// A script that is run when all of it is there.
fn whole(script: &str) -> String {
    format!("all() {{\n{script}\n}}\nall\n")
}

/// A text of several lines in one, not too long.
pub(crate) fn one_line(text: &str) -> String {
    let line: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = line.join("; ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "it says nothing".to_owned(),
        None => line,
    }
}

/// A text as one word of the shell.
pub(crate) fn quoted(text: &str) -> Result<String, ExecutorError> {
    shlex::try_quote(text).map(std::borrow::Cow::into_owned).map_err(|_| ExecutorError::Refused {
        engine: "the shell".to_owned(),
        reason: "a command or variable holds a NUL".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Shell {
        Shell::Here { variables: BTreeMap::new() }
    }

    #[tokio::test]
    async fn a_script_is_run_here() {
        let printed = here().run("echo out; echo err >&2; return 3").await.unwrap();
        assert_eq!(
            (printed.code, printed.stdout.as_slice(), printed.stderr.as_str()),
            (Some(3), b"out\n".as_slice(), "err")
        );
    }

    #[tokio::test]
    async fn a_script_reads_what_it_is_given_and_nothing_of_itself() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let printed = here().feed("echo it\\'s; cat", &bytes).await.unwrap();
        assert_eq!(printed.stdout, [b"it's\n".as_slice(), &bytes].concat());
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_told() {
        let shell = Shell::Ssh { host: "no-such-host.invalid".to_owned(), config: None, sockets: None };
        let error = shell.run("true").await.unwrap_err();
        assert!(matches!(error, ExecutorError::Unreachable { .. }), "{error}");
    }
}
