//! What changed in the files of an input: which ones, which lines, or only something that is not seen.
//!
//! What a file was comes from the cache, as an artifact or as the copy of an input; what it is from the project or the cache.
//! Where one of both is gone, large or no text, that is said instead.

use std::collections::BTreeMap;
use std::io::Read as _;

use camino::Utf8PathBuf;
use tidemill_cache::{Digest, Form, Kind, Manifest, SMALL};

use super::change::{Change, Difference, Fate, FileChange, Hidden, Part, Version};
use super::compare::{changed, moved};
use super::cosmetic::{Only, only};
use super::phrase::known_as;
use super::words;
use crate::graph::{Graph, Source, Step};
use crate::plan::inputs::{Content, Material};
use crate::project::Project;

/// So many files of an input are listed.
const MOST_FILES: usize = 20;
/// So many lines of a diff are shown, all files of an explanation together.
const MOST_LINES: usize = 200;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The first file: what the short form names.
    First,
    /// All of them, with their lines.
    Lines,
}

/// Where the contents of a step's inputs are found.
pub(crate) struct Look<'a> {
    /// The project.
    pub project: &'a Project,
    /// The graph.
    pub graph: &'a Graph,
    /// The step.
    pub step: &'a Step,
    /// What it would find in its folder.
    pub materials: &'a [Material],
}

/// A file that changed, where its present bytes are if they are no artifact's, and how many there are.
struct Candidate {
    file: FileChange,
    source: Option<Utf8PathBuf>,
    size: u64,
}

