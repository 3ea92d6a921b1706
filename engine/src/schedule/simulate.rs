//! How long a schedule takes: the policy of the [`super::Machine`], played with durations instead of attempts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::limits::{Held, Limits, Need};

/// Something to be scheduled.
#[derive(Debug, Clone)]
pub struct Task {
    /// The tasks that go before it.
    pub upstream: Vec<usize>,
    /// What it needs while it runs.
    pub need: Need,
    /// Of those that fit, the highest goes first.
    pub priority: u64,
}

/// A set of tasks that can be played again and again with other durations.
#[derive(Debug)]
pub struct Simulation {
    downstream: Vec<Vec<usize>>,
    open: Vec<usize>,
    priority: Vec<u64>,
    /// By task: the place of its need in `needs`.
    class: Vec<usize>,
    /// The different needs; of the ready tasks with one need, either the first fits or none.
    needs: Vec<Need>,
    limits: Limits,
}

impl Simulation {
    /// Prepares the tasks, whose upstream must have no cycle, for a machine.
    #[must_use]
    pub fn new(tasks: &[Task], limits: Limits) -> Self {
        let mut downstream = vec![Vec::new(); tasks.len()];
        let mut classes: BTreeMap<&Need, usize> = BTreeMap::new();
        let mut class = Vec::with_capacity(tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            for &before in &task.upstream {
                downstream[before].push(place);
            }
            let next = classes.len();
            class.push(*classes.entry(&task.need).or_insert(next));
        }
        let mut needs = vec![Need::default(); classes.len()];
        for (need, place) in classes {
            // What can never be given keeps a run from starting; here it is as if it asked for nothing.
            needs[place] = if limits.impossible(need).is_none() { need.clone() } else { Need::default() };
        }
        Self {
            downstream,
            open: tasks.iter().map(|task| task.upstream.len()).collect(),
            priority: tasks.iter().map(|task| task.priority).collect(),
            class,
            needs,
            limits,
        }
    }

    /// The same tasks in another order.
    pub(super) fn with_priority(&mut self, priority: &[u64]) -> &Self {
        self.priority.copy_from_slice(priority);
        self
    }

    /// The time from the start of the first task to the end of the last. A task that takes no time takes no place either.
    #[must_use]
    pub fn makespan(&self, durations: &[u64]) -> u64 {
        let mut play = Play {
            simulation: self,
            durations,
            open: self.open.clone(),
            ready: vec![BinaryHeap::new(); self.needs.len()],
            running: BinaryHeap::new(),
            held: vec![Vec::new(); self.needs.len()],
            full: vec![false; self.needs.len()],
            limits: self.limits.clone(),
        };
        for task in (0..durations.len()).filter(|task| self.open[*task] == 0) {
            play.release(task);
        }
        let mut now = 0;
        loop {
            play.start(now);
            let Some(Reverse((end, task))) = play.running.pop() else { return now };
            now = end;
            play.end(task);
        }
    }
}

/// One play.
struct Play<'a> {
    simulation: &'a Simulation,
    durations: &'a [u64],
    open: Vec<usize>,
    /// By need: the ready tasks, the highest priority on top, then the first.
    ready: Vec<BinaryHeap<(u64, Reverse<usize>)>>,
    /// By their end.
    running: BinaryHeap<Reverse<(u64, usize)>>,
    /// By need: what those that run hold; of one need, any is as good as another.
    held: Vec<Vec<Held>>,
    /// By need: whether the next one does not fit now.
    full: Vec<bool>,
    limits: Limits,
}

