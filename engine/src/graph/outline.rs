//! The outline of a graph: what a drawing or a report shows of it, without what it takes to run it. It is kept with each run,
//! so that an old run can be drawn although the pipeline has changed since.
//!
//! Folded: a node is a step of the file, with all combinations of its matrix; an edge says how the combinations are joined,
//! so that it can be unfolded.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::is_cyclic_directed;
use petgraph::graph::DiGraph;
use serde::{Deserialize, Serialize};

use super::{Graph, StepIndex, describe};
use crate::interface::OutputKind;
use crate::name::{AxisName, InputName, OutputName, PipelineName, StepId, StepName};
use crate::spec;

/// The version of the form that is kept; it rises when an old reader would misunderstand.
pub(super) const VERSION: u32 = 1;

/// A picture of an expanded graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// The version of the form that is kept.
    pub version: u32,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What it says of itself.
    pub description: Option<String>,
    /// The steps, in the order of the file.
    pub nodes: Vec<Node>,
    /// What they depend on, in the order of the steps that depend.
    pub edges: Vec<Edge>,
}

/// A step of the file, with all its combinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub step: StepName,
    /// What it says of itself.
    pub description: Option<String>,
    /// The lifecycle stage that it belongs to.
    pub stage: Option<String>,
    /// What it does, in a few words: `uses train`, `python train.py`.
    pub action: String,
    /// The command of its first combination; a built-in step has none.
    pub command: Option<String>,
    /// The target that it changes, if it is an effect.
    pub effect: Option<String>,
    /// The conditions of its gate.
    pub gate: Vec<String>,
    /// Whether its results are kept and found again.
    pub cache: bool,
    /// The axes of its matrix with their values, sorted by name.
    pub axes: Vec<Axis>,
    /// What it reads.
    pub inputs: Vec<Port>,
    /// What it writes.
    pub outputs: Vec<Port>,
    /// The ids of its combinations, in the order of their values; one without a matrix.
    pub instances: Vec<StepId>,
    /// Those that `when` leaves out, with the condition that is false.
    pub left_out: BTreeMap<StepId, String>,
    /// The line of the pipeline file where it begins.
    pub line: usize,
}

/// An axis of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name.
    pub name: AxisName,
    /// Its values as text.
    pub values: Vec<String>,
}

/// An input or an output of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Where an input comes from (`data/a.csv`, `ingest.table`, `all of train.model`); where an output lies in the step's
    /// folder. Of the first combination.
    pub place: String,
    /// What an output is; none for an input.
    pub kind: Option<OutputKind>,
}

/// That a step depends on another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The step that goes first.
    pub from: StepName,
    /// The step that depends on it.
    pub to: StepName,
    /// What goes along it; nothing if `needs` only orders the two.
    pub data: Vec<Flow>,
    /// Which combinations depend on which.
    pub join: Join,
}

/// An output that is an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The output of the step that goes first.
    pub output: OutputName,
    /// The input of the step that depends on it.
    pub input: InputName,
}

/// Which combinations of two steps depend on which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Each on all.
    All,
    /// Each on the one in the same place.
    Same,
    /// As listed: the place of the first, the place of the one that depends on it.
    Pairs(Vec<(usize, usize)>),
}

/// An outline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutlineError {
    /// Another version of Tidemill wrote it.
    #[error("it has the form {found}, and this version of tidemill knows {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// It is no outline.
    #[error("it is no outline of a graph")]
    Malformed(#[source] serde_json::Error),
    /// It contradicts itself.
    #[error("it contradicts itself: {reason}")]
    Contradiction {
        /// How.
        reason: String,
    },
}

