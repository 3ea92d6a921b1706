//! What is foreseen for a pipeline as it is now, for those who run nothing.

use super::decide::Decider;
use super::foreseen::Foreseen;
use super::memo::Memo;
use super::observe::observe;
use super::select::{Scope, Selection};
use super::walk::foresee;
use crate::error::EngineError;
use crate::graph::Graph;
use crate::process::LazyWarden;
use crate::project::Project;

/// What is foreseen for each step.
///
/// # Errors
/// If a step does not exist, an input is missing, or a part of a key cannot be computed.
pub async fn foresee_now(
    project: &Project,
    graph: &Graph,
    selection: &Selection,
) -> Result<Vec<Foreseen>, EngineError> {
    let scope = Scope::of(graph, selection)?;
    let warden = LazyWarden::new(project.program(), project.state());
    let observations = observe(project, graph, &warden).await?;
    let decider = Decider::new(project, graph, &observations, &warden).at_once();
    let memo = Memo::open(project, graph, &observations, &scope);
    let foresight = foresee(&decider, &scope, &memo).await?;
    warden.shutdown().await;
    Ok(foresight.foreseen)
}
