//! Reading a failed step's log for a file of the project that it looked for and that it had not declared.
//!
//! Only the log's words and the names of files count: a name is proposed if it lies in the pipeline's folder, is nowhere
//! in the step's inputs, and a message near the end of the log says that it was not found, or could not be read.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use tidemill_cache::RelPath;

use crate::name::InputName;

/// The longest line that is read: longer ones are data, not messages.
const LONGEST_LINE: usize = 4096;

/// How programs say that a file is not there, in lower case. What they looked for stands in quotes, or next to it.
const COMPLAINTS: [&str; 10] = [
    "no such file or directory",
    "no such file",
    "permission denied",
    "can't open file",
    "cannot open",
    "could not open",
    "failed to open",
    "unable to open",
    "does not exist",
    NOT_FOUND,
];

/// How a shell says it of programs too.
const NOT_FOUND: &str = "not found";

/// Pairs of quotes in messages.
const QUOTES: [(char, char); 4] = [('\'', '\''), ('"', '"'), ('`', '`'), ('‘', '’')];

/// What the interpreter of a module adds to its name.
const NODE_ENDINGS: [&str; 7] = ["", ".js", ".mjs", ".cjs", ".ts", ".json", "/index.js"];

/// What to declare, in a sentence, if the last lines of a failed step's log say that it looked for a file or folder that
/// lies in the pipeline's folder and is not among the project's files that it declared. `step_folder` is where it ran.
#[must_use]
pub(crate) fn hint(
    log_tail: &[String],
    folder: &Utf8Path,
    step_folder: &Utf8Path,
    declared: &[RelPath],
) -> Option<String> {
    let project = Project { folder, step_folder, declared };
    let lines = log_tail.iter().rev().filter(|line| line.len() <= LONGEST_LINE);
    let found = lines.flat_map(|line| sought(line)).find_map(|sought| project.undeclared(&sought))?;
    let line = line_to_add(&found, found.as_str())?;
    Some(format!(
        "the step looked for `{found}`, which exists in the project but is not declared; add it to the step: {line}"
    ))
}

/// The line that declares a file at this path, as the pipeline file writes it; the input gets its name from the first.
pub(super) fn line_to_add(file: &RelPath, path: &str) -> Option<String> {
    let name = input_name(file)?;
    Some(format!("inputs.{name} = {}", toml::Value::String(path.to_owned())))
}

/// What a line says was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sought {
    /// A path as it was opened.
    Path(String),
    /// A Python module, by its dotted name.
    Python(String),
    /// A module of Node.
    Node(String),
}

/// What a line of a log says was not found; the likeliest first.
fn sought(line: &str) -> Vec<Sought> {
    if let Some((_, rest)) = line.split_once("No module named ") {
        return vec![Sought::Python(rest.trim_matches(['\'', '"', ' ', '.']).to_owned())];
    }
    if let Some((_, rest)) = line.split_once("cannot import name ") {
        return match quoted(rest).as_slice() {
            [name, package, ..] => vec![Sought::Python(format!("{package}.{name}"))],
            _ => Vec::new(),
        };
    }
    if let Some((_, rest)) = line.split_once("Cannot find module ") {
        return quoted(rest).into_iter().take(1).map(Sought::Node).collect();
    }
    // ASCII letters only change, so that places in one are places in the other.
    let lower = line.to_ascii_lowercase();
    let complaint = COMPLAINTS.iter().find_map(|words| Some((lower.find(words)?, *words)));
    let Some((start, words)) = complaint else { return Vec::new() };
    let mut paths = quoted(line);
    paths.extend(beside(&line[..start], &line[start + words.len()..]));
    // A plain word that a shell did not find is a program.
    paths.retain(|path| !path.is_empty() && (words != NOT_FOUND || path.contains(['/', '.'])));
    paths.into_iter().map(Sought::Path).collect()
}

/// All texts in quotes. One after a letter is an apostrophe, as in `can't`.
fn quoted(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in QUOTES {
        let mut rest = line;
        while let Some((before, inside)) = rest.split_once(open) {
            if before.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
                rest = inside;
                continue;
            }
            let Some((text, after)) = inside.split_once(close) else { break };
            found.push(text.to_owned());
            rest = after;
        }
    }
    found
}

/// The texts next to a complaint, as in `cat: x: <complaint>` and `sh: 1: <complaint> x: No such file`.
fn beside(before: &str, after: &str) -> Vec<String> {
    let last = before.trim_end_matches([' ', ':']).rsplit(": ").next().unwrap_or_default();
    let first = after.trim_start_matches([' ', ':']).split(": ").next().unwrap_or_default();
    let mut found = Vec::new();
    for part in [last, first] {
        let part = part.trim().trim_end_matches(':');
        found.push(part.to_owned());
        found.extend(part.split(' ').next_back().map(str::to_owned));
    }
    found
}

