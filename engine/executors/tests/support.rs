//! Real engines, started for the tests and gone with them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// An engine that a script of `tests/engines` keeps for as long as its standard input is open.
pub(crate) struct Engine {
    keeper: Child,
    stdin: Option<ChildStdin>,
    /// What it says of itself.
    pub(crate) said: serde_json::Value,
    _folder: tempfile::TempDir,
}

impl Engine {
    /// Starts an engine; what is missing is installed.
    pub(crate) fn start(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tidemill-engine-").tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/engines").join(name);
        let mut keeper = Command::new(script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = keeper.stdin.take();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name} says {line:?}: {error}"));
        Self { keeper, stdin, said, _folder: folder }
    }

    /// One of the things that it says, as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.said[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.said)).to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.keeper.wait();
    }
}
