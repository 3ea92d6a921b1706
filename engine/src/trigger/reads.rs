//! What of the project a pipeline reads: its own file, what sets its parameters, and the declared inputs of its steps; and what lies there
//! at a moment. Two moments are compared by content, so that nothing runs for a file that was only touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::Digest;

use crate::graph::{Graph, Source, glob};
use crate::load::Overrides;
use crate::project::{PROJECT_FILE, Project, STATE_FOLDER};

/// What is left out of folders, in the syntax of `.gitignore`.
const IGNORE_FILE: &str = ".tidemillignore";

/// The files, folders and globs that a pipeline reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Files of which every byte counts: they say what is done.
    texts: BTreeSet<Utf8PathBuf>,
    /// Files and folders that steps read.
    inputs: BTreeSet<Utf8PathBuf>,
    /// Globs, each with the folder that it is relative to.
    globs: BTreeSet<(Utf8PathBuf, String)>,
    /// The folders that they begin in.
    begins: BTreeSet<Utf8PathBuf>,
}

/// What lies there at a moment, by path; a glob by what it finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    contents: BTreeMap<Utf8PathBuf, String>,
}

impl Reads {
    /// What a pipeline file reads before anything is known of its steps: enough to see that its mistakes are mended.
    #[must_use]
    pub fn of_file(project: &Project, file: &Utf8Path, overrides: &Overrides) -> Self {
        let mut texts = BTreeSet::from([
            file.to_owned(),
            project.root().join(PROJECT_FILE),
            project.root().join(IGNORE_FILE),
        ]);
        texts.extend(overrides.params_files.iter().cloned());
        Self { texts, ..Self::default() }
    }

    /// What a pipeline and its steps read.
    #[must_use]
    pub fn of_graph(project: &Project, graph: &Graph, overrides: &Overrides) -> Self {
        let mut reads = Self::of_file(project, &graph.file, overrides);
        graph.globs.iter().for_each(|(pattern, _)| reads.add_glob(&graph.folder, pattern));
        for index in 0..graph.steps.len() {
            for input in graph.steps[index].inputs.values() {
                match &input.source {
                    Source::Project(path) => drop(reads.inputs.insert(path.below(&graph.folder))),
                    Source::Outside(path) => drop(reads.inputs.insert(normal(&graph.folder.join(path)))),
                    Source::Glob(pattern) => reads.add_glob(&graph.folder, pattern),
                    Source::Artifact(..) | Source::Collection(_) | Source::Rival { .. } => {}
                }
            }
        }
        reads
    }

    fn add_glob(&mut self, folder: &Utf8Path, pattern: &str) {
        if self.globs.insert((folder.to_owned(), pattern.to_owned())) {
            self.begins.insert(begin(folder, pattern));
        }
    }

    /// How many files, folders and globs these are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.texts.len() + self.inputs.len() + self.globs.len()
    }

    /// What lies there now. What cannot be read is there in another way than before, until it can.
    #[must_use]
    pub fn look(&self, project: &Project) -> Present {
        let mut contents = BTreeMap::new();
        for path in &self.texts {
            if let Ok(bytes) = fs::read(path) {
                contents.insert(path.clone(), Digest::of(&bytes).to_string());
            }
        }
        let mut look = |path: Utf8PathBuf| {
            let seen = project.cache().look(&path, project.rules());
            let content = match seen {
                Ok(None) => return,
                Ok(Some(seen)) => format!("{} {:?}", seen.artifact.digest, seen.artifact.form),
                Err(error) => format!("it cannot be read: {error}"),
            };
            contents.insert(path, content);
        };
        for (folder, pattern) in &self.globs {
            for path in glob(folder, pattern).unwrap_or_default() {
                look(path.below(folder));
            }
        }
        self.inputs.iter().cloned().for_each(&mut look);
        Present { contents }
    }

    /// Whether something that happened at a path may have changed what is read. Nothing that happens in the state folder does.
    #[must_use]
    pub fn may_be_at(&self, path: &Utf8Path) -> bool {
        if path.components().any(|part| part.as_str() == STATE_FOLDER) {
            return false;
        }
        // What is read, or a folder above it, came or went; or something in a folder that is read.
        let below = |reads: &BTreeSet<Utf8PathBuf>| {
            reads.range(path.to_owned()..).next().is_some_and(|read| read.starts_with(path))
        };
        let above = |reads: &BTreeSet<Utf8PathBuf>| path.ancestors().any(|folder| reads.contains(folder));
        [&self.texts, &self.inputs, &self.begins].into_iter().any(below)
            || [&self.inputs, &self.begins].into_iter().any(above)
    }

    /// What must be watched: folders alone, for a file is often replaced by another one of its name; and whether all below each.
    #[must_use]
    pub fn folders(&self) -> BTreeMap<Utf8PathBuf, bool> {
        let mut folders = BTreeMap::new();
        let mut add = |folder: &Utf8Path, deep: bool| {
            // What is not there yet comes into the nearest folder above that is.
            let there = folder.ancestors().find(|folder| folder.is_dir());
            let is_itself = there == Some(folder);
            if let Some(there) = there {
                *folders.entry(there.to_owned()).or_insert(false) |= deep && is_itself;
            }
        };
        for path in self.texts.iter().chain(&self.inputs).chain(&self.begins) {
            path.parent().into_iter().for_each(|parent| add(parent, false));
        }
        for path in self.inputs.iter().chain(&self.begins) {
            if path.is_dir() {
                add(path, true);
            }
        }
        folders
    }
}

