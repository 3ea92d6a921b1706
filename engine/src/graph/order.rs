//! Cycles between steps, and the order in which they can run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::spec::{Code, Diagnostic, Problems, Span, Spec};

use super::{Graph, StepIndex};

/// Tells every cycle by its names, with the place of each reference on the way.
pub(super) fn check_cycles(spec: &Spec<'_>, problems: &mut Problems) {
    let mut graph: DiGraph<&str, &Span> = DiGraph::new();
    let nodes: BTreeMap<&str, NodeIndex> =
        spec.steps.iter().map(|step| (step.name.as_str(), graph.add_node(step.name.as_str()))).collect();
    for step in &spec.steps {
        let artifacts = step.inputs.iter().flat_map(|input| input.source.artifacts());
        let edges = artifacts.map(|artifact| (&artifact.step, &artifact.span));
        for (producer, span) in edges.chain(step.needs.iter().map(|need| (&need.value, &need.span))) {
            if let Some(producer) = nodes.get(producer.as_str()) {
                graph.add_edge(*producer, nodes[step.name.as_str()], span);
            }
        }
    }
    // Looking for a way back costs a walk over all that follows: only where there is one.
    let has_cycle = |component: &Vec<NodeIndex>| match component.as_slice() {
        [one] => graph.contains_edge(*one, *one),
        _ => true,
    };
    for component in tarjan_scc(&graph).into_iter().filter(has_cycle) {
        let start = component.iter().copied().min();
        if let Some(cycle) = start.and_then(|start| shortest(&graph, start)) {
            problems.add(diagnostic(&graph, &cycle));
        }
    }
}

/// The shortest way from a step back to itself: the edges of it; none if there is none.
fn shortest<'a>(graph: &DiGraph<&str, &'a Span>, start: NodeIndex) -> Option<Vec<(NodeIndex, &'a Span)>> {
    let mut before: BTreeMap<NodeIndex, (NodeIndex, &'a Span)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in graph.edges(node) {
            if edge.target() == start {
                let mut way = vec![(start, *edge.weight())];
                let mut at = node;
                while at != start {
                    let (earlier, span) = before[&at];
                    way.push((at, span));
                    at = earlier;
                }
                way.reverse();
                return Some(way);
            }
            before.entry(edge.target()).or_insert_with(|| {
                queue.push_back(edge.target());
                (node, *edge.weight())
            });
        }
    }
    None
}

fn diagnostic(graph: &DiGraph<&str, &Span>, cycle: &[(NodeIndex, &Span)]) -> Diagnostic {
    let last = cycle.last().map_or("", |(step, _)| graph[*step]);
    let mut names = vec![last];
    names.extend(cycle.iter().map(|(step, _)| graph[*step]));
    let message = match names.len() {
        2 => format!("the step `{last}` waits for itself"),
        _ => format!("the steps wait for each other: {}", names.join(" → ")),
    };
    let mut diagnostic = Diagnostic::new(Code::Cycle, message);
    for (index, (step, span)) in cycle.iter().enumerate() {
        diagnostic = diagnostic.at(span, format!("`{}` waits for `{}`", graph[*step], names[index]));
    }
    diagnostic.help(match cycle.len() {
        1 => "a step cannot read what it writes; what comes from an earlier run is a file of the project",
        _ => "take one of these references away",
    })
}

/// Every step after all that it depends on; ties in the order of the file.
pub(super) fn order(graph: &Graph) -> Vec<StepIndex> {
    let indices = (0..graph.steps.len()).map(StepIndex::new);
    if indices.clone().all(|index| graph.upstream(index).all(|producer| producer < index)) {
        // The file has them in such an order already, and among those that can run its first one comes first.
        return indices.collect();
    }
    let downstream = graph.downstream();
    let mut waiting: Vec<usize> = vec![0; graph.steps.len()];
    for step in downstream.iter().flatten() {
        waiting[step.get()] += 1;
    }
    let free = waiting.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(|(index, _)| Reverse(index)).collect();
    let mut order = Vec::with_capacity(graph.steps.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(StepIndex::new(index));
        for step in &downstream[index] {
            waiting[step.get()] -= 1;
            if waiting[step.get()] == 0 {
                ready.push(Reverse(step.get()));
            }
        }
    }
    order
}
