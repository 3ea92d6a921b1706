//! What a step reads: where each input's content comes from and where it lies in the step's folder.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use tidemill_cache::{Artifact, RelPath, Seen};

use super::outputs::Outputs;
use crate::error::EngineError;
use crate::graph::{Graph, Source, Step, StepIndex};
use crate::name::{InputName, OutputName, StepId};
use crate::project::Project;

/// The paths of each input as the command sees them; an absent optional input has none.
pub type Paths = BTreeMap<InputName, Vec<String>>;

/// What is known of a producer.
#[derive(Debug, Clone, Copy)]
pub enum Upstream<'a> {
    /// It has a result.
    Known(&'a Outputs),
    /// It was left out.
    LeftOut,
    /// It has not run yet.
    Unknown,
}

/// Something to place in the step's folder.
#[derive(Debug, Clone)]
pub struct Material {
    /// The input that it belongs to.
    pub input: InputName,
    /// Where it goes.
    pub at: RelPath,
    /// What it is.
    pub content: Content,
}

/// The content of a material.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file or folder of the user's.
    Project {
        /// Where it is (absolute).
        source: Utf8PathBuf,
        /// As the pipeline file writes it.
        shown: String,
        /// What was seen there.
        seen: Seen,
    },
    /// An artifact.
    Artifact {
        /// The artifact.
        artifact: Artifact,
        /// The steps that make it.
        producers: Vec<StepIndex>,
    },
}

impl Content {
    /// What it is, wherever it comes from.
    #[must_use]
    pub fn artifact(&self) -> &Artifact {
        match self {
            Self::Project { seen, .. } => &seen.artifact,
            Self::Artifact { artifact, .. } => artifact,
        }
    }
}

/// One input, resolved.
pub(crate) struct ResolvedInput {
    /// What to place.
    pub materials: Vec<Material>,
    /// What the command sees.
    pub paths: Vec<String>,
}

impl ResolvedInput {
    fn absent() -> Self {
        Self::at(None)
    }

    /// Something that is not known yet, at a path.
    pub(crate) fn at(path: Option<String>) -> Self {
        Self { materials: Vec::new(), paths: path.into_iter().collect() }
    }

    fn one(material: Material) -> Self {
        Self { paths: vec![material.at.to_string()], materials: vec![material] }
    }
}

/// Resolves one input of a step, except a rival's model.
///
/// # Errors
/// If it is missing and not optional, or cannot be read.
pub(crate) fn resolve<'a>(
    project: &Project,
    graph: &Graph,
    step: &Step,
    name: &InputName,
    upstream: impl Fn(StepIndex) -> Upstream<'a>,
) -> Result<ResolvedInput, EngineError> {
    let input = &step.inputs[name];
    let missing =
        |path: String| EngineError::InputMissing { step: step.id.to_string(), input: name.to_string(), path };
    let known = |index: StepIndex, output: &OutputName| match upstream(index) {
        Upstream::Known(outputs) => outputs.get(output).cloned().flatten(),
        Upstream::LeftOut | Upstream::Unknown => None,
    };
    match &input.source {
        Source::Project(path) => {
            let source = path.below(&graph.folder);
            match project_material(project, name, path.clone(), source, path.as_str())? {
                Some(material) => Ok(ResolvedInput::one(material)),
                None if input.optional => Ok(ResolvedInput::absent()),
                None => Err(missing(path.to_string())),
            }
        }
        Source::Outside(path) => {
            let source = graph.folder.join(path);
            let at = place(name, source.file_name().unwrap_or("input"));
            match project_material(project, name, at, source, path.as_str())? {
                Some(material) => Ok(ResolvedInput::one(material)),
                None if input.optional => Ok(ResolvedInput::absent()),
                None => Err(missing(path.to_string())),
            }
        }
        Source::Glob(pattern) => {
            let found = crate::graph::glob(&graph.folder, pattern)
                .map_err(|error| missing(format!("{pattern} ({error})")))?;
            let mut materials = Vec::with_capacity(found.len());
            for path in found {
                let source = path.below(&graph.folder);
                let shown = path.to_string();
                materials.extend(project_material(project, name, path, source, &shown)?);
            }
            if materials.is_empty() && !input.optional {
                return Err(missing(format!("no file matches {pattern}")));
            }
            let paths = materials.iter().map(|material| material.at.to_string()).collect();
            Ok(ResolvedInput { materials, paths })
        }
        Source::Artifact(producer, output) => match known(*producer, output) {
            Some(artifact) => {
                let declared = &graph.step(*producer).outputs[output];
                Ok(ResolvedInput::one(Material {
                    input: name.clone(),
                    at: place(name, declared.path.name()),
                    content: Content::Artifact { artifact, producers: vec![*producer] },
                }))
            }
            None if input.optional => Ok(ResolvedInput::absent()),
            None => Err(missing(format!("{} gave no {output}", graph.step(*producer).id))),
        },
        Source::Collection(entries) => {
            let mut named = Vec::with_capacity(entries.len());
            let mut producers = Vec::with_capacity(entries.len());
            for (index, (producer, output)) in entries.iter().enumerate() {
                match known(*producer, output) {
                    Some(artifact) => {
                        named.push((entry_name(index, &graph.step(*producer).id, output), artifact));
                        producers.push(*producer);
                    }
                    None if matches!(upstream(*producer), Upstream::LeftOut) || input.optional => {}
                    None => return Err(missing(format!("{} gave no {output}", graph.step(*producer).id))),
                }
            }
            if named.is_empty() {
                return match input.optional {
                    true => Ok(ResolvedInput::absent()),
                    false => Err(missing("none of its steps gave a result".to_owned())),
                };
            }
            let artifact = project.cache().assemble(&named)?;
            let at = RelPath::new(&format!("inputs/{name}")).expect("a name is a valid path");
            Ok(ResolvedInput::one(Material {
                input: name.clone(),
                at,
                content: Content::Artifact { artifact, producers },
            }))
        }
        Source::Rival { .. } => Ok(ResolvedInput::absent()),
    }
}

