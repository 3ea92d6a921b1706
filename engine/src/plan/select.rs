//! Which steps a run may execute: `--only`, `--from`, `--until`, `--force`.

use crate::error::EngineError;
use crate::graph::{Graph, StepIndex};

/// What the user selected, by step names (all combinations of a matrix) or ids.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Run these even if a result is known.
    pub force: Vec<String>,
    /// Only these may execute.
    pub only: Vec<String>,
    /// These and what depends on them may execute.
    pub from: Vec<String>,
    /// These and what they depend on may execute.
    pub until: Vec<String>,
}

/// A selection, resolved against a graph.
#[derive(Debug, Clone)]
pub struct Scope {
    /// By step: whether it may execute.
    pub may_execute: Vec<bool>,
    /// By step: whether it matters at all: it may execute, or one that may depends on it.
    pub considered: Vec<bool>,
    /// By step: whether it must run whatever is known.
    pub forced: Vec<bool>,
}

impl Scope {
    /// Resolves a selection.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn of(graph: &Graph, selection: &Selection) -> Result<Self, EngineError> {
        let all = || vec![true; graph.steps.len()];
        let mut may_execute = all();
        if !selection.only.is_empty() {
            intersect(&mut may_execute, &mark(graph, &selection.only)?);
        }
        if !selection.from.is_empty() {
            intersect(&mut may_execute, &descendants(graph, mark(graph, &selection.from)?));
        }
        if !selection.until.is_empty() {
            intersect(&mut may_execute, &ancestors(graph, mark(graph, &selection.until)?));
        }
        let considered = ancestors(graph, may_execute.clone());
        Ok(Self { may_execute, considered, forced: mark(graph, &selection.force)? })
    }
}

fn intersect(into: &mut [bool], other: &[bool]) {
    for (into, other) in into.iter_mut().zip(other) {
        *into &= other;
    }
}

fn mark(graph: &Graph, names: &[String]) -> Result<Vec<bool>, EngineError> {
    let mut marked = vec![false; graph.steps.len()];
    for name in names {
        let mut found = false;
        for (mark, step) in marked.iter_mut().zip(graph.steps.iter()) {
            if step.name.as_str() == name || step.id.as_str() == name {
                *mark = true;
                found = true;
            }
        }
        if !found {
            return Err(unknown(graph, name));
        }
    }
    Ok(marked)
}

/// The error for a step that does not exist, with the nearest one that does.
#[must_use]
pub fn unknown(graph: &Graph, name: &str) -> EngineError {
    // A step of a matrix has no id of its own name: its first combination is what comes nearest.
    let combination = graph.steps.iter().find(|step| step.name.as_str() == name).map(|step| step.id.as_str());
    let near = graph
        .steps
        .iter()
        .flat_map(|step| [step.name.as_str(), step.id.as_str()])
        .map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known);
    EngineError::UnknownStep { name: name.to_owned(), near: combination.or(near).map(str::to_owned) }
}

fn ancestors(graph: &Graph, mut marked: Vec<bool>) -> Vec<bool> {
    for index in graph.order.iter().rev() {
        if marked[index.get()] {
            for producer in graph.upstream(*index) {
                marked[producer.get()] = true;
            }
        }
    }
    marked
}

fn descendants(graph: &Graph, mut marked: Vec<bool>) -> Vec<bool> {
    for index in &graph.order {
        marked[index.get()] |=
            graph.upstream(*index).into_iter().any(|producer: StepIndex| marked[producer.get()]);
    }
    marked
}
