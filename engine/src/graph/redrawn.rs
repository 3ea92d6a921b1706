//! The outline of a graph of which a few steps were edited: the outline that was kept of it before, with their nodes made anew.

use serde_json::Deserializer;
use tidemill_cache::{Cache, Digest};

use super::outline::Node;
use super::{Graph, StepIndex, describe, keep};

/// Each edited step is searched for in the whole outline: of more than these, it is made anew.
const MOST: usize = 16;

/// What was edited of a graph that had been kept before, if its steps are on the same lines still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What stands for the outline of the graph before.
    pub(super) outline: Digest,
    /// The first combination of each edited step.
    pub(super) steps: Vec<StepIndex>,
}

/// The outline, as it is kept; none if that of the graph before is not there, or too much is another.
pub(super) fn redrawn(cache: &Cache, graph: &Graph) -> Option<Vec<u8>> {
    let edit = graph.edit.as_ref().filter(|edit| edit.steps.len() <= MOST)?;
    let before = keep::remembered(cache, &edit.outline)?;
    let mut outline = String::from_utf8(cache.read(&before, keep::LIMIT).ok()?).ok()?;
    for step in &edit.steps {
        let name = serde_json::to_string(&graph.step(*step).name).ok()?;
        // No text in it holds this, for in a text there is a backslash before each quotation mark.
        let begin = outline.find(&format!("{{\"step\":{name},"))?;
        let mut nodes = Deserializer::from_str(&outline[begin..]).into_iter::<Node>();
        let Node { instances, axes, left_out, .. } = nodes.next()?.ok()?;
        let end = begin + nodes.byte_offset();
        // An edit that leaves the graph as it is to others changes none of these.
        let node = Node { instances, axes, left_out, ..describe::node(graph, *step) };
        outline.replace_range(begin..end, &serde_json::to_string(&node).ok()?);
    }
    Some(outline.into_bytes())
}