/// What can be told of an input before all that it needs has run: where it will lie, if what it is is not known yet.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn preview<'a>(
    project: &Project,
    graph: &Graph,
    step: &Step,
    name: &InputName,
    upstream: impl Fn(StepIndex) -> Upstream<'a>,
) -> Result<Preview, EngineError> {
    let source = &step.inputs[name].source;
    let waits = source.producers().any(|(producer, _)| matches!(upstream(producer), Upstream::Unknown));
    let path = match source {
        Source::Rival { model, alias } => {
            let holder = crate::registry::Registry::at(project.state()).alias(model, alias)?;
            return Ok(Preview::Unknown(holder.map(|_| place(name, RIVAL_FILE).to_string())));
        }
        Source::Artifact(producer, output) if waits => {
            place(name, graph.step(*producer).outputs[output].path.name()).to_string()
        }
        Source::Collection(_) if waits => format!("inputs/{name}"),
        _ => return resolve(project, graph, step, name, upstream).map(Preview::Known),
    };
    Ok(Preview::Unknown(Some(path)))
}

/// What is known of an input.
pub(crate) enum Preview {
    /// All.
    Known(ResolvedInput),
    /// Only its path, if it will be there.
    Unknown(Option<String>),
}

/// The name of a rival's model in the folder of its input.
pub(crate) const RIVAL_FILE: &str = "model.onnx";

/// Where a thing that is no project file lies: `inputs/<input>/<basename>`.
pub(crate) fn place(input: &InputName, basename: &str) -> RelPath {
    RelPath::new(&format!("inputs/{input}/{basename}")).expect("names and basenames are valid paths")
}

fn project_material(
    project: &Project,
    input: &InputName,
    at: RelPath,
    source: Utf8PathBuf,
    shown: &str,
) -> Result<Option<Material>, EngineError> {
    let Some(seen) = project.cache().look(&source, project.rules())? else { return Ok(None) };
    let content = Content::Project { source, shown: shown.to_owned(), seen };
    Ok(Some(Material { input: input.clone(), at, content }))
}

/// The longest name of an entry in a collection, in bytes.
const LONGEST_ENTRY: usize = 200;

/// The name of an entry in a collection: `<index>-<step>.<output>`, percent-encoded, cut at 200 bytes with a hash.
fn entry_name(index: usize, step: &StepId, output: &OutputName) -> String {
    let plain = format!("{index}-{step}.{output}");
    let mut encoded = String::with_capacity(plain.len());
    for byte in plain.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~=,".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    if encoded.len() > LONGEST_ENTRY {
        let hash = tidemill_cache::Digest::of(plain.as_bytes()).short();
        encoded.truncate(LONGEST_ENTRY - hash.len() - 1);
        encoded = format!("{encoded}~{hash}");
    }
    encoded
}

/// The `step.output` behind the name of an entry; none if the name is something else, or was cut.
pub(super) fn entry_origin(name: &str) -> Option<String> {
    let (index, encoded) = name.split_once('-')?;
    let mut rest = encoded.split('%');
    let mut bytes = rest.next()?.as_bytes().to_vec();
    for part in rest {
        let byte = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        bytes.push(byte);
        bytes.extend(part[2..].bytes());
    }
    let origin = String::from_utf8(bytes).ok()?;
    let is_whole = index.bytes().all(|byte| byte.is_ascii_digit()) && !origin.contains('~');
    (is_whole && origin.contains('.')).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_entry_tells_its_origin() {
        assert_eq!(entry_origin("3-train%5Balpha=0.1%5D.model").as_deref(), Some("train[alpha=0.1].model"));
        for other in
            ["train.model", "3-train%5", "3-train%zz.model", "a-b.c", "3-cut.mod~0123456789ab", "3-%FF.x"]
        {
            assert_eq!(entry_origin(other), None, "{other}");
        }
    }

    #[test]
    fn an_entry_is_a_plain_file_name_of_bounded_length() {
        let axis = |value: &str| vec![("alpha".to_owned(), value.to_owned())];
        let name = |value: &str| {
            let step = crate::name::StepName::new("train").unwrap();
            entry_name(3, &StepId::new(&step, &axis(value)), &OutputName::new("model").unwrap())
        };
        assert_eq!(name("0.1"), "3-train%5Balpha=0.1%5D.model");
        assert_eq!(name("a/b"), "3-train%5Balpha=a%2Fb%5D.model");
        let (long, other) = (name(&"x".repeat(300)), name(&format!("{}y", "x".repeat(299))));
        assert_eq!(long.len(), LONGEST_ENTRY);
        assert_ne!(long, other);
    }
}
