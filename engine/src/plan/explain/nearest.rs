//! The earlier recipe that a recipe is compared with: the one with the fewest differences, whoever ran it.
//!
//! This project's own last execution comes first, then the newest results of the step in the store; among equals the first
//! counts. The search ends as soon as nothing nearer can come, so mostly one recipe is read.

use std::collections::BTreeSet;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use tidemill_cache::{Key, Steps};

use super::against::Origin;
use super::compare::{Comparison, compare};
use crate::Value;
use crate::error::EngineError;
use crate::graph::{Graph, Step};
use crate::project::Project;

/// So many earlier results are looked at for a step, at most and at least; in a large graph the fewer, so that a plan in
/// which everything changed stays fast. It depends on nothing else: a plan and an explanation look at the same ones.
const CANDIDATES: (usize, usize) = (5, 50);
/// How many are looked at for all steps together, beyond the least.
const ALL_CANDIDATES: usize = 20_000;

/// The earlier recipe, and what differs.
#[derive(Debug)]
pub(crate) struct Basis {
    /// Whose it is.
    pub origin: Origin,
    /// What differs.
    pub comparison: Comparison,
}

/// The last execution of a step in this project, successful or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    /// Its key.
    pub key: Key,
    /// Its run.
    pub run: String,
}

/// Where the last execution of a step is remembered.
const SPACE: &str = "last-execution";

impl Last {
    /// The last execution of a step from this project's root.
    pub(crate) fn of(project: &Project, graph: &Graph, step: &Step) -> Option<Self> {
        let bytes = project.cache().recall(SPACE, &name(project, graph, step))?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Remembers it.
    pub(crate) fn remember(&self, project: &Project, graph: &Graph, step: &Step) {
        if let Ok(bytes) = serde_json::to_vec(self) {
            project.cache().remember(SPACE, &name(project, graph, step), &bytes);
        }
    }
}

/// Checkouts that share a state folder have a last execution each.
fn name(project: &Project, graph: &Graph, step: &Step) -> Vec<u8> {
    format!("{}\0{}\0{}", project.root(), graph.pipeline, step.id).into_bytes()
}

/// The nearest earlier recipe; none if there is none. `unknown` inputs are not compared.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn nearest(
    project: &Project,
    graph: &Graph,
    step: &Step,
    recipe: &impl Deref<Target = Value>,
    unknown: &BTreeSet<String>,
) -> Result<Option<Basis>, EngineError> {
    let mut search = Search { project, recipe, unknown, best: None };
    if let Some(last) = Last::of(project, graph, step) {
        let origin = Origin::of_key(project, last.key, Some(last.run))?;
        search.try_one(origin)?;
    }
    if !search.is_over() {
        search.try_all(graph, Steps::Id(step.id.as_str()))?;
    }
    Ok(search.best)
}

/// The nearest recipe of another combination of the step's matrix.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn sibling(
    project: &Project,
    graph: &Graph,
    step: &Step,
    recipe: &impl Deref<Target = Value>,
    unknown: &BTreeSet<String>,
) -> Result<Option<Basis>, EngineError> {
    let mut search = Search { project, recipe, unknown, best: None };
    search.try_all(graph, Steps::Combinations(step.name.as_str()))?;
    Ok(search.best)
}

struct Search<'a, R> {
    project: &'a Project,
    recipe: &'a R,
    unknown: &'a BTreeSet<String>,
    best: Option<Basis>,
}

impl<R: Deref<Target = Value>> Search<'_, R> {
    fn try_all(&mut self, graph: &Graph, steps: Steps<'_>) -> Result<(), EngineError> {
        let (least, most) = CANDIDATES;
        let limit = (ALL_CANDIDATES / graph.steps.len().max(1)).clamp(least, most);
        for result in self.project.cache().results_of(graph.pipeline.as_str(), steps, limit)? {
            self.try_one(Origin::of(&result?))?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn try_one(&mut self, origin: Origin) -> Result<(), EngineError> {
        let Some(old) = self.project.cache().recipe(&origin.key)? else { return Ok(()) };
        let comparison = compare(&old, self.recipe, self.unknown);
        let best = self.best.as_ref().map_or(usize::MAX, |best| best.comparison.changes.len());
        if comparison.changes.len() < best {
            self.best = Some(Basis { origin, comparison });
        }
        Ok(())
    }

    /// Whether nothing nearer can come: two recipes differ in one field at least, in none only as far as they are known.
    fn is_over(&self) -> bool {
        let fewest = usize::from(self.unknown.is_empty());
        self.best.as_ref().is_some_and(|best| best.comparison.changes.len() <= fewest)
    }
}
