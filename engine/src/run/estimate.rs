//! How long the rest of a run is likely to take, by what its steps took before.

use std::collections::HashMap;

use crate::graph::{Graph, StepIndex};
use crate::schedule::priorities;

/// What the steps of a run are expected to take, and in which order they can run.
#[derive(Debug)]
pub(super) struct Estimate {
    order: Vec<usize>,
    downstream: Vec<Vec<usize>>,
    /// By step: what it took the last time, in milliseconds; none if it never ran.
    expected: Vec<Option<u64>>,
    /// By step: the step of the pipeline file that it is a combination of.
    family: Vec<usize>,
    /// By step of the pipeline file: what its combinations took together, and how many there were.
    known: Vec<(u64, u64)>,
    /// How many steps run at once.
    jobs: usize,
}

/// How much of a step is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing: it ended, or will be found in the cache.
    Nothing,
    /// All of it.
    All,
    /// It has been running for so many milliseconds.
    Running(u64),
}

impl Estimate {
    /// For a graph, with what each step took the last time.
    pub(super) fn new(graph: &Graph, expected: Vec<Option<u64>>, jobs: usize) -> Self {
        let order = graph.order.iter().map(|index| index.get()).collect();
        let downstream = graph.downstream().into_iter();
        let downstream = downstream.map(|steps| steps.into_iter().map(StepIndex::get).collect()).collect();
        let names: Vec<&str> = graph.steps.iter().map(|step| step.id.step()).collect();
        Self::with_names(order, downstream, expected, &names, jobs)
    }

    fn with_names(
        order: Vec<usize>,
        downstream: Vec<Vec<usize>>,
        expected: Vec<Option<u64>>,
        names: &[&str],
        jobs: usize,
    ) -> Self {
        let mut families = HashMap::new();
        let mut family = Vec::with_capacity(names.len());
        for name in names {
            let next = families.len();
            family.push(*families.entry(*name).or_insert(next));
        }
        let mut known = vec![(0, 0); families.len()];
        for (step, ms) in expected.iter().enumerate() {
            if let Some(ms) = ms {
                add(&mut known[family[step]], *ms);
            }
        }
        Self { order, downstream, expected, family, known, jobs: jobs.max(1) }
    }

    /// Notes what a step took: of a matrix that never ran, the first combinations tell what the others will take.
    pub(super) fn learn(&mut self, step: usize, wall_ms: u64) {
        if self.expected[step].replace(wall_ms).is_none() {
            add(&mut self.known[self.family[step]], wall_ms);
        }
    }

    /// The time until all that is left is done, in milliseconds: the longest path, or all work on all places, whichever is
    /// longer. None if there is a step of which nothing is known.
    pub(super) fn remaining(&self, left: impl Fn(usize) -> Left) -> Option<u64> {
        let durations: Option<Vec<u64>> =
            (0..self.expected.len()).map(|step| self.duration(step, left(step))).collect();
        let durations = durations?;
        let path = priorities(&self.order, &self.downstream, &durations).into_iter().max().unwrap_or(0);
        let work: u64 = durations.iter().fold(0, |sum, ms| sum.saturating_add(*ms));
        Some(path.max(work / self.jobs as u64))
    }

    fn duration(&self, step: usize, left: Left) -> Option<u64> {
        let expected = || {
            let (sum, count) = self.known[self.family[step]];
            self.expected[step].or_else(|| sum.checked_div(count))
        };
        match left {
            Left::Nothing => Some(0),
            Left::All => expected(),
            Left::Running(elapsed) => Some(expected()?.saturating_sub(elapsed)),
        }
    }
}

fn add((sum, count): &mut (u64, u64), ms: u64) {
    *sum = sum.saturating_add(ms);
    *count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipeline `a → b[1], b[2], b[3] → c`.
    fn estimate(expected: [Option<u64>; 5], jobs: usize) -> Estimate {
        let downstream = vec![vec![1, 2, 3], vec![4], vec![4], vec![4], vec![]];
        Estimate::with_names(
            vec![0, 1, 2, 3, 4],
            downstream,
            expected.to_vec(),
            &["a", "b", "b", "b", "c"],
            jobs,
        )
    }

    #[test]
    fn the_longest_path_counts_or_the_work() {
        let known = [Some(10), Some(100), Some(100), Some(100), Some(5)];
        assert_eq!(estimate(known, 8).remaining(|_| Left::All), Some(115));
        assert_eq!(estimate(known, 1).remaining(|_| Left::All), Some(315));
        assert_eq!(estimate(known, 2).remaining(|_| Left::All), Some(157));
    }

    #[test]
    fn what_is_done_or_runs_counts_less() {
        let estimate = estimate([Some(10), Some(100), Some(100), Some(100), Some(5)], 8);
        let left = |step| match step {
            0 | 1 => Left::Nothing,
            2 => Left::Running(30),
            3 => Left::Running(1000),
            _ => Left::All,
        };
        assert_eq!(estimate.remaining(left), Some(75));
        assert_eq!(estimate.remaining(|_| Left::Nothing), Some(0));
    }

    #[test]
    fn combinations_stand_for_each_other_and_nothing_is_made_up() {
        let mut estimate = estimate([Some(10), None, None, None, Some(5)], 8);
        assert_eq!(estimate.remaining(|_| Left::All), None);
        assert_eq!(estimate.remaining(|step| if step == 4 { Left::All } else { Left::Nothing }), Some(5));
        estimate.learn(1, 100);
        estimate.learn(2, 300);
        assert_eq!(estimate.remaining(|step| if step == 3 { Left::All } else { Left::Nothing }), Some(200));
        estimate.learn(2, 100);
        assert_eq!(
            estimate.remaining(|_| Left::All),
            Some(10 + 200 + 5),
            "the last one stands for itself no more often"
        );
    }
}