impl Present {
    /// The paths at which something else lies than before, in order.
    #[must_use]
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Utf8Path> {
        let mut changed: BTreeSet<&'a Utf8Path> = BTreeSet::new();
        for (one, other) in [(self, before), (before, self)] {
            let differs =
                |(path, content): &(&Utf8PathBuf, &String)| other.contents.get(*path) != Some(*content);
            changed.extend(one.contents.iter().filter(differs).map(|(path, _)| path.as_path()));
        }
        changed.into_iter().collect()
    }
}

/// The folder that all lies in which a glob may find.
fn begin(folder: &Utf8Path, pattern: &str) -> Utf8PathBuf {
    let mut parts: Vec<&str> = pattern.split('/').collect();
    parts.pop();
    let plain = parts.into_iter().take_while(|part| !part.contains(['*', '?', '[', '{', '\\']));
    plain.fold(folder.to_owned(), |folder, part| folder.join(part))
}

/// A path without `.` and `..`, as the kernel names what happens: links in it are followed where they lead.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for part in path.components() {
        match part.as_str() {
            ".." => drop(normal.pop()),
            "." => {}
            part => normal.push(part),
        }
    }
    path.canonicalize_utf8().unwrap_or(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(folder: &Utf8Path) -> Reads {
        let mut reads = Reads {
            texts: [folder.join("pipeline.toml")].into(),
            inputs: [folder.join("data/rows.csv"), folder.join("images")].into(),
            ..Reads::default()
        };
        reads.add_glob(folder, "months/*.csv");
        reads
    }

    #[test]
    fn what_happens_at_what_is_read_counts() {
        let reads = reads(Utf8Path::new("/p"));
        for path in
            ["/p/pipeline.toml", "/p/data/rows.csv", "/p/images/a/b.png", "/p/months/7.csv", "/p/data", "/p"]
        {
            assert!(reads.may_be_at(Utf8Path::new(path)), "{path}");
        }
        for path in ["/p/data/rows.csv.swp", "/p/out/model", "/p/.tidemill/x", "/p/images/.tidemill/y", "/q"]
        {
            assert!(!reads.may_be_at(Utf8Path::new(path)), "{path}");
        }
    }

    #[test]
    fn folders_are_watched_for_the_files_in_them() {
        let place = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(place.path()).unwrap();
        fs::create_dir(folder.join("images")).unwrap();
        let watched = reads(folder).folders();
        let expected = [(folder.to_owned(), false), (folder.join("images"), true)];
        assert_eq!(watched, expected.clone().into(), "`data` and `months` are not there yet");
        fs::create_dir(folder.join("data")).unwrap();
        fs::create_dir(folder.join("months")).unwrap();
        let more = [(folder.join("data"), false), (folder.join("months"), true)];
        assert_eq!(reads(folder).folders(), expected.into_iter().chain(more).collect());
    }

    #[test]
    fn a_glob_begins_where_it_has_no_wildcard() {
        let begin = |pattern| begin(Utf8Path::new("/p"), pattern);
        assert_eq!(begin("*.csv"), "/p");
        assert_eq!(begin("data/raw/*.csv"), "/p/data/raw");
        assert_eq!(begin("data/**/part-[0-9].csv"), "/p/data");
        assert_eq!(begin("data/rows.csv"), "/p/data");
        assert_eq!(normal(Utf8Path::new("/no/such/../place")), "/no/place");
    }

    #[test]
    fn what_differs_is_named() {
        let present = |pairs: &[(&str, &str)]| Present {
            contents: pairs.iter().map(|(path, content)| ((*path).into(), (*content).to_owned())).collect(),
        };
        let before = present(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let now = present(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(now.changed_since(&before), ["b", "c", "d"]);
        assert!(now.changed_since(&now).is_empty());
    }
}