impl Look<'_> {
    /// Fills in what can be told of the files behind a change.
    pub(crate) fn inside(&self, change: &mut Change, depth: Depth) {
        if change.part != Part::Input {
            return;
        }
        let input = change.name.clone();
        let Difference::Files { from, files, more } = &mut change.difference else { return };
        *from = self.producer(&input);
        let raw = std::mem::take(files);
        let mut found: Vec<Candidate> =
            raw.into_iter().flat_map(|file| self.at_place(&input, from.as_deref(), file)).collect();
        found.sort_by(|a, b| (a.file.fate, &a.file.path).cmp(&(b.file.fate, &b.file.path)));
        *more = found.len().saturating_sub(MOST_FILES);
        found.truncate(MOST_FILES);
        let mut lines = match depth {
            Depth::First => 0,
            Depth::Lines => MOST_LINES,
        };
        let looked = if depth == Depth::First { 1 } else { MOST_FILES };
        for candidate in found.iter_mut().take(looked) {
            self.text(candidate, &mut lines);
        }
        *files = found.into_iter().map(|candidate| candidate.file).collect();
    }

    /// The output that an input comes from.
    fn producer(&self, input: &str) -> Option<String> {
        let (_, input) = self.step.inputs.iter().find(|(name, _)| name.as_str() == input)?;
        match &input.source {
            Source::Artifact(producer, output) => Some(format!("{}.{output}", self.graph.step(*producer).id)),
            _ => None,
        }
    }

    /// The files behind a place in the step's folder: of a folder those in it.
    fn at_place(&self, input: &str, from: Option<&str>, file: FileChange) -> Vec<Candidate> {
        let material = self
            .materials
            .iter()
            .find(|material| material.input.as_str() == input && material.at.as_str() == file.path);
        let source = material.and_then(|material| match &material.content {
            Content::Project { source, .. } => Some(source.clone()),
            Content::Artifact { .. } => None,
        });
        let name = |at: &str| from.map_or_else(|| known_as(input, at), str::to_owned);
        let shown = match material.map(|material| &material.content) {
            Some(Content::Project { shown, .. }) => shown.clone(),
            _ => name(&file.path),
        };
        let is_folder = |version: &Version| version.form == Form::Folder;
        let (old, new) = (file.old.filter(is_folder), file.new.filter(is_folder));
        let (Some(old), Some(new), Fate::Changed) = (old, new, file.fate) else {
            let moved_from = file.moved_from.as_deref().map(name);
            let size = material.map_or(0, |material| material.content.artifact().size);
            return vec![Candidate { file: FileChange { path: shown, moved_from, ..file }, source, size }];
        };
        let listings = (self.project.cache().listing(&old.digest), self.listing(material, &new.digest));
        let (Some(old), Some(new)) = listings else {
            let file = FileChange { path: shown, hidden: Some(Hidden::NotKept), ..file };
            return vec![Candidate { file, source: None, size: 0 }];
        };
        let entries = changed_entries(&old, &new);
        let size = |path: &str| match new.get(path).map(|entry| &entry.kind) {
            Some(Kind::File { size, .. }) => *size,
            _ => 0,
        };
        let candidate = |file: FileChange| Candidate {
            size: size(&file.path),
            source: source.as_ref().map(|folder| folder.join(&file.path)),
            file: FileChange {
                path: format!("{shown}/{}", file.path),
                moved_from: file.moved_from.as_ref().map(|from| format!("{shown}/{from}")),
                ..file
            },
        };
        entries.into_iter().map(candidate).collect()
    }

    fn listing(&self, material: Option<&Material>, digest: &Digest) -> Option<Manifest> {
        match material.map(|material| &material.content) {
            Some(Content::Project { seen, .. }) => seen.manifest.clone(),
            _ => self.project.cache().listing(digest),
        }
    }

    /// Compares the text of a file with what it was, and takes what it shows from the lines that may be shown.
    fn text(&self, candidate: &mut Candidate, lines: &mut usize) {
        let Candidate { file, source, size } = candidate;
        let (Some(old), Some(new), Fate::Changed) = (file.old, file.new, file.fate) else { return };
        if file.hidden.is_some() || [old.form, new.form].contains(&Form::Folder) {
            return;
        }
        let bit = (old.form != new.form).then_some(Only::ExecutableBit { now: new.form == Form::Executable });
        if old.digest == new.digest {
            file.only.extend(bit);
            return;
        }
        if *size > SMALL {
            file.hidden = Some(Hidden::Large);
            return;
        }
        let present = self.present(source.as_ref(), &new.digest);
        let before = self.project.cache().small_content(&old.digest);
        let (old, new) = match (before.as_deref().map(text_of), present.as_deref().map(text_of)) {
            (Some(Some(old)), Some(Some(new))) => (old, new),
            (Some(None), _) | (_, Some(None)) => return file.hidden = Some(Hidden::Binary),
            (None, _) | (_, None) => return file.hidden = Some(Hidden::NotKept),
        };
        file.only = only(old, new);
        if !file.only.is_empty() {
            file.only.extend(bit);
        } else if *lines > 0 {
            let diff = words::lines(old, new);
            let (shown, left) = cut(&diff, *lines);
            *lines = left;
            file.diff = Some(shown);
        }
    }

    /// The present bytes of a file, if there are few.
    fn present(&self, source: Option<&Utf8PathBuf>, digest: &Digest) -> Option<Vec<u8>> {
        let read = |path: &Utf8PathBuf| {
            let mut bytes = Vec::new();
            std::fs::File::open(path).ok()?.take(SMALL + 1).read_to_end(&mut bytes).ok()?;
            (Digest::of(&bytes) == *digest).then_some(bytes)
        };
        source.and_then(read).or_else(|| self.project.cache().small_content(digest))
    }
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The first lines of a diff, and how many lines may still be shown.
fn cut(diff: &str, most: usize) -> (String, usize) {
    let count = diff.lines().count();
    if count <= most {
        return (diff.to_owned(), most - count);
    }
    let shown: Vec<&str> = diff.lines().take(most).collect();
    (format!("{}\n… and {} more lines\n", shown.join("\n"), count - most), 0)
}

/// The entries of two listings that are not the same.
fn changed_entries(old: &Manifest, new: &Manifest) -> Vec<FileChange> {
    fn versions(manifest: &Manifest) -> BTreeMap<&str, Version> {
        manifest.entries().iter().map(|entry| (entry.path.as_str(), version(&entry.kind))).collect()
    }
    moved(changed(&versions(old), &versions(new)))
}

/// What an entry is. An empty folder has no content, a link has its target.
fn version(kind: &Kind) -> Version {
    match kind {
        Kind::File { executable, digest, .. } => {
            Version { form: if *executable { Form::Executable } else { Form::File }, digest: *digest }
        }
        Kind::Folder => Version { form: Form::Folder, digest: Digest::of(b"") },
        Kind::Link { target } => Version { form: Form::File, digest: Digest::of(target.as_bytes()) },
    }
}
