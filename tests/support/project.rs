//! A project in a closed world: a folder of its own, a home of its own, no variable but PATH, no colour, no git.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use regex::Regex;

use super::{Answer, Started, Terminal};

/// A project and the world around it. Both go away with it.
pub(crate) struct Project {
    base: Arc<tempfile::TempDir>,
    /// The name of the project's folder.
    name: String,
    variables: BTreeMap<String, String>,
}

impl Project {
    /// An empty project.
    pub(crate) fn new() -> Self {
        Self::in_folder("project")
    }

    /// An empty project in a folder of this name.
    pub(crate) fn in_folder(name: &str) -> Self {
        let base = tempfile::Builder::new().prefix("tidemill-story-").tempdir().unwrap();
        for folder in [name, "home", "outside", "counts"] {
            fs::create_dir(base.path().join(folder)).unwrap();
        }
        Self { base: Arc::new(base), name: name.to_owned(), variables: BTreeMap::new() }
    }

    /// Another checkout of this project, in a folder of this name beside it: its files without its state, and its variables.
    pub(crate) fn checkout(&self, name: &str) -> Self {
        let other =
            Self { base: self.base.clone(), name: name.to_owned(), variables: self.variables.clone() };
        fs::create_dir(other.root()).unwrap();
        for (path, bytes) in self.files("") {
            other.file(path.to_str().unwrap(), bytes);
        }
        other
    }

    /// A project with this `pipeline.toml`; see [`Project::pipeline`].
    pub(crate) fn with(text: &str) -> Self {
        let project = Self::new();
        project.pipeline(text);
        project
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> PathBuf {
        // The product shows paths without links.
        self.base.path().canonicalize().unwrap().join(&self.name)
    }

    /// A path in the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// A path beside the project, where steps leave traces that are no outputs.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.base.path().canonicalize().unwrap().join("outside").join(path)
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.path(".tidemill")
    }

    /// Writes a file of the project, with its folders.
    pub(crate) fn file(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        write(&self.path(path), text.as_ref());
        self
    }

    /// Writes a file beside the project.
    pub(crate) fn outside_file(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        write(&self.outside(path), text.as_ref());
        self
    }

    /// Writes `pipeline.toml`. `COUNT(step)` in it becomes a command that counts an execution, `OUTSIDE` the folder beside the
    /// project, and a file without a `[pipeline]` table gets one.
    pub(crate) fn pipeline(&self, text: &str) -> &Self {
        self.pipeline_file("pipeline.toml", text)
    }

    /// The same under another name.
    pub(crate) fn pipeline_file(&self, path: &str, text: &str) -> &Self {
        let counts = self.base.path().canonicalize().unwrap().join("counts");
        let count = format!("printf x >> {}/$name", counts.display());
        let text = Regex::new(r"COUNT\((?<name>[a-z0-9_-]+)\)").unwrap().replace_all(text, count);
        let text = text.replace("OUTSIDE", self.outside("").to_str().unwrap().trim_end_matches('/'));
        let head = if text.contains("[pipeline]") { "" } else { "[pipeline]\nname = \"story\"\n\n" };
        self.file(path, format!("{head}{text}"))
    }