/// What a step could have declared and what it did declare.
struct Project<'a> {
    folder: &'a Utf8Path,
    step_folder: &'a Utf8Path,
    declared: &'a [RelPath],
}

impl Project<'_> {
    /// The path of what was looked for, if it exists and is not declared.
    fn undeclared(&self, sought: &Sought) -> Option<RelPath> {
        let names = match sought {
            Sought::Path(path) => self.inside(path).into_iter().chain(self.past(path)).collect(),
            Sought::Node(name) => {
                let name = self.inside(name)?;
                NODE_ENDINGS.iter().map(|ending| format!("{name}{ending}").into()).collect()
            }
            Sought::Python(module) => {
                let path = module.replace('.', "/");
                vec![format!("{path}.py").into(), path.into()]
            }
        };
        self.bases().iter().flat_map(|base| names.iter().map(move |name| base.join(name))).find_map(|path| {
            let path = RelPath::new(plain(&path)?.as_str()).ok()?;
            let known = self.is_declared(&path) || path.as_str().split('/').any(|part| part == ".tidemill");
            (!known && self.folder.join(path.as_str()).exists()).then_some(path)
        })
    }

    /// A path relative to the step's folder; none if it lies elsewhere.
    fn inside(&self, path: &str) -> Option<Utf8PathBuf> {
        let path = Utf8Path::new(path.trim());
        if path.is_absolute() { path.strip_prefix(self.step_folder).ok() } else { Some(path) }
            .map(Utf8Path::to_owned)
    }

    /// A path that leads out of the step's folder to the pipeline's, relative to that.
    fn past(&self, path: &str) -> Option<Utf8PathBuf> {
        let path = self.step_folder.join(path.trim());
        let path = Utf8Path::new("/").join(plain(path.strip_prefix("/").ok()?)?);
        let is_inside = path.starts_with(self.step_folder);
        (!is_inside).then(|| path.strip_prefix(self.folder).ok().map(Utf8Path::to_owned)).flatten()
    }

    /// Where a relative name may begin: the step's folder, and the folders of what it declared.
    fn bases(&self) -> Vec<Utf8PathBuf> {
        let mut bases = vec![Utf8PathBuf::new()];
        for declared in self.declared {
            bases.extend(declared.parent().map(|parent| parent.as_str().into()));
            bases.push(declared.as_str().into());
        }
        bases.dedup();
        bases
    }

    fn is_declared(&self, path: &RelPath) -> bool {
        let path = Utf8Path::new(path.as_str());
        self.declared.iter().any(|declared| path.starts_with(declared.as_str()))
    }
}

