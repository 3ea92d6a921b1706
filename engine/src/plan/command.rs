//! Commands with their references filled in: for the recipe (names of what no key may hold), and for the process.

use std::collections::BTreeMap;

use tidemill_cache::{Document, DocumentError, Encoder};

use super::inputs::Paths;
use crate::graph::{Action, Piece, RunField, Step};

/// Facts of a run that a command may refer to.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunFacts {
    /// The run's id.
    pub id: String,
    /// The git commit, or nothing.
    pub commit: String,
    /// The start, RFC 3339, UTC.
    pub time: String,
}

/// What references are filled in with.
pub enum Expansion<'a> {
    /// For the recipe: facts of a run and secrets stay names.
    Recipe,
    /// For the process.
    Process {
        /// Facts of the run.
        run: &'a RunFacts,
        /// The values of the secrets by name.
        secrets: &'a BTreeMap<String, String>,
    },
}

impl Expansion<'_> {
    fn run(&self, field: RunField) -> String {
        match (self, field) {
            (Self::Recipe, RunField::Id) => "${run.id}".to_owned(),
            (Self::Recipe, RunField::Commit) => "${run.commit}".to_owned(),
            (Self::Recipe, RunField::Time) => "${run.time}".to_owned(),
            (Self::Process { run, .. }, RunField::Id) => run.id.clone(),
            (Self::Process { run, .. }, RunField::Commit) => run.commit.clone(),
            (Self::Process { run, .. }, RunField::Time) => run.time.clone(),
        }
    }

    fn secret(&self, name: &str) -> String {
        match self {
            Self::Recipe => format!("${{secrets.{name}}}"),
            Self::Process { secrets, .. } => secrets.get(name).cloned().unwrap_or_default(),
        }
    }
}

/// A text with its references filled in; several paths are joined by spaces, quoted for the shell if asked.
#[must_use]
pub fn text(pieces: &[Piece], step: &Step, paths: &Paths, expansion: &Expansion<'_>, quote: bool) -> String {
    let quoted = |text: &str| match quote {
        // Only a NUL byte cannot be quoted, and paths and facts of a run hold none.
        true => shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned),
        false => text.to_owned(),
    };
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Input(name) => {
                let paths = paths.get(name).map_or(&[][..], Vec::as_slice);
                let words: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
                // An absent optional input is an empty word, so that what follows does not take its place.
                out.push_str(&if words.is_empty() { quoted("") } else { words.join(" ") });
            }
            Piece::Output(name) => out.push_str(&quoted(step.outputs[name].path.as_str())),
            Piece::Run(field) => out.push_str(&quoted(&expansion.run(*field))),
            Piece::Secret(name) => out.push_str(&expansion.secret(name)),
        }
    }
    out
}

/// The arguments of a step that runs a command or program; none for a built-in.
#[must_use]
pub fn arguments(step: &Step, paths: &Paths, expansion: &Expansion<'_>) -> Option<Vec<String>> {
    match &step.action {
        Action::Shell(pieces) => {
            let command = text(pieces, step, paths, expansion, true);
            Some(["sh", "-euc"].into_iter().map(String::from).chain([command]).collect())
        }
        Action::Exec(words) => Some(
            words
                .iter()
                .flat_map(|word| match word.as_slice() {
                    [Piece::Input(name)] => paths.get(name).cloned().unwrap_or_default(),
                    pieces => vec![text(pieces, step, paths, expansion, false)],
                })
                .collect(),
        ),
        Action::Builtin { .. } => None,
    }
}

/// Writes what a step does, as its recipe says it.
pub(crate) fn write(step: &Step, paths: &Paths, to: Encoder<'_>) -> Result<(), DocumentError> {
    match &step.action {
        Action::Shell(pieces) => to.map(1, |map| {
            map.member("shell", |to| to.text(&text(pieces, step, paths, &Expansion::Recipe, true)))
        }),
        Action::Exec(_) => to.map(1, |map| {
            let words = arguments(step, paths, &Expansion::Recipe).unwrap_or_default();
            map.member("exec", |to| to.list(words.iter(), |word, to| to.text(word)))
        }),
        Action::Builtin { uses, version, with } => to.map(3, |map| {
            map.member("uses", |to| to.text(uses))?;
            map.member("version", |to| to.document(&Document::Int(i64::from(*version))))?;
            map.member("with", |to| to.document(with))
        }),
    }
}