impl Play<'_> {
    /// All before a task has ended. What takes no time ends at once.
    fn release(&mut self, task: usize) {
        let mut released = vec![task];
        while let Some(task) = released.pop() {
            if self.durations[task] > 0 {
                let entry = (self.simulation.priority[task], Reverse(task));
                self.ready[self.simulation.class[task]].push(entry);
                continue;
            }
            released.extend(self.settle(task));
        }
    }

    /// The tasks that only waited for this one.
    fn settle(&mut self, task: usize) -> Vec<usize> {
        let mut free = Vec::new();
        for &next in &self.simulation.downstream[task] {
            self.open[next] -= 1;
            if self.open[next] == 0 {
                free.push(next);
            }
        }
        free
    }

    fn end(&mut self, task: usize) {
        if let Some(held) = self.held[self.simulation.class[task]].pop() {
            self.limits.give_back(held);
        }
        for next in self.settle(task) {
            self.release(next);
        }
    }

    /// Starts what fits, the highest priority first.
    fn start(&mut self, now: u64) {
        self.full.fill(false);
        loop {
            let open = (0..self.ready.len()).filter(|class| !self.full[*class]);
            let first = open.filter_map(|class| Some((*self.ready[class].peek()?, class))).max();
            let Some(((_, Reverse(task)), class)) = first else { return };
            let Some(held) = self.limits.take(&self.simulation.needs[class]) else {
                self.full[class] = true;
                continue;
            };
            self.ready[class].pop();
            self.held[class].push(held);
            self.running.push(Reverse((now.saturating_add(self.durations[task]), task)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::Device;

    fn limits(jobs: usize) -> Limits {
        Limits::new(jobs, 4, 100, vec![Device { id: "GPU-a".to_owned(), memory: None }])
    }

    fn one_core() -> Need {
        Need { cpus: 1, ..Need::default() }
    }

    fn task(upstream: &[usize], need: Need) -> Task {
        Task { upstream: upstream.to_vec(), need, priority: 0 }
    }

    #[test]
    fn a_chain_takes_its_sum_and_a_fan_its_share() {
        let chain = [task(&[], one_core()), task(&[0], one_core()), task(&[1], one_core())];
        assert_eq!(Simulation::new(&chain, limits(4)).makespan(&[3, 4, 5]), 12);
        let fan: Vec<Task> = (0..6).map(|_| task(&[], one_core())).collect();
        assert_eq!(Simulation::new(&fan, limits(2)).makespan(&[10; 6]), 30);
        assert_eq!(Simulation::new(&fan, limits(8)).makespan(&[10; 6]), 20, "there are four cores");
        assert_eq!(Simulation::new(&[], limits(1)).makespan(&[]), 0);
    }

    #[test]
    fn what_takes_no_time_takes_no_place_and_passes_the_order_on() {
        let tasks = [task(&[], one_core()), task(&[0], one_core()), task(&[1], one_core())];
        assert_eq!(Simulation::new(&tasks, limits(1)).makespan(&[3, 0, 5]), 8);
    }

    #[test]
    fn gpus_memory_and_tokens_are_waited_for() {
        let two = |need: Need| {
            let tasks = [task(&[], need.clone()), task(&[], need)];
            Simulation::new(&tasks, limits(4)).makespan(&[10, 10])
        };
        assert_eq!(two(Need { gpus: 1, ..one_core() }), 20);
        assert_eq!(two(Need { memory: 60, ..one_core() }), 20);
        assert_eq!(two(Need { memory: 40, ..one_core() }), 10);
        assert_eq!(two(Need { tokens: BTreeMap::from([("licence".to_owned(), 1)]), ..one_core() }), 20);
        // It could not run at all; that is told elsewhere.
        assert_eq!(two(Need { gpus: 2, ..one_core() }), 10);
    }

    #[test]
    fn the_highest_priority_goes_first() {
        let mut tasks: Vec<Task> = (0..3).map(|_| task(&[], one_core())).collect();
        tasks.push(task(&[2], one_core()));
        // The chain of the third and the fourth is the longest; begun last, it would take 30.
        (tasks[2].priority, tasks[3].priority) = (20, 10);
        assert_eq!(Simulation::new(&tasks, limits(2)).makespan(&[10; 4]), 20);
        tasks[2].priority = 0;
        assert_eq!(Simulation::new(&tasks, limits(2)).makespan(&[10; 4]), 30);
    }

    proptest! {
        /// No schedule is shorter than its longest chain, or than its work spread over all places; none is longer than all
        /// its work.
        #[test]
        fn a_makespan_is_possible(
            steps in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0u64..50, 1u32..4), 1..30),
            jobs in 1usize..5,
        ) {
            let mut longest = vec![0; steps.len()];
            let mut tasks = Vec::new();
            for (place, (picks, duration, cpus)) in steps.iter().enumerate() {
                let mut upstream: Vec<usize> = picks.iter().filter(|_| place > 0).map(|pick| pick.index(place)).collect();
                upstream.sort_unstable();
                upstream.dedup();
                longest[place] = duration + upstream.iter().map(|before| longest[*before]).max().unwrap_or(0);
                tasks.push(task(&upstream, Need { cpus: *cpus, ..Need::default() }));
            }
            let durations: Vec<u64> = steps.iter().map(|(_, duration, _)| *duration).collect();
            let makespan = Simulation::new(&tasks, limits(jobs)).makespan(&durations);
            let work: u64 = durations.iter().sum();
            let core_work: u64 = steps.iter().map(|(_, duration, cpus)| duration * u64::from(*cpus)).sum();
            prop_assert!(makespan >= longest.iter().copied().max().unwrap_or(0));
            prop_assert!(makespan * jobs as u64 >= work && makespan * 4 >= core_work);
            prop_assert!(makespan <= work);
        }
    }
}