/// A relative path without `.` and `..`; none if it is not below its root.
fn plain(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut plain = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::Normal(name) => plain.push(name),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// A name for an input with this file, as a person would choose it.
fn input_name(path: &RelPath) -> Option<InputName> {
    let stem = Utf8Path::new(path.name()).file_stem().unwrap_or_default().to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let name: String = stem.chars().map(|c| if allowed(c) { c } else { '_' }).take(60).collect();
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("_{name}") };
    InputName::new(&name).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: &str = "/state/work/run.1";

    /// A pipeline's folder with these files, and the hint for a log in it.
    fn told(files: &[&str], declared: &[&str], log: &str) -> Option<String> {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(temporary.path()).unwrap();
        for file in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        let declared: Vec<RelPath> = declared.iter().map(|path| RelPath::new(path).unwrap()).collect();
        hint(&lines, folder, STEP.into(), &declared)
    }

    /// The path that is proposed.
    fn proposed(files: &[&str], declared: &[&str], log: &str) -> Option<String> {
        let text = told(files, declared, log)?;
        Some(text.split('`').nth(1).unwrap().to_owned())
    }

    #[test]
    fn a_path_past_the_step_folder_is_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(temporary.path()).unwrap();
        std::fs::create_dir(folder.join("data")).unwrap();
        std::fs::write(folder.join("data/x.csv"), "").unwrap();
        let step = folder.join(".tidemill/work/run.1/folder");
        let told = |path: &str| {
            hint(&[format!("PermissionError: [Errno 13] Permission denied: '{path}'")], folder, &step, &[])
        };
        let named = |hint: Option<String>| hint.is_some_and(|hint| hint.contains("`data/x.csv`"));
        assert!(named(told(folder.join("data/x.csv").as_str())));
        assert!(named(told("../../../../data/x.csv")));
        assert!(named(told("data/x.csv")));
        for path in
            ["../../../data/x.csv", "../../../../../data/x.csv", "/data/x.csv", "../../../../.tidemill/x"]
        {
            assert_eq!(told(path), None, "{path}");
        }
    }

    #[test]
    fn the_hint_says_what_to_write() {
        let log = "Traceback (most recent call last):\n  File \"train.py\", line 1, in <module>\n    import helper\n\
                   ModuleNotFoundError: No module named 'helper'";
        assert_eq!(
            told(&["train.py", "helper.py"], &["train.py"], log).unwrap(),
            "the step looked for `helper.py`, which exists in the project but is not declared; \
             add it to the step: inputs.helper = \"helper.py\""
        );
    }

    #[test]
    fn python_modules_are_files_packages_or_lie_beside_the_code() {
        let no = |module: &str| format!("ModuleNotFoundError: No module named '{module}'");
        let find = |files: &[&str], module: &str| proposed(files, &["code/train.py"], &no(module));
        assert_eq!(find(&["code/helper.py"], "helper").unwrap(), "code/helper.py");
        assert_eq!(find(&["lib/__init__.py"], "lib").unwrap(), "lib");
        assert_eq!(find(&["lib/a.py", "lib/b.py"], "lib.b").unwrap(), "lib/b.py");
        assert_eq!(find(&["helper.py"], "numpy"), None);
        let log = "ImportError: cannot import name 'b' from 'lib' (unknown location)";
        assert_eq!(proposed(&["lib/b.py"], &[], log).unwrap(), "lib/b.py");
        assert_eq!(proposed(&["h.py"], &[], "/usr/bin/python3: No module named h").unwrap(), "h.py");
    }

    #[test]
    fn messages_of_many_programs_are_understood() {
        for log in [
            "FileNotFoundError: [Errno 2] No such file or directory: 'data/x.csv'",
            "FileNotFoundError: [Errno 2] No such file or directory: '/state/work/run.1/data/x.csv'",
            "python3: can't open file '/state/work/run.1/data/x.csv': [Errno 2] No such file or directory",
            "sh: 1: cannot open data/x.csv: No such file",
            "sh: 1: data/x.csv: not found",
            "bash: line 1: ./data/x.csv: No such file or directory",
            "cat: data/x.csv: No such file or directory",
            "ls: cannot access 'data/x.csv': No such file or directory",
            "open data/x.csv: no such file or directory",
            "Error: could not open data/x.csv",
            "  cannot open file 'data/x.csv': No such file or directory",
            "ERROR: SystemError: opening file \"/state/work/run.1/data/x.csv\": No such file or directory",
            "Error: Cannot find module './data/x.csv'",
        ] {
            assert_eq!(proposed(&["data/x.csv"], &["train.py"], log).as_deref(), Some("data/x.csv"), "{log}");
        }
        let log = "Error: Cannot find module './lib/x'\nRequire stack:\n- /state/work/run.1/main.js";
        assert_eq!(proposed(&["lib/x.js"], &["main.js"], log).unwrap(), "lib/x.js");
        let log = "cat: ../shared/x: No such file or directory";
        assert_eq!(proposed(&["shared/x"], &["code/run.sh"], log).unwrap(), "shared/x");
    }

    #[test]
    fn what_is_declared_missing_or_outside_is_not_proposed() {
        let missing = |path: &str| format!("cat: {path}: No such file or directory");
        assert_eq!(proposed(&["x.csv"], &["x.csv"], &missing("x.csv")), None);
        assert_eq!(proposed(&["data/x.csv"], &["data"], &missing("data/x.csv")), None);
        assert_eq!(proposed(&["x.csv"], &[], &missing("y.csv")), None);
        assert_eq!(proposed(&["x.csv"], &[], &missing("/etc/passwd")), None);
        assert_eq!(proposed(&["x.csv"], &[], &missing("../../../../../etc/passwd")), None);
        assert_eq!(proposed(&["x.csv"], &[], &missing(".")), None);
        assert_eq!(proposed(&[".tidemill/x"], &[], &missing(".tidemill/x")), None);
        assert_eq!(proposed(&["make/rules"], &[], "sh: 1: make: not found"), None);
        assert_eq!(proposed(&["x.csv"], &[], "all is well with x.csv"), None);
    }

    #[test]
    fn an_odd_file_gets_a_proper_name() {
        let log = "cat: 'My \\Data 2.csv': No such file or directory";
        let told = told(&["My \\Data 2.csv"], &[], log).unwrap();
        assert!(told.ends_with("inputs.my__data_2 = 'My \\Data 2.csv'"), "{told}");
        assert_eq!(input_name(&RelPath::new("2024.csv").unwrap()).unwrap().as_str(), "_2024");
        assert_eq!(input_name(&RelPath::new("é").unwrap()).unwrap().as_str(), "__");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(words in prop::collection::vec(
            prop::sample::select(vec![
                "'", "‘", "’", "\"", ": ", " ", "..", "/", "é", "\0", "No such file or directory",
                "not found", "No module named ", "cannot import name ", "Cannot find module ", "x", ".",
            ]), 0..12)
        ) {
            let _ = hint(&[words.concat()], "/no/such/folder".into(), STEP.into(), &[]);
        }
    }
}
