//! Starts a receiver written in Python and reads what it says, line by line. The stories start the same ones.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver as Channel};
use std::time::Duration;

use serde_json::Value;

/// How long it may take until it says something, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The receivers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// A mail server.
    Mail,
    /// Who takes webhooks.
    Webhook,
    /// Who takes `CloudEvents`.
    Events,
}

/// A receiver. It ends with this value: its input is closed.
pub(crate) struct Receiver {
    child: Child,
    lines: Channel<Value>,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Receiver {
    /// Starts one and waits until it listens.
    pub(crate) fn start(script: Script, mode: &[&str], options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = match script {
            Script::Mail => include_str!("smtp_server.py"),
            Script::Webhook => include_str!("webhook_receiver.py"),
            Script::Events => include_str!("event_receiver.py"),
        };
        let path = folder.path().join("receiver.py");
        std::fs::write(&path, text).unwrap();
        let mut child = Command::new(python())
            .arg(path)
            .args(mode)
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        // Ends with the output. Read at once, lest the receiver waits for its reader and we for the receiver.
        std::thread::spawn(move || {
            let lines = output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
            lines.for_each(|line| drop(said.send(line)));
        });
        let mut receiver = Self { child, lines, folder, port: 0 };
        receiver.port = u16::try_from(receiver.line()["port"].as_u64().unwrap()).unwrap();
        receiver
    }

    /// The next thing it says; waits for it.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("the receiver says something")
    }

    /// All that it said and that nobody has read, when it is over.
    pub(crate) fn rest(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        self.lines.iter().collect()
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The Python of the environment that receivers run in, which `tests/setup` makes where it is missing.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let setup = folders.map(|folder| folder.join("tests/setup")).find(|setup| setup.exists());
        let output = Command::new(setup.unwrap()).arg("receivers").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "there is no Python for receivers: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
