//! The steps of a graph as the schedule sees them: what goes before each, what it needs, how urgent it is.

use super::conductor::need;
use crate::graph::{Graph, StepIndex};
use crate::schedule::{Limits, Task, best_order, may_be_searched, priorities};

/// The steps as tasks, in the graph's order. `durations`: what each is expected to take, in milliseconds, zero if it does not
/// run; `has_past`: whether that is more than a guess, so that a better order than the longest path is worth a search.
pub(super) fn tasks(graph: &Graph, durations: &[u64], limits: &Limits, has_past: bool) -> Vec<Task> {
    let places = |steps: Vec<StepIndex>| steps.into_iter().map(StepIndex::get).collect::<Vec<usize>>();
    let downstream: Vec<Vec<usize>> = graph.downstream().into_iter().map(places).collect();
    let order: Vec<usize> = graph.order.iter().map(|index| index.get()).collect();
    let mut priority = priorities(&order, &downstream, durations);
    let task = |place: usize| Task {
        upstream: graph.upstream(StepIndex::new(place)).map(StepIndex::get).collect(),
        need: need(&graph.steps[place].resources),
        priority: 0,
    };
    let mut tasks: Vec<Task> = (0..graph.steps.len()).map(task).collect();
    if has_past && may_be_searched(tasks.len()) {
        priority = best_order(&order, &tasks, durations, priority, limits);
    }
    tasks.iter_mut().zip(priority).for_each(|(task, priority)| task.priority = priority);
    tasks
}
