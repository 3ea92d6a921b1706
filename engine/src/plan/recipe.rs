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
//! | each output's name, place, kind, optional; how many ranks make one of their own | in | they decide what is captured |
//! | identity of declared tools and of a leading Python | in | they do the work |
//! | the fingerprint's output | in | it stands for state that no file shows |
//! | OS, architecture, C library | in | programs behave by them |
//! | a nonce for `cache = false` | no key is looked up at all | such a step always runs |
//! | Tidemill's version, paths, times, hosts, users, PATH, HOME | out | any machine's result serves all |
//! | publish, gate, when, needs, description | out | they do not change the bytes |
//! | resources, executor, retries, timeout, sandbox | out | they decide whether it ends, not with what |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, Document, DocumentError, Encoder, Key};

use super::command::{self, Expansion};
use super::inputs::{Content, Material, Paths, ResolvedInput};
use super::observe::Observation;
use crate::error::EngineError;
use crate::graph::{Output, Step};
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
    let mut paths = Paths::new();
    let mut resolved = Vec::with_capacity(inputs.len());
    for (name, input) in inputs {
        resolved.push((name.clone(), input.materials));
        paths.insert(name, input.paths);
    }
    // The document is written straight into its bytes: as a tree it would take longer to make than to hash.
    let mut recipe = Vec::with_capacity(512);
    let written = Encoder::new(&mut recipe).map(10, |map| {
        map.member("command", |to| command::write(step, &paths, to))?;
        map.member("env", |to| write_environment(project, step, &paths, to))?;
        map.member("fingerprint", |to| match &observation.fingerprint {
            Some(fingerprint) => to.text(fingerprint),
            None => to.document(&Document::Null),
        })?;
        map.member("inputs", |to| {
            let inputs = resolved.iter().map(|(name, materials)| (name.as_str(), materials));
            to.members(inputs, |materials, to| to.list(materials.iter(), write_material))
        })?;
        map.member("layout", |to| to.document(&Document::Int(LAYOUT)))?;
        map.member("outputs", |to| {
            to.members(step.outputs.iter().map(|(name, output)| (name.as_str(), output)), write_output)
        })?;
        map.member("params", |to| {
            let params = step.params.iter().map(|(name, value)| (name.as_str(), value));
            to.members(params, |value, to| to.document(value))
        })?;
        map.member("platform", |to| to.document(&PLATFORM))?;
        map.member("python", |to| to.document(observation.python.as_ref().unwrap_or(&Document::Null)))?;
        map.member("tools", |to| {
            let tools = observation.tools.iter().map(|(name, tool)| (name.as_str(), tool));
            to.members(tools, |tool, to| to.document(tool))
        })
    });
    written.map_err(|source| EngineError::Document { step: step.id.to_string(), source })?;
    let materials = resolved.into_iter().flat_map(|(_, materials)| materials).collect();
    Ok(Resolved { key: Key::of_recipe(&recipe), recipe: recipe.into(), materials, paths })
}

/// The recipe as this machine would write it for a step that was resolved elsewhere. The fingerprint is that of there.
///
/// # Errors
/// If a part has no canonical form.
pub(crate) fn rebuilt(
    project: &Project,
    step: &Step,
    resolved: &Resolved,
    observation: &Observation,
) -> Result<Resolved, EngineError> {
    let fingerprint = resolved.document().get("fingerprint").and_then(Document::as_text).map(str::to_owned);
    let observation = Observation { fingerprint, ..observation.clone() };
    let mut inputs: BTreeMap<InputName, ResolvedInput> = resolved
        .paths
        .iter()
        .map(|(name, paths)| (name.clone(), ResolvedInput { materials: Vec::new(), paths: paths.clone() }))
        .collect();
    for material in &resolved.materials {
        if let Some(input) = inputs.get_mut(&material.input) {
            input.materials.push(material.clone());
        }
    }
    build(project, step, inputs, &observation)
}

/// What enters the key of something that an input places: where, and the identity of what lies there.
fn write_material(material: &Material, to: Encoder<'_>) -> Result<(), DocumentError> {
    to.map(2, |map| {
        map.member("at", |to| to.text(material.at.as_str()))?;
        map.member("content", |to| to.document(&material.content.artifact().identity()))
    })
}

fn write_environment(
    project: &Project,
    step: &Step,
    paths: &Paths,
    to: Encoder<'_>,
) -> Result<(), DocumentError> {
    let mut variables: BTreeMap<&str, Option<Cow<'_, str>>> = BTreeMap::new();
    for (name, pieces) in &step.env {
        let value = command::text(pieces, step, paths, &Expansion::Recipe, false);
        variables.insert(name, Some(value.into()));
    }
    for name in &step.pass_env {
        variables.entry(name).or_insert_with(|| project.variable(name).map(Cow::Borrowed));
    }
    to.members(variables.into_iter(), |value, to| match value {
        Some(value) => to.text(&value),
        None => to.document(&Document::Null),
    })
}

fn write_output(output: &Output, to: Encoder<'_>) -> Result<(), DocumentError> {
    to.map(3 + usize::from(output.ranks.is_some()), |map| {
        map.member("kind", |to| to.text(output.kind.word()))?;
        map.member("optional", |to| to.document(&Document::Bool(output.optional)))?;
        map.member("path", |to| to.text(output.path.as_str()))?;
        match output.ranks {
            Some(ranks) => map.member("ranks", |to| to.document(&Document::Int(ranks.into()))),
            None => Ok(()),
        }
    })
}

/// What the machine is.
static PLATFORM: LazyLock<Document> = LazyLock::new(|| {
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
});
