//! Looking results up in the store before a plan is made: level by level of the graph, all keys of a level at once, so that a plan
//! waits for the store as often as the graph is deep and not as often as it is wide.

use std::sync::Arc;

use rayon::prelude::*;
use tidemill_cache::Key;

use super::decide::Decider;
use super::gate::outputs_of;
use super::inputs::Upstream;
use super::memo::Memo;
use super::outputs::Outputs;
use super::select::Scope;
use crate::error::EngineError;
use crate::graph::StepIndex;

/// Looks up what is not here of the steps that matter, as far as their keys can be known; nothing without a store. What cannot be
/// told of a step is met again when it is decided about.
pub(super) async fn look_up(decider: &Decider<'_>, scope: &Scope, memo: &Memo) -> Result<(), EngineError> {
    let cache = decider.project.cache();
    let Some(remote) = cache.remote() else { return Ok(()) };
    let graph = decider.graph;
    let mut outputs: Vec<Option<Outputs>> = vec![None; graph.steps.len()];
    let known = cache.known_keys();
    for level in levels(decider, scope) {
        let upstream =
            |producer: StepIndex| outputs[producer.get()].as_ref().map_or(Upstream::Unknown, Upstream::Known);
        let find = |index: &StepIndex| -> Option<(StepIndex, Key, Option<Outputs>)> {
            if let Some(entry) = memo.holds(*index) {
                return Some((*index, entry.key, Some(entry.outputs.clone())));
            }
            let step = graph.step(*index);
            let is_ready =
                graph.upstream(*index).all(|producer| matches!(upstream(producer), Upstream::Known(_)));
            if !is_ready || !step.cache || step.effect.is_some() || step.left_out.is_some() {
                return None;
            }
            let (resolved, _) = decider.resolve(*index, upstream).ok()?;
            let here = if known.lacks(&resolved.key) { None } else { cache.result(&resolved.key).ok()? };
            Some((*index, resolved.key, here.map(|result| outputs_of(step, &result))))
        };
        let found: Vec<(StepIndex, Key, Option<Outputs>)> = level.par_iter().filter_map(find).collect();
        let absent = found.iter().filter(|(.., outputs)| outputs.is_none()).map(|(_, key, _)| *key);
        let asked: Vec<Key> = absent.filter(|key| remote.may_know(key)).collect();
        if !asked.is_empty() {
            let (remote, here) = (Arc::clone(remote), cache.clone());
            // Whoever waits for the store still hears what else happens.
            let looked = tokio::task::spawn_blocking(move || remote.look_up(&here, &asked)).await;
            looked.expect("looking results up does not panic");
        }
        for (index, key, here) in found {
            outputs[index.get()] = match here {
                Some(outputs) => Some(outputs),
                None => cache.result(&key)?.map(|result| outputs_of(graph.step(index), &result)),
            };
        }
    }
    Ok(())
}

/// The steps that matter, by the length of the longest way to them.
fn levels(decider: &Decider<'_>, scope: &Scope) -> Vec<Vec<StepIndex>> {
    let graph = decider.graph;
    let mut depths = vec![0_usize; graph.steps.len()];
    let mut levels: Vec<Vec<StepIndex>> = Vec::new();
    for index in graph.order.iter().copied().filter(|index| scope.considered[index.get()]) {
        let depth = graph.upstream(index).map(|producer| depths[producer.get()] + 1).max().unwrap_or(0);
        depths[index.get()] = depth;
        if levels.len() <= depth {
            levels.resize_with(depth + 1, Vec::new);
        }
        levels[depth].push(index);
    }
    levels
}
