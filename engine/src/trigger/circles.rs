//! Pipelines whose runs start each other: without a pause they go on for ever.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::pipelines::Pipelines;
use crate::graph::On;

/// What is to be said of them, a sentence for each circle.
#[must_use]
pub fn in_circles(pipelines: &Pipelines) -> Vec<String> {
    let mut starts = DiGraph::<&str, ()>::new();
    let mut places: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    for (_, own, trigger) in pipelines.triggers() {
        // A pipeline does not wait for itself.
        if let On::Run { pipeline, .. } = &trigger.on
            && trigger.cooldown.is_none_or(|pause| pause.is_zero())
            && *pipeline != own.name
        {
            let [first, then] = [pipeline, &own.name]
                .map(|name| *places.entry(name.as_str()).or_insert_with(|| starts.add_node(name.as_str())));
            starts.add_edge(first, then, ());
        }
    }
    let circles = tarjan_scc(&starts).into_iter().filter(|circle| circle.len() > 1);
    let mut told: Vec<String> = circles
        .map(|circle| {
            let mut names: Vec<&str> = circle.into_iter().map(|place| starts[place]).collect();
            names.sort_unstable();
            let (last, rest) = names.split_last().expect("a circle has two members at least");
            format!(
                "{} and {last} may start each other for ever: give a trigger of one of them a `cooldown`",
                rest.join(", ")
            )
        })
        .collect();
    told.sort_unstable();
    told
}
