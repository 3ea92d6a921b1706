//! Real engines, started for the tests and gone with them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An engine that a script of `tests/engines` keeps for as long as its standard input is open.
pub(crate) struct Engine {
    keeper: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// What it says of itself.
    pub(crate) said: serde_json::Value,
    folder: tempfile::TempDir,
}

impl Engine {
    /// Starts an engine; what is missing is installed.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts an engine with other settings than its script's.
    pub(crate) fn start_with(name: &str, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("tidemill-engine-").tempdir().unwrap();
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut scripts = above.map(|folder| folder.join("tests/engines").join(name));
        let script = scripts.find(|script| script.exists()).unwrap();
        let mut keeper = Command::new(script)
            .arg(folder.path())
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = keeper.stdin.take();
        let mut stdout = BufReader::new(keeper.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let said =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name} says {line:?}: {error}"));
        Self { keeper, stdin, stdout, said, folder }
    }

    /// Has something done to it, and waits until it is done.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{order}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        assert!(answer.starts_with('{'), "{order}: {answer:?}");
    }

    /// A folder that goes with it.
    pub(crate) fn folder(&self) -> camino::Utf8PathBuf {
        camino::Utf8PathBuf::from_path_buf(self.folder.path().to_owned()).unwrap()
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
