//! What a run would have to fetch from the store before it could go on.

use tidemill_cache::Artifact;

use super::decide::Decision;
use super::foreseen::Foreseen;
use super::inputs::Content;
use super::outputs::Outputs;
use crate::error::EngineError;
use crate::graph::{Graph, Step};
use crate::interface::OutputKind;
use crate::project::Project;

/// The outputs of a satisfied step whose bytes a run needs, because they are published or metrics, and that are not here.
///
/// # Errors
/// If the cache or the project cannot be read.
pub fn absent(
    project: &Project,
    graph: &Graph,
    step: &Step,
    outputs: &Outputs,
) -> Result<Vec<Artifact>, EngineError> {
    let mut absent = Vec::new();
    for (name, output) in &step.outputs {
        let Some(Some(artifact)) = outputs.get(name) else { continue };
        let is_to_be_placed = match &output.publish {
            Some(path) => {
                let seen = project.cache().look(&path.below(&graph.folder), project.rules())?;
                seen.is_none_or(|seen| seen.artifact != *artifact)
            }
            None => false,
        };
        let is_needed = is_to_be_placed || output.kind == OutputKind::Metrics;
        if is_needed && !project.cache().is_here(artifact)? {
            absent.push(artifact.clone());
        }
    }
    Ok(absent)
}

/// How many bytes are fetched for a step: what it reads if it runs, what is needed of its outputs if it does not. What cannot be
/// told is nothing.
pub(super) fn bytes(project: &Project, graph: &Graph, step: &Step, foreseen: &Foreseen) -> u64 {
    if project.cache().remote().is_none() {
        return 0;
    }
    let wanted: Vec<Artifact> = match foreseen {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => {
            absent(project, graph, step, &satisfied.outputs).unwrap_or_default()
        }
        Foreseen::Decided(Decision::Execute(execution)) => {
            let artifact = |content: &Content| match content {
                Content::Artifact { artifact, .. } => Some(artifact.clone()),
                _ => None,
            };
            execution.resolved.materials.iter().filter_map(|material| artifact(&material.content)).collect()
        }
        _ => Vec::new(),
    };
    let bytes = |artifact: &Artifact| project.cache().bytes_to_fetch(artifact).ok().flatten().unwrap_or(0);
    wanted.iter().map(bytes).sum()
}
