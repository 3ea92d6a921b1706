//! Sending what a pipeline has made to the store, and getting what others have made of it.

use std::collections::BTreeSet;

use serde::Serialize;
use tidemill_cache::{ActionResult, Artifact, CacheError, Key};
use tidemill_store::{Pushed, Pushing};

use crate::error::EngineError;
use crate::graph::{Graph, StepIndex};
use crate::name::StepId;
use crate::plan::{Decision, Foreseen, Satisfied, Selection, foresee_now};
use crate::project::Project;
use crate::store::ProjectStore;

/// What was got from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The steps whose outputs are here now.
    pub steps: Vec<StepId>,
    /// Outputs that are nowhere to be had: `STEP.OUTPUT`.
    pub lost: Vec<String>,
    /// The steps that have no result, neither here nor in the store.
    pub not_made: Vec<StepId>,
}

/// What was sent, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// What was sent.
    #[serde(flatten)]
    pub pushed: Pushed,
    /// The steps that have no result to send.
    pub not_made: Vec<StepId>,
}

/// The store of a project.
///
/// # Errors
/// If there is none, or it is not to be used.
pub fn store(project: &Project) -> Result<&ProjectStore, EngineError> {
    project.store().ok_or(EngineError::NoStore)
}

/// Gets the outputs of a pipeline's steps, as it is now, into the cache; of these steps, or of all.
///
/// # Errors
/// If there is no store, a step does not exist, or the cache cannot be read.
pub async fn pull(project: &Project, graph: &Graph, steps: &[String]) -> Result<Pulled, EngineError> {
    let store = store(project)?.store.clone();
    // What is fetched is not taken for garbage meanwhile.
    let _using = project.cache().running()?;
    let (satisfied, not_made) = current(project, graph, steps).await?;
    let outputs = |satisfied: &Satisfied| {
        satisfied.outputs.iter().filter_map(|(_, artifact)| artifact.clone()).collect()
    };
    let artifacts: Vec<Artifact> =
        satisfied.iter().flat_map(|(_, found)| -> Vec<Artifact> { outputs(found) }).collect();
    let used: Vec<Key> = satisfied.iter().map(|(_, found)| found.key).collect();
    let cache = project.cache().clone();
    let brought = tokio::task::spawn_blocking(move || {
        cache.bring_here(&artifacts)?;
        store.note_use(&used);
        Ok::<_, CacheError>(())
    });
    brought.await.expect("fetching does not panic")?;
    let mut pulled = Pulled { steps: Vec::new(), lost: Vec::new(), not_made };
    for (index, found) in satisfied {
        let step = graph.step(index).id.clone();
        let mut is_whole = true;
        for (name, artifact) in found.outputs.iter() {
            if let Some(artifact) = artifact
                && !project.cache().is_here(artifact)?
            {
                is_whole = false;
                pulled.lost.push(format!("{step}.{name}"));
            }
        }
        if is_whole {
            pulled.steps.push(step);
        }
    }
    Ok(pulled)
}

/// Sends the results of a pipeline's steps, as it is now; of these steps, or of all.
///
/// # Errors
/// If there is no store, a step does not exist, or the store cannot be reached or written.
pub async fn push(
    project: &Project,
    graph: &Graph,
    steps: &[String],
    pushing: &Pushing,
) -> Result<Sent, EngineError> {
    store(project)?;
    let (satisfied, not_made) = current(project, graph, steps).await?;
    let mut keys: Vec<Key> = Vec::new();
    for (index, found) in satisfied {
        let step = graph.step(index);
        if step.cache && step.effect.is_none() {
            keys.push(found.key);
        }
    }
    let pushed = send(project, keys, pushing).await?;
    Ok(Sent { pushed, not_made })
}

/// Sends all results that the cache holds.
///
/// # Errors
/// If there is no store, or it cannot be reached or written.
pub async fn push_all(project: &Project, pushing: &Pushing) -> Result<Sent, EngineError> {
    store(project)?;
    let pushed = send(project, project.cache().keys_with_results()?, pushing).await?;
    Ok(Sent { pushed, not_made: Vec::new() })
}

async fn send(project: &Project, mut keys: Vec<Key>, pushing: &Pushing) -> Result<Pushed, EngineError> {
    // What is sent is not taken for garbage meanwhile.
    let _using = project.cache().running()?;
    keys.sort_unstable();
    keys.dedup();
    let mut results: Vec<ActionResult> = Vec::with_capacity(keys.len());
    for key in keys {
        results.extend(project.cache().result(&key)?);
    }
    let (store, cache, pushing) = (store(project)?.store.clone(), project.cache().clone(), pushing.clone());
    let sent = tokio::task::spawn_blocking(move || store.push(&cache, results, &pushing)).await;
    Ok(sent.expect("sending does not panic")?)
}

/// The steps that have a result now, and those that have none.
async fn current(
    project: &Project,
    graph: &Graph,
    steps: &[String],
) -> Result<(Vec<(StepIndex, Satisfied)>, Vec<StepId>), EngineError> {
    let selection = Selection { until: steps.to_vec(), ..Selection::default() };
    let foreseen = foresee_now(project, graph, &selection).await?;
    let (mut satisfied, mut not_made) = (Vec::new(), BTreeSet::new());
    for (place, foreseen) in foreseen.into_iter().enumerate() {
        let index = StepIndex::new(place);
        let step = graph.step(index);
        if !steps.is_empty() && !steps.iter().any(|name| is_named(step, name)) {
            continue;
        }
        match foreseen {
            Foreseen::Decided(Decision::Satisfied(found)) => satisfied.push((index, *found)),
            Foreseen::Skipped(_) | Foreseen::Ignored => {}
            _ if step.effect.is_some() || !step.cache => {}
            _ => drop(not_made.insert(step.id.clone())),
        }
    }
    Ok((satisfied, not_made.into_iter().collect()))
}

fn is_named(step: &crate::graph::Step, name: &str) -> bool {
    step.name.as_str() == name || step.id.as_str() == name
}
