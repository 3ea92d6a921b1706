//! What differs between two recipes: one [`Change`] per field, as data. `phrase` has the words.

use serde::Serialize;
use tidemill_cache::{Digest, Form};

use super::cosmetic::Only;
use crate::Value;

/// A field of a recipe that differs from an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The part of the recipe.
    pub part: Part,
    /// Which of its members: the parameter, the input, the package; empty where a part has no members.
    pub name: String,
    /// What is different.
    #[serde(flatten)]
    pub difference: Difference,
}

/// A part of a recipe, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The value of a parameter that the step refers to.
    Parameter,
    /// What it reads.
    Input,
    /// What kind of thing it does: a shell command, a program, a built-in step.
    Action,
    /// The words of its command.
    Command,
    /// A value of a built-in step's `with`, by dotted name.
    With,
    /// The version of a built-in step's interface.
    Interface,
    /// A variable of `env` or `pass_env`.
    Variable,
    /// An output, or a field of one.
    Output,
    /// What its fingerprint command printed.
    Fingerprint,
    /// The program of a declared tool.
    Tool,
    /// The Python that the command starts with.
    Python,
    /// A distribution that is installed for that Python.
    Package,
    /// Operating system, architecture, C library.
    Platform,
    /// The layout of recipes.
    Layout,
    /// Something that this version does not know.
    Other,
}

/// How a field differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Difference {
    /// A value became another one; none: it was, or is, not there.
    Value {
        /// Before.
        old: Option<Value>,
        /// Now.
        new: Option<Value>,
    },
    /// Files changed.
    Files {
        /// The step's output that they come from, such as `clean.words`.
        from: Option<String>,
        /// The files, the most telling first.
        files: Vec<FileChange>,
        /// How many more there are.
        more: usize,
    },
    /// Words of a command changed; none if only its spacing or quoting did.
    Words {
        /// The words.
        words: Vec<WordChange>,
        /// The lines, if it has several.
        diff: Option<String>,
    },
}

/// A file, or a folder of which no more is known, that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileChange {
    /// As the pipeline's folder names it; of an artifact `step.output`, and the path in it.
    pub path: String,
    /// What became of it.
    pub fate: Fate,
    /// Where it was, if it only lies elsewhere now.
    pub moved_from: Option<String>,
    /// If the text is the same but for something that most people do not see: that.
    pub only: Vec<Only>,
    /// What it was.
    pub old: Option<Version>,
    /// What it is.
    pub new: Option<Version>,
    /// What changed in it, line by line, as a unified diff.
    pub diff: Option<String>,
    /// Why there is no diff, or no list of files.
    pub hidden: Option<Hidden>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Its content is another one.
    Changed,
    /// It is there now and was not before.
    New,
    /// It was there before and is not now.
    Gone,
    /// It has another name.
    Moved,
}

/// Why no more can be told of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// It is larger than what is compared line by line.
    Large,
    /// It is no text.
    Binary,
    /// What it was is not kept any more.
    NotKept,
}

/// What lay at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Version {
    /// File, executable file or folder.
    pub form: Form,
    /// Its digest.
    pub digest: Digest,
}

/// A word of a command that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WordChange {
    /// The word before it.
    pub before: Option<String>,
    /// What stood there.
    pub old: Option<String>,
    /// What stands there.
    pub new: Option<String>,
    /// The word after it.
    pub after: Option<String>,
}

impl Change {
    /// A value that became another one.
    pub(super) fn value(part: Part, name: impl Into<String>, old: Option<Value>, new: Option<Value>) -> Self {
        Self { part, name: name.into(), difference: Difference::Value { old, new } }
    }

    /// How telling it is, the most first: what is referred to for the first time, or no longer, follows from an edit elsewhere.
    pub(super) fn rank(&self) -> (Part, bool) {
        match (&self.part, &self.difference) {
            (Part::Parameter, Difference::Value { old: None, .. } | Difference::Value { new: None, .. }) => {
                (Part::Interface, true)
            }
            (part, Difference::Value { old: None, .. } | Difference::Value { new: None, .. }) => {
                (*part, true)
            }
            (part, _) => (*part, false),
        }
    }
}

impl FileChange {
    /// A file that was this and is that; one of both is something.
    pub(super) fn new(path: impl Into<String>, old: Option<Version>, new: Option<Version>) -> Self {
        let fate = match (&old, &new) {
            (None, _) => Fate::New,
            (_, None) => Fate::Gone,
            _ => Fate::Changed,
        };
        Self {
            path: path.into(),
            fate,
            moved_from: None,
            only: Vec::new(),
            old,
            new,
            diff: None,
            hidden: None,
        }
    }
}