impl Outline {
    /// The outline of a graph.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        let mut places: Vec<Place> = Vec::with_capacity(graph.steps.len());
        let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, step) in graph.steps.iter().enumerate() {
            let node = *by_name.entry(step.name.as_str()).or_insert(nodes.len());
            if node == nodes.len() {
                nodes.push(describe::node(graph, StepIndex::new(index)));
            }
            let known = &mut nodes[node];
            places.push(Place { node, instance: known.instances.len() });
            known.instances.push(step.id.clone());
            if let Some(condition) = &step.left_out {
                known.left_out.insert(step.id.clone(), condition.clone());
            }
            for (axis, value) in known.axes.iter_mut().zip(step.axes.values()) {
                let value = spec::text(value);
                if seen.insert((node, axis.name.clone(), value.clone())) {
                    axis.values.push(value);
                }
            }
        }
        let edges = edges(graph, &nodes, &places);
        let (pipeline, description) = (graph.pipeline.clone(), graph.description.clone());
        Self { version: VERSION, pipeline, description, nodes, edges }
    }

    /// As it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an outline has text keys only")
    }

    /// The outline that was kept as these bytes.
    ///
    /// # Errors
    /// If they are none, are of another version, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OutlineError> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(OutlineError::Malformed)?;
        if head.version != u64::from(VERSION) {
            return Err(OutlineError::Version { found: head.version });
        }
        let outline: Self = serde_json::from_slice(bytes).map_err(OutlineError::Malformed)?;
        outline.check()?;
        Ok(outline)
    }

    /// How many steps the expanded graph has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.nodes.iter().map(|node| node.instances.len()).sum()
    }

    /// The place of a step in [`Outline::nodes`].
    #[must_use]
    pub fn place(&self, step: &StepName) -> Option<usize> {
        self.nodes.iter().position(|node| node.step == *step)
    }

    pub(super) fn check(&self) -> Result<(), OutlineError> {
        let wrong = |reason: String| Err(OutlineError::Contradiction { reason });
        let mut sizes = BTreeMap::new();
        for node in &self.nodes {
            if node.instances.is_empty() || sizes.insert(&node.step, node.instances.len()).is_some() {
                return wrong(format!("the step {} has no combination or is there twice", node.step));
            }
        }
        for Edge { from, to, join, .. } in &self.edges {
            let (Some(first), Some(second)) = (sizes.get(from), sizes.get(to)) else {
                return wrong(format!("{to} depends on {from}, and one of them is not there"));
            };
            let fits = match join {
                Join::All => true,
                Join::Same => first == second,
                Join::Pairs(pairs) => pairs.iter().all(|(a, b)| a < first && b < second),
            };
            if !fits {
                return wrong(format!("{to} depends on combinations of {from} that are not there"));
            }
        }
        let places: BTreeMap<_, _> =
            self.nodes.iter().zip(0_u32..).map(|(node, place)| (&node.step, place)).collect();
        let arrows = self.edges.iter().map(|edge| (places[&edge.from], places[&edge.to]));
        match is_cyclic_directed(&DiGraph::<(), ()>::from_edges(arrows)) {
            true => wrong("steps wait for each other".to_owned()),
            false => Ok(()),
        }
    }
}

/// Where a step of the graph is in the outline.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: usize,
    instance: usize,
}

/// What is known of an edge while it is gathered.
#[derive(Debug, Default)]
struct Gathered {
    data: Vec<Flow>,
    pairs: Vec<(usize, usize)>,
}

fn edges(graph: &Graph, nodes: &[Node], places: &[Place]) -> Vec<Edge> {
    let mut gathered: BTreeMap<(usize, usize), Gathered> = BTreeMap::new();
    for (step, to) in graph.steps.iter().zip(places) {
        let mut add = |producer: StepIndex, flow: Option<Flow>| {
            let from = places[producer.get()];
            let edge = gathered.entry((to.node, from.node)).or_default();
            edge.pairs.push((from.instance, to.instance));
            if let Some(flow) = flow.filter(|flow| !edge.data.contains(flow)) {
                edge.data.push(flow);
            }
        };
        for need in &step.needs {
            add(*need, None);
        }
        for (name, input) in &step.inputs {
            for (producer, output) in input.source.producers() {
                add(producer, Some(Flow { output: output.clone(), input: name.clone() }));
            }
        }
    }
    let edge = |((to, from), mut gathered): ((usize, usize), Gathered)| {
        gathered.data.sort();
        gathered.pairs.sort_unstable();
        gathered.pairs.dedup();
        let join = join(gathered.pairs, nodes[from].instances.len(), nodes[to].instances.len());
        Edge { from: nodes[from].step.clone(), to: nodes[to].step.clone(), data: gathered.data, join }
    };
    gathered.into_iter().map(edge).collect()
}

fn join(pairs: Vec<(usize, usize)>, first: usize, second: usize) -> Join {
    if pairs.len() == first * second {
        return Join::All;
    }
    let is_same = first == second && pairs.len() == first && pairs.iter().all(|(a, b)| a == b);
    if is_same { Join::Same } else { Join::Pairs(pairs) }
}
