//! Why a step runs, in a few words: the first change of the comparison that `explain` shows whole.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::decide::{Decider, Insist};
use super::explain::{Basis, Depth, Last, Look, Origin, nearest, summary};
use super::recipe::Resolved;
use crate::error::EngineError;
use crate::graph::Step;

/// Why a step runs.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    /// In a few words.
    pub text: Cow<'static, str>,
    /// What was compared with, if it runs because its recipe is another one.
    pub against: Option<Origin>,
}

impl Reason {
    fn plain(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), against: None }
    }
}

/// Why a step runs that has no result, or whose result does not do.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn reason(
    decider: &Decider<'_>,
    step: &Step,
    resolved: &Resolved,
    insist: Insist<'_>,
) -> Result<Reason, EngineError> {
    match insist {
        Insist::Forced => return Ok(Reason::plain("forced")),
        Insist::Restore(reason) => return Ok(Reason::plain(reason.to_owned())),
        Insist::No => {}
    }
    let (project, graph) = (decider.project, decider.graph);
    let last = Last::of(project, graph, step);
    if !step.cache && last.is_some() {
        return Ok(Reason::plain("cache = false"));
    }
    if step.effect.is_some() && project.cache().result(&resolved.key)?.is_some() {
        return Ok(Reason::plain("its target no longer shows it"));
    }
    if let Some(withdrawal) = decider.withdrawal(&resolved.key)? {
        return Ok(Reason::plain(match withdrawal.reason.as_str() {
            "" => "its result was quarantined".to_owned(),
            reason => format!("its result was quarantined: {reason}"),
        }));
    }
    if last.as_ref().is_some_and(|last| last.key == resolved.key) {
        return Ok(Reason::plain("its last run gave no result"));
    }
    // Of a step that never ran there is nothing to compare.
    let recipe = LazyCell::new(|| resolved.document());
    let found = nearest(project, graph, step, &recipe, &BTreeSet::new())?;
    let Some(Basis { origin, mut comparison }) = found.filter(|basis| !basis.comparison.changes.is_empty())
    else {
        return Ok(Reason::plain(match last {
            Some(_) => "its last run left nothing to compare with",
            None => "has not run yet",
        }));
    };
    let look = Look { project, graph, step, materials: &resolved.materials };
    if let Some(first) = comparison.changes.first_mut() {
        look.inside(first, Depth::First);
    }
    let text = summary(&comparison.changes).unwrap_or_default();
    Ok(Reason { text: text.into(), against: Some(origin) })
}
