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
    /// The folders that they begin in, and whether they may find something below those too.
    begins: BTreeMap<Utf8PathBuf, bool>,
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
        let mut reads = Self { texts, ..Self::default() };
        // A matrix over files that are not there yet is a mistake until the first one comes.
        if let (Ok(text), Some(folder)) = (fs::read_to_string(file), file.parent()) {
            globs_of_axes(&text).iter().for_each(|glob| reads.add_glob(folder, glob));
        }
        reads
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
            let (begin, deep) = begin(folder, pattern);
            *self.begins.entry(begin).or_insert(false) |= deep;
        }
    }

    /// What must be looked at to see pipelines come, go and change: their files, and where others may come.
    #[must_use]
    pub(super) fn of_pipelines(
        root: &Utf8Path,
        files: impl Iterator<Item = Utf8PathBuf>,
        globs: &[String],
    ) -> Self {
        let mut reads = Self { texts: files.collect(), ..Self::default() };
        reads.texts.insert(root.join(PROJECT_FILE));
        globs.iter().for_each(|glob| reads.add_glob(root, glob));
        reads
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
        let below = |read: Option<&Utf8PathBuf>| read.is_some_and(|read| read.starts_with(path));
        let from = || path.to_owned()..;
        let (texts, inputs) = (self.texts.range(from()).next(), self.inputs.range(from()).next());
        let begins = self.begins.range(from()).next().map(|(begin, _)| begin);
        let in_input = || path.ancestors().any(|folder| self.inputs.contains(folder));
        let in_glob = || {
            path.ancestors()
                .enumerate()
                .any(|(depth, folder)| self.begins.get(folder).is_some_and(|deep| *deep || depth <= 1))
        };
        below(texts) || below(inputs) || below(begins) || in_input() || in_glob()
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
        for path in self.texts.iter().chain(&self.inputs).chain(self.begins.keys()) {
            path.parent().into_iter().for_each(|parent| add(parent, false));
        }
        let inputs = self.inputs.iter().map(|path| (path, &true));
        for (path, deep) in inputs.chain(&self.begins) {
            if path.is_dir() {
                add(path, *deep);
            }
        }
        folders
    }
}

impl Present {
    /// The digest of all that lies there, or of that only whose path is wanted.
    #[must_use]
    pub fn digest(&self, wanted: impl Fn(&Utf8Path) -> bool) -> Digest {
        let mut bytes = Vec::new();
        for (path, content) in self.contents.iter().filter(|(path, _)| wanted(path)) {
            for part in [path.as_str(), content] {
                bytes.extend((part.len() as u64).to_le_bytes());
                bytes.extend(part.as_bytes());
            }
        }
        Digest::of(&bytes)
    }

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

/// The globs of matrix axes in the text of a pipeline, as far as it can be read and they are plain.
fn globs_of_axes(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let tables = |value: Option<&toml::Value>| -> Vec<toml::Value> {
        value
            .and_then(toml::Value::as_table)
            .map(|table| table.values().cloned().collect())
            .unwrap_or_default()
    };
    let axes = tables(table.get("steps")).into_iter().flat_map(|step| tables(step.get("matrix")));
    let globs = axes.filter_map(|axis| axis.get("glob")?.as_str().map(str::to_owned));
    globs.filter(|glob| !glob.contains("${")).collect()
}

/// The folder that all lies in which a glob may find, and whether some of it may lie below that folder's own folders.
fn begin(folder: &Utf8Path, pattern: &str) -> (Utf8PathBuf, bool) {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
    let mut parts: Vec<&str> = pattern.split('/').collect();
    let last = parts.pop().unwrap_or_default();
    let plain: Vec<&str> = parts.iter().copied().take_while(is_plain).collect();
    // Braces may hold a `/`, which parts them.
    let deep = plain.len() < parts.len() || last.contains("**");
    (plain.into_iter().fold(folder.to_owned(), |folder, part| folder.join(part)), deep)
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
        for path in [
            "/p/pipeline.toml",
            "/p/data/rows.csv",
            "/p/images/a/b.png",
            "/p/months/7.csv",
            "/p/months",
            "/p/data",
            "/p",
        ] {
            assert!(reads.may_be_at(Utf8Path::new(path)), "{path}");
        }
        for path in [
            "/p/data/rows.csv.swp",
            "/p/out/model",
            "/p/.tidemill/x",
            "/p/images/.tidemill/y",
            "/p/months/a/7.csv",
            "/q",
        ] {
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
        let more = [(folder.join("data"), false), (folder.join("months"), false)];
        assert_eq!(reads(folder).folders(), expected.into_iter().chain(more).collect());
    }

    #[test]
    fn a_glob_begins_where_it_has_no_wildcard() {
        for (pattern, folder, deep) in [
            ("*.csv", "/p", false),
            ("data/raw/*.csv", "/p/data/raw", false),
            ("data/**/part-[0-9].csv", "/p/data", true),
            ("data/*/rows.csv", "/p/data", true),
            ("data/{a,b/c}.csv", "/p/data", true),
            ("data/**", "/p/data", true),
            ("data/rows.csv", "/p/data", false),
        ] {
            assert_eq!(begin(Utf8Path::new("/p"), pattern), (folder.into(), deep), "{pattern}");
        }
        assert_eq!(normal(Utf8Path::new("/no/such/../place")), "/no/place");
    }

    #[test]
    fn the_globs_of_axes_are_found_also_while_they_match_nothing() {
        let text = "[steps.a]\nmatrix = { file = { glob = 'data/*.csv' }, n = [1] }\n[steps.b.matrix.x]\nglob = '${params.g}'";
        assert_eq!(globs_of_axes(text), ["data/*.csv"]);
        assert!(globs_of_axes("steps = 1").is_empty() && globs_of_axes("[").is_empty());
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
