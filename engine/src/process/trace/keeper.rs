//! What of a command's reads is worth telling: files of the user's that it was not given and did not make itself.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Reads, Trace};

/// So many files are told; a command that reads more of what it was not given has another kind of problem.
const MOST: usize = 10_000;

/// Folders in which an installation has its programs.
const PROGRAMS: [&str; 3] = ["bin", "sbin", "shims"];

/// Where Python keeps what it compiled, and what it compiled from lies beside.
const COMPILED: &str = "__pycache__";

/// What is known of a command's reads.
#[derive(Debug)]
pub(super) struct Keeper {
    project: Vec<PathBuf>,
    home: Option<PathBuf>,
    system: Vec<PathBuf>,
    /// What is not told, and what lies below it.
    passed: HashSet<PathBuf>,
    /// What the command made itself.
    made: HashSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    complete: bool,
}

impl Keeper {
    pub(super) fn new(trace: &Trace) -> Self {
        let paths = |paths: &[camino::Utf8PathBuf]| -> Vec<PathBuf> {
            paths.iter().map(|path| path.as_std_path().to_owned()).collect()
        };
        Self {
            project: paths(&trace.project),
            // Everything lies below the root.
            home: trace
                .home
                .as_ref()
                .map(|home| home.as_std_path().to_owned())
                .filter(|home| home.parent().is_some()),
            system: paths(&trace.system),
            passed: paths(&trace.passed).into_iter().collect(),
            made: HashSet::new(),
            files: BTreeSet::new(),
            complete: true,
        }
    }

    /// Whether this path, which may go through links, names something of the system: then there is no need to look.
    pub(super) fn is_system(&self, path: &Path) -> bool {
        let below = |folder: &PathBuf| path.starts_with(folder);
        self.system.iter().any(below) && !self.own().any(below)
    }

    /// Whether a file is worth telling.
    pub(super) fn is_told(&self, path: &Path) -> bool {
        !self.is_system(path) && !path.ancestors().any(|above| self.passed.contains(above))
    }

    /// It was read. What Python compiled stands for what it was compiled from, if that is there.
    pub(super) fn read(&mut self, path: &Path) {
        let source = source(path).filter(|source| source.is_file());
        let path = source.as_deref().unwrap_or(path);
        if !self.is_told(path) || self.made.contains(path) || self.files.contains(path) {
            return;
        }
        if self.files.len() < MOST {
            self.files.insert(path.to_owned());
        } else {
            self.complete = false;
        }
    }

    /// It was made, or emptied, by the command.
    pub(super) fn made(&mut self, path: &Path) {
        if self.is_told(path) && !self.files.contains(path) && self.made.len() < MOST {
            self.made.insert(path.to_owned());
        }
    }

    /// A program was started: what is installed together with it is not told either.
    pub(super) fn executed(&mut self, path: &Path) {
        if self.installation(path).is_none() {
            return self.read(path);
        }
        self.executed_by_link(path);
    }

    /// A program was started by a link in another installation, as that of a Python environment.
    pub(super) fn executed_by_link(&mut self, link: &Path) {
        if let Some(installation) = self.installation(link) {
            self.passed.insert(installation.to_owned());
        }
    }

    /// Something was opened and cannot be told.
    pub(super) fn missed(&mut self) {
        self.complete = false;
    }

    /// The folder in which this program and what belongs to it is installed. The project's own folders are no installations, nor
    /// are those that hold the project or the home.
    fn installation<'a>(&self, program: &'a Path) -> Option<&'a Path> {
        let folder = program.parent().filter(|folder| {
            folder.file_name().is_some_and(|name| PROGRAMS.iter().any(|program| name == *program))
        })?;
        let above = folder.parent()?;
        if self.project.iter().any(|project| program.starts_with(project)) {
            return None;
        }
        let holds_more = self.own().any(|own| own.starts_with(above));
        Some(if holds_more { folder } else { above })
    }

    fn own(&self) -> impl Iterator<Item = &PathBuf> {
        self.project.iter().chain(&self.home)
    }

    pub(super) fn reads(self) -> Reads {
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        Reads { files: self.files.iter().map(shown).collect(), complete: self.complete }
    }
}

