//! Steps with equal keys: one of them runs for all.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use tidemill_cache::Key;

use super::decide::Decision;
use super::foreseen::Foreseen;
use super::select::Scope;
use crate::graph::{Graph, StepIndex};

/// Of several steps that have to run under one key, the one that a run decides about first runs for all; unless the user
/// insists on another one too.
pub(super) fn share(graph: &Graph, scope: &Scope, foreseen: &mut [Foreseen]) {
    let Some(candidates) = equal_keys(foreseen) else { return };
    // A run decides at once about all that waits for nothing, in the order of the graph, then about what waited.
    let mut waits = vec![false; foreseen.len()];
    for &index in &graph.order {
        waits[index.get()] = graph.upstream(index).any(|producer| {
            let runs = matches!(foreseen[producer.get()], Foreseen::Decided(Decision::Execute(_)));
            runs || waits[producer.get()]
        });
    }
    let mut order = graph.order.clone();
    order.sort_by_key(|index| waits[index.get()]);
    let mut leaders: HashMap<Key, StepIndex> = HashMap::new();
    for index in order.into_iter().filter(|index| candidates.contains(index)) {
        let Foreseen::Decided(Decision::Execute(execution)) = &foreseen[index.get()] else { continue };
        let step = graph.step(index);
        if !step.cache || step.effect.is_some() {
            continue;
        }
        let leader = *leaders.entry(execution.resolved.key).or_insert(index);
        if leader != index && !scope.forced[index.get()] {
            foreseen[index.get()] = Foreseen::Shared(leader, execution.clone());
        }
    }
}

/// The steps that have to run under a key of which another one's has the same beginning; none if there are none. Of a million keys
/// all beginnings are sorted in a tenth of the time that a map of them takes.
fn equal_keys(foreseen: &[Foreseen]) -> Option<HashSet<StepIndex>> {
    let beginning = |(place, foreseen): (usize, &Foreseen)| match foreseen {
        Foreseen::Decided(Decision::Execute(execution)) => {
            let bytes = execution.resolved.key.as_bytes().first_chunk::<8>()?;
            Some((u64::from_le_bytes(*bytes), StepIndex::new(place)))
        }
        _ => None,
    };
    let mut beginnings: Vec<(u64, StepIndex)> =
        foreseen.par_iter().enumerate().filter_map(beginning).collect();
    beginnings.par_sort_unstable();
    let equal = beginnings.chunk_by(|(left, _), (right, _)| left == right).filter(|equal| equal.len() > 1);
    let equal: HashSet<StepIndex> = equal.flatten().map(|(_, index)| *index).collect();
    (!equal.is_empty()).then_some(equal)
}
