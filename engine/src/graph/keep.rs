//! Keeping the outline of a graph with the run that it belongs to: an object of the cache, so that it is found by its digest
//! for as long as a kept run names it. It is written once per graph: the index remembers which outline belongs to which text,
//! parameters and steps, so that a run with nothing changed encodes nothing.

use tidemill_cache::{Artifact, Cache, CacheError, Digest};

use super::Graph;
use super::outline::{Outline, VERSION};
use super::redrawn::redrawn;

/// Where the outlines of graphs are remembered.
const SPACE: &str = "outline";
/// The largest outline that is read, in bytes.
pub(super) const LIMIT: u64 = 1 << 30;

/// Keeps the outline of a graph, if it is not kept already. None if it cannot be, which is no reason not to run.
#[must_use]
pub fn keep(cache: &Cache, graph: &Graph) -> Option<Artifact> {
    let name = name(graph);
    if let Some(known) = remembered(cache, &name) {
        return Some(known);
    }
    let outline = redrawn(cache, graph).unwrap_or_else(|| Outline::of(graph).to_bytes());
    match cache.put(&outline) {
        Ok(outline) => {
            if let Ok(bytes) = serde_json::to_vec(&outline) {
                cache.remember(SPACE, name.as_bytes(), &bytes);
            }
            Some(outline)
        }
        Err(error) => {
            tracing::warn!(%error, "the outline of the graph cannot be kept");
            None
        }
    }
}

/// The outline that is kept as this artifact; none if it is gone, or has a form that this version does not know.
///
/// # Errors
/// If the cache cannot be read.
pub fn kept(cache: &Cache, outline: &Artifact) -> Result<Option<Outline>, CacheError> {
    match cache.read(outline, LIMIT) {
        Ok(bytes) => Ok(Outline::from_bytes(&bytes)
            .inspect_err(|error| tracing::warn!(%error, "the outline of a graph cannot be read"))
            .ok()),
        Err(CacheError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The outline of this name, if it is kept.
pub(super) fn remembered(cache: &Cache, name: &Digest) -> Option<Artifact> {
    let known: Artifact = serde_json::from_slice(&cache.recall(SPACE, name.as_bytes())?).ok()?;
    cache.available(&known).ok()?.then_some(known)
}

/// What an outline follows from: the text of the pipeline, the parameters, the steps that globs and matrices made, and the
/// built-in steps, which belong to the version of this program.
pub(super) fn name(graph: &Graph) -> Digest {
    let mut bytes = Vec::with_capacity(64 * (graph.steps.len() + 1));
    let mut add = |part: &[u8]| {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    };
    add(&VERSION.to_le_bytes());
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(graph.text.as_bytes());
    for (name, value) in &graph.params {
        add(name.as_bytes());
        add(&value.encode().unwrap_or_else(|_| value.to_string().into_bytes()));
    }
    match graph.definitions.is_empty() {
        // Steps that are kept need not be read for this.
        false => graph.definitions.iter().for_each(|definition| add(definition)),
        true => graph.steps.iter().for_each(|step| add(step.id.as_str().as_bytes())),
    }
    Digest::of(&bytes)
}