    /// Changes a file of the project by replacing a text that it must contain.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) -> &Self {
        let text = self.read(path);
        assert!(text.contains(old), "{path} does not contain {old:?}:\n{text}");
        self.file(path, text.replace(old, new))
    }

    /// A file of the project as text.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        match fs::read(self.path(path)) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Whether there is something at a path of the project.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Sets a variable for all commands that follow.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Where its commands look for programs.
    pub(crate) fn path_variable(&self) -> String {
        self.variables.get("PATH").cloned().unwrap_or_else(|| std::env::var("PATH").unwrap())
    }

    /// Unsets a variable for all commands that follow.
    pub(crate) fn without_variable(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// The command `tidemill` with these arguments, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str], folder: &Path) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_tidemill"), arguments, folder)
    }

    fn command_of(&self, program: &str, arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.base.path().join("home"))
            .env("NO_COLOR", "1")
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What `tidemill` answers to these arguments.
    pub(crate) fn tidemill(&self, arguments: &[&str]) -> Answer {
        self.tidemill_in("", arguments)
    }

    /// What it answers in a folder of the project.
    pub(crate) fn tidemill_in(&self, folder: &str, arguments: &[&str]) -> Answer {
        let output = self.command(arguments, &self.path(folder)).output().unwrap();
        self.answer(arguments, &output)
    }

    /// Starts `tidemill` in a process group of its own and does not wait for its answer.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        self.start_program(env!("CARGO_BIN_EXE_tidemill"), arguments)
    }

    /// The same with a program that starts `tidemill` in its turn.
    pub(crate) fn start_program(&self, program: &str, arguments: &[&str]) -> Started {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.command_of(program, arguments, &self.root());
        let child = command.process_group(0).spawn().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Started::new(child, arguments)
    }

    /// Starts `tidemill` at a terminal of this many columns and rows.
    pub(crate) fn terminal(&self, arguments: &[&str], columns: u16, rows: u16) -> Terminal {
        let mut command = self.command(arguments, &self.root());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(&self.variables);
        Terminal::start(command, columns, rows)
    }

    /// The answer of what was started.
    pub(crate) fn answer_of(&self, started: Started) -> Answer {
        let (arguments, output) = started.output();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.answer(&arguments, &output)
    }

    fn answer(&self, arguments: &[&str], output: &std::process::Output) -> Answer {
        let base = self.base.path().canonicalize().unwrap();
        let places = vec![
            (self.root(), "[project]"),
            (base.join("home"), "[home]"),
            (base.join("outside"), "[outside]"),
            (base, "[world]"),
            (env!("CARGO_BIN_EXE_tidemill").into(), "[program]"),
        ];
        Answer::new(format!("tidemill {}", arguments.join(" ")), output, places)
    }

    /// Runs the pipeline with these further arguments; its result is JSON.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.tidemill(&[&["run", "--json"], arguments].concat())
    }

    /// Runs the pipeline, which must succeed and execute this many steps.
    #[track_caller]
    pub(crate) fn run_executes(&self, count: u64) -> Answer {
        self.run(&[]).ok().executed(count)
    }

    /// How often each step was executed, such as `clean 1, train 2`.
    pub(crate) fn counts(&self) -> String {
        let counts = self.base.path().join("counts");
        let of = |name: &String| fs::metadata(counts.join(name)).unwrap().len();
        let counted: Vec<String> =
            names_in(&counts).iter().map(|name| format!("{name} {}", of(name))).collect();
        counted.join(", ")
    }

    /// All files below a folder of the project with their bytes, the state folder left out.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = self.path(folder);
        let mut files = BTreeMap::new();
        for path in files_below(&folder) {
            let name = path.strip_prefix(&folder).unwrap().to_owned();
            if !name.starts_with(".tidemill") {
                files.insert(name, fs::read(path).unwrap());
            }
        }
        files
    }

    /// All files of the state folder whose path there begins with this.
    pub(crate) fn state_files(&self, beginning: &str) -> Vec<PathBuf> {
        let state = self.state();
        let mut files = files_below(&state);
        files.retain(|path| path.strip_prefix(&state).unwrap().to_str().unwrap().starts_with(beginning));
        files
    }

    /// The blob in the cache that has this content.
    #[track_caller]
    pub(crate) fn blob(&self, content: &str) -> PathBuf {
        let mut blobs = self.state_files("objects/");
        blobs.retain(|path| fs::read(path).is_ok_and(|bytes| bytes == content.as_bytes()));
        assert_eq!(blobs.len(), 1, "blobs with the content {content:?}: {blobs:?}");
        blobs.remove(0)
    }

    /// The only entry below `.tidemill/displaced/<run>/` with this path in the project.
    #[track_caller]
    pub(crate) fn displaced(&self, path: &str) -> String {
        let mut found = self.state_files("displaced/");
        found.retain(|displaced| displaced.ends_with(path));
        assert_eq!(found.len(), 1, "displaced files {path}: {found:?}");
        fs::read_to_string(&found[0]).unwrap()
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The names in a folder, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let listing = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a folder; links are not followed.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What ends while it is looked at is not there.
        let Ok(listing) = fs::read_dir(&folder) else { continue };
        for entry in listing.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}
