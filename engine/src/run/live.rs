//! What is live: what the endpoints that a pipeline deploys to should serve.

use std::collections::BTreeSet;

use crate::graph::{Graph, StepIndex};
use crate::name::RunId;
use crate::project::Project;
use crate::record::Live;
use crate::registry::{Registry, RegistryError};

/// What the endpoints that this pipeline deploys to should serve after a run.
///
/// # Errors
/// If the registry cannot be read.
pub(super) fn live(project: &Project, graph: &Graph, run: &RunId) -> Result<Vec<Live>, RegistryError> {
    // A plain step has no effect, so most steps of a large graph need not be read.
    let indices = (0..graph.steps.len()).map(StepIndex::new);
    let others = indices.filter(|index| !graph.skeleton.is_plain(*index));
    let effects = others.filter_map(|index| graph.step(index).effect.as_ref());
    let targets: BTreeSet<&str> = effects.map(|effect| effect.target.as_str()).collect();
    let registry = Registry::at(project.state());
    let mut live = Vec::new();
    for endpoint in registry.endpoints()? {
        if !targets.contains(format!("endpoints/{endpoint}").as_str()) {
            continue;
        }
        if let Some((_, desired)) = registry.desired(&endpoint)? {
            live.push(Live {
                endpoint: endpoint.to_string(),
                model: desired.model.to_string(),
                version: desired.version,
                smoke_rows: desired.smoke.rows,
                new: desired.run == run.as_str(),
            });
        }
    }
    Ok(live)
}
