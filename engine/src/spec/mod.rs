//! From text to a checked pipeline: every mistake of the file is found, and told with its place.
//!
//! This room knows one file at a time, and nothing of how steps are expanded, planned or run.

mod builtin;
mod code;
mod diagnostic;
mod duplicate;
mod executor;
mod field;
mod input;
mod later;
mod manual;
mod model;
mod notify;
mod output;
mod params;
mod parts;
mod read;
mod reference;
mod retries;
mod schema;
mod shape;
mod shell;
mod source;
mod step;
mod syntax;
mod template;
mod told;
mod tree;
mod trigger;
mod value;

use camino::{Utf8Path, Utf8PathBuf};

pub use code::Code;
pub use diagnostic::{Diagnostic, Diagnostics, Label, Report};
pub use manual::{Example, Explained, code_named, explained};
pub use notify::{News, Notify, To};
pub use schema::{schema, schema_for};

pub(crate) use crate::suggest::nearest;
pub(crate) use diagnostic::Problems;
pub(crate) use model::{
    ActionSpec, ArtifactSpec, AxisSpec, AxisValues, Filling, FillingKind, InputSpec, OnSpec, Placed,
    SourceSpec, Spec, StepSpec, TriggerSpec, WebhookSpec,
};
#[cfg(test)]
pub(crate) use notify::NAMES;
pub(crate) use notify::read_notify;
pub(crate) use read::{LARGEST, read};
pub(crate) use shape::is_variable;
pub(crate) use shell::quote;
pub(crate) use template::{Malformed, Name, Part, Piece, RunWord, Template, split};
pub(crate) use tree::{Node, Span, inside, single_value};
pub(crate) use value::{from_json, noun, text};

use crate::executors::Executors;
use crate::interface::Catalog;
use crate::suggest;

/// What is to be read.
#[derive(Clone, Copy)]
pub struct LoadRequest<'a> {
    /// The pipeline file (absolute).
    pub file: &'a Utf8Path,
    /// Its text.
    pub text: &'a str,
    /// Parameters from the command line: names and values as they were typed. They win over files.
    pub set: &'a [(String, String)],
    /// Files of parameters, TOML or JSON by their extension, with their text; later ones win.
    pub params_files: &'a [(Utf8PathBuf, String)],
    /// The built-in steps.
    pub catalog: &'a dyn Catalog,
    /// Where steps may run beside this machine.
    pub executors: &'a Executors,
}
