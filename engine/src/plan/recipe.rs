//! The recipe: the one document that lists everything that determines a step's outputs. Its bytes are hashed into the key,
//! kept under it, compared by `explain`, and later read by a remote worker, so that these can never disagree.
//!
//! | ingredient | in the key? | why |
//! |---|---|---|
//! | expanded command, or a built-in's name, interface version and `with` | in | it is what runs |
//! | each input's name, place and digest | in | it is what is read |
//! | values of referred parameters | in | they may be read through the command or `with` |
//! | `env` and `pass_env` values | in | the process sees them |
//! | names of secrets, where `env` refers to them | in; values out | a rotated token must not rebuild the world |
//! | each output's name, place, kind, optional | in | they decide what is captured |
//! | identity of declared tools and of a leading Python | in | they do the work |
//! | the fingerprint's output | in | it stands for state that no file shows |
//! | OS, architecture, C library | in | programs behave by them |
//! | a nonce for `cache = false` | no key is looked up at all | such a step always runs |
//! | Tidemill's version, paths, times, hosts, users, PATH, HOME | out | any machine's result serves all |
//! | publish, gate, when, needs, description | out | they do not change the bytes |
//! | resources, executor, retries, timeout, sandbox | out | they decide whether it ends, not with what |

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, Document, Key};

use super::command::{self, Expansion};
use super::inputs::{Content, Material, Paths, ResolvedInput};
use super::observe::Observation;
use crate::error::EngineError;
use crate::graph::Step;
use crate::name::InputName;
use crate::project::Project;

/// The version of the recipe's layout.
const LAYOUT: i64 = 1;

/// A step whose inputs are all known.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The key.
    pub key: Key,
    /// What the key is the hash of, in its canonical bytes: as a document it takes ten times the memory.
    pub recipe: Box<[u8]>,
    /// What to place in the step's folder.
    pub materials: Vec<Material>,
    /// What the command sees of its inputs.
    pub paths: Paths,
}

impl Resolved {
    /// The recipe as a document.
    #[must_use]
    pub fn document(&self) -> Document {
        Document::decode(&self.recipe).expect("the bytes were encoded from a document")
    }

    /// The files and folders of the project that the key was computed from.
    #[must_use]
    pub fn reads(&self) -> Vec<(Utf8PathBuf, Artifact)> {
        let read = |material: &Material| match &material.content {
            Content::Project { source, seen, .. } => Some((source.clone(), seen.artifact.clone())),
            Content::Artifact { .. } => None,
        };
        self.materials.iter().filter_map(read).collect()
    }
}

/// Builds the recipe of a step and its key.
///
/// # Errors
/// If a part has no canonical form.
pub(crate) fn build(
    project: &Project,
    step: &Step,
    inputs: BTreeMap<InputName, ResolvedInput>,
    observation: &Observation,
) -> Result<Resolved, EngineError> {
    let mut entries = BTreeMap::new();
    let mut paths = Paths::new();
    let mut materials = Vec::new();
    for (name, input) in inputs {
        entries.insert(name.to_string(), input.identity());
        paths.insert(name, input.paths);
        materials.extend(input.materials);
    }
    let recipe = Document::map([
        ("layout", Document::Int(LAYOUT)),
        ("command", command::document(step, &paths)),
        ("inputs", Document::Map(entries)),
        ("params", Document::Map(params(step))),
        ("env", environment(project, step, &paths)),
        ("outputs", outputs(step)),
        ("tools", Document::Map(observation.tools.clone())),
        ("python", observation.python.clone().unwrap_or(Document::Null)),
        ("fingerprint", observation.fingerprint.clone().map_or(Document::Null, Document::Text)),
        ("platform", platform()),
    ]);
    let bytes =
        recipe.encode().map_err(|source| EngineError::Document { step: step.id.to_string(), source })?;
    Ok(Resolved { key: Key::of_recipe(&bytes), recipe: bytes.into(), materials, paths })
}

fn params(step: &Step) -> BTreeMap<String, Document> {
    step.params.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn environment(project: &Project, step: &Step, paths: &Paths) -> Document {
    let mut variables: BTreeMap<String, Document> = step
        .env
        .iter()
        .map(|(name, pieces)| {
            (name.clone(), Document::text(command::text(pieces, step, paths, &Expansion::Recipe, false)))
        })
        .collect();
    for name in &step.pass_env {
        let value = project.variable(name).map_or(Document::Null, Document::text);
        variables.entry(name.clone()).or_insert(value);
    }
    Document::Map(variables)
}

fn outputs(step: &Step) -> Document {
    Document::map(step.outputs.iter().map(|(name, output)| {
        let output = Document::map([
            ("path", Document::text(output.path.as_str())),
            ("kind", Document::text(output.kind.word())),
            ("optional", Document::Bool(output.optional)),
        ]);
        (name.to_string(), output)
    }))
}

fn platform() -> Document {
    let libc = if cfg!(target_env = "musl") {
        "musl"
    } else if cfg!(target_env = "gnu") {
        "gnu"
    } else {
        "system"
    };
    Document::map([
        ("os", Document::text(std::env::consts::OS)),
        ("architecture", Document::text(std::env::consts::ARCH)),
        ("libc", Document::text(libc)),
    ])
}
