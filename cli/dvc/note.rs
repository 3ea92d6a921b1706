//! What could not be translated, or only in another way: told on the terminal, and kept as a comment in the pipeline.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Note {
    /// The file that it is about, as it was named.
    pub(crate) file: String,
    /// The line there.
    pub(crate) line: u64,
    /// The stage.
    pub(crate) stage: Option<String>,
    /// What it is.
    pub(crate) what: String,
    /// What to do about it, if there is something.
    pub(crate) advice: Option<String>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(stage) = &self.stage {
            write!(f, "{stage}: ")?;
        }
        f.write_str(&self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// Collects notes; what was said is not said again for another combination of a stage.
#[derive(Debug)]
pub(super) struct Notes {
    file: String,
    all: Vec<Note>,
    /// What many stages have in common is said once: files of parameters with their readers, guessed folders.
    params: BTreeMap<String, (u64, Vec<String>)>,
    folders: BTreeMap<String, u64>,
}

impl Notes {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), all: Vec::new(), params: BTreeMap::new(), folders: BTreeMap::new() }
    }

    /// Says something about the whole file.
    pub(super) fn file(&mut self, line: u64, what: impl Into<String>, advice: &str) {
        self.add(line, None, what.into(), advice);
    }

    /// Says something about a stage.
    pub(super) fn stage(&mut self, line: u64, stage: &str, what: impl Into<String>, advice: &str) {
        self.add(line, Some(stage.to_owned()), what.into(), advice);
    }

    fn add(&mut self, line: u64, stage: Option<String>, what: String, advice: &str) {
        let advice = Some(advice.to_owned()).filter(|advice| !advice.is_empty());
        let note = Note { file: self.file.clone(), line, stage, what, advice };
        if !self.all.contains(&note) {
            self.all.push(note);
        }
    }

    /// Says that the script of a stage reads a file of parameters itself.
    pub(super) fn params(&mut self, line: u64, stage: &str, file: &str) {
        let (_, stages) = self.params.entry(file.to_owned()).or_insert((line, Vec::new()));
        if !stages.iter().any(|known| known == stage) {
            stages.push(stage.to_owned());
        }
    }

    /// Says that something is taken for a folder because of its name.
    pub(super) fn folder(&mut self, line: u64, place: &str) {
        self.folders.entry(place.to_owned()).or_insert(line);
    }

    /// All of them, in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Note> {
        let params = std::mem::take(&mut self.params);
        if let Some(line) = params.values().map(|(line, _)| *line).min() {
            let file = |(file, (_, stages)): (&String, &(u64, Vec<String>))| {
                format!("{file} ({})", stages.join(", "))
            };
            let files: Vec<String> = params.iter().map(file).collect();
            let what = format!("scripts read these files of parameters themselves: {}", files.join(", "));
            let advice = "so each change of the file runs all of them again; to let a value count only where it is used, and to \
                          change it with `--set`, put it into [params] and hand it over in the command, as in \
                          `--lr ${params.train.lr}`";
            self.file(line, what, advice);
        }
        if let Some(line) = self.folders.values().min().copied() {
            let folders: Vec<String> = std::mem::take(&mut self.folders).into_keys().collect();
            let what = format!("taken for folders by their names: {}", folders.join(", "));
            self.file(line, what, "leave `kind = \"dir\"` away where that is wrong");
        }
        self.all.sort_by_key(|note| note.line);
        self.all
    }
}