/// What a file of compiled Python was compiled from: `__pycache__/name.cpython-312.pyc` from `name.py`.
fn source(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| folder.file_name() == Some(OsStr::new(COMPILED)))?;
    let name = path.file_name()?.as_bytes();
    let stem = name.split(|byte| *byte == b'.').next().filter(|_| name.ends_with(b".pyc"))?;
    Some(folder.parent()?.join(OsStr::from_bytes(stem)).with_extension("py"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper() -> Keeper {
        Keeper::new(&Trace {
            project: vec!["/home/ada/flats".into()],
            home: Some("/home/ada".into()),
            system: vec!["/usr".into(), "/var".into()],
            passed: vec!["/home/ada/flats/.tidemill/work/1".into(), "/home/ada/flats/train.py".into()],
        })
    }

    fn told(keeper: Keeper) -> Vec<String> {
        let reads = keeper.reads();
        assert!(reads.complete);
        reads.files
    }

    #[test]
    fn files_of_the_user_are_told_and_the_system_is_not() {
        let mut keeper = keeper();
        for path in [
            "/usr/lib/libc.so",
            "/var/lib/x",
            "/home/ada/flats/.tidemill/work/1/folder/a",
            "/home/ada/flats/train.py",
            "/home/ada/flats/b.csv",
            "/home/ada/.config/x",
            "/data/set.csv",
            "/data/set.csv",
        ] {
            keeper.read(Path::new(path));
        }
        assert_eq!(told(keeper), ["/data/set.csv", "/home/ada/.config/x", "/home/ada/flats/b.csv"]);
    }

    #[test]
    fn a_home_or_a_project_in_the_system_is_the_users() {
        let trace = Trace {
            project: vec!["/opt/flats".into()],
            home: Some("/var/lib/runner".into()),
            system: vec!["/opt".into(), "/var".into()],
            passed: Vec::new(),
        };
        let mut keeper = Keeper::new(&trace);
        for path in ["/opt/tool/x", "/opt/flats/a", "/var/lib/runner/b", "/var/lib/other"] {
            keeper.read(Path::new(path));
        }
        assert_eq!(told(keeper), ["/opt/flats/a", "/var/lib/runner/b"]);
        // A home that is no place at all makes nothing the user's.
        let mut keeper = Keeper::new(&Trace { home: Some("/".into()), ..trace });
        keeper.read(Path::new("/var/lib/runner/b"));
        assert!(told(keeper).is_empty());
    }

    #[test]
    fn what_a_command_made_itself_is_not_told() {
        let mut keeper = keeper();
        keeper.made(Path::new("/home/ada/.cache/fonts"));
        keeper.read(Path::new("/home/ada/.cache/fonts"));
        // It had been read before.
        keeper.read(Path::new("/home/ada/counter"));
        keeper.made(Path::new("/home/ada/counter"));
        assert_eq!(told(keeper), ["/home/ada/counter"]);
    }

    #[test]
    fn an_interpreter_brings_its_installation() {
        let mut keeper = keeper();
        for program in ["/home/ada/.pyenv/versions/3.13/bin/python", "/home/ada/bin/tool", "/home/ada/run.sh"]
        {
            keeper.executed(Path::new(program));
        }
        keeper.executed(Path::new("/home/ada/flats/tools/bin/sort"));
        for path in [
            "/home/ada/.pyenv/versions/3.13/lib/os.py",
            "/home/ada/bin/helper",
            "/home/ada/lib",
            "/home/ada/flats/tools/lib/x",
        ] {
            keeper.read(Path::new(path));
        }
        let expected = ["/home/ada/flats/tools/bin/sort", "/home/ada/flats/tools/lib/x", "/home/ada/lib"];
        assert_eq!(told(keeper), [expected.as_slice(), &["/home/ada/run.sh"]].concat());
    }

    #[test]
    fn compiled_python_stands_for_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("helper.py");
        std::fs::write(&source, "").unwrap();
        let mut keeper = keeper();
        for name in ["helper.cpython-312.pyc", "gone.cpython-312.pyc"] {
            keeper.read(&folder.path().join(COMPILED).join(name));
        }
        let gone = folder.path().join("__pycache__/gone.cpython-312.pyc");
        assert_eq!(told(keeper), [gone.to_str().unwrap(), source.to_str().unwrap()]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut keeper = keeper();
        (0..=MOST).for_each(|number| keeper.read(Path::new(&format!("/data/{number}"))));
        let reads = keeper.reads();
        assert_eq!((reads.files.len(), reads.complete), (MOST, false));
    }
}
