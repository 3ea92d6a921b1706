//! How good the schedules are: beside what no schedule can beat, and beside the best of many others.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Device, Limits, Machine, Need, Settled, Simulation, Task, best_order, priorities};

const CPUS: u32 = 8;
const GPUS: u32 = 4;

fn limits() -> Limits {
    Limits::new(
        8,
        CPUS,
        64,
        (0..GPUS).map(|number| Device { id: format!("GPU-{number}"), memory: None }).collect(),
    )
}

/// Tasks with durations.
#[derive(Debug)]
struct Case {
    name: String,
    tasks: Vec<Task>,
    durations: Vec<u64>,
}

/// Numbers that are the same in every run.
struct Numbers(TestRunner);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        (0..end).new_tree(&mut self.0).expect("a range gives numbers").current()
    }
}

/// The shapes that pipelines have, each some times with other durations and needs.
fn cases(numbers: &mut Numbers) -> Vec<Case> {
    let mut cases = Vec::new();
    for round in 0..12_usize {
        // Preparation, a search over settings on GPUs, an evaluation of each, a choice.
        let mut search = vec![vec![], vec![0], vec![0]];
        let runs = 8 + round;
        search.extend((0..runs).map(|run| vec![1 + run % 2]));
        search.extend((0..runs).map(|run| vec![3 + run]));
        search.push((3 + runs..3 + 2 * runs).collect());
        // Folds side by side, each a chain.
        let chains = (0..40).map(|step| if step < 5 { vec![] } else { vec![step - 5] }).collect();
        // Layers, where a step depends on some of the layer before.
        let layered = (0..60_usize)
            .map(|step| match step / 10 {
                0 => vec![],
                layer => {
                    let mut before: Vec<usize> =
                        (0..3).map(|_| 10 * (layer - 1) + numbers.below(10) as usize).collect();
                    before.sort_unstable();
                    before.dedup();
                    before
                }
            })
            .collect();
        // Diamonds, one after the other.
        let diamonds = (0..40_usize)
            .map(|step| match step % 8 {
                0 if step == 0 => vec![],
                0 => vec![step - 1],
                7 => (step - 6..step).collect(),
                place => vec![step - place],
            })
            .collect();
        // Elimination of a matrix: what is left becomes less and less.
        let mut elimination: Vec<Vec<usize>> = Vec::new();
        let mut before: Vec<usize> = Vec::new();
        for size in (1..9_usize).rev() {
            let pivot = elimination.len();
            elimination.push(before.first().copied().into_iter().collect());
            let row = |column: usize| before.get(column + 1).copied().into_iter().chain([pivot]).collect();
            elimination.extend((0..size).map(row));
            before = (pivot + 1..=pivot + size).collect();
        }
        // Steps of all kinds, each after some that came before.
        let random = (0..50_usize)
            .map(|step| {
                let count = if step == 0 { 0 } else { numbers.below(4) };
                let mut before: Vec<usize> =
                    (0..count).map(|_| numbers.below(step as u64) as usize).collect();
                before.sort_unstable();
                before.dedup();
                before
            })
            .collect();
        let shapes: [(&str, Vec<Vec<usize>>); 6] = [
            ("search", search),
            ("chains", chains),
            ("layered", layered),
            ("diamonds", diamonds),
            ("elimination", elimination),
            ("random", random),
        ];
        for (shape, upstream) in shapes {
            let uses_gpus = shape == "search" || round % 3 == 2;
            let task = |upstream: Vec<usize>, numbers: &mut Numbers| {
                let gpus = if uses_gpus && numbers.below(3) > 0 { 1 + numbers.below(2) as u32 } else { 0 };
                let cpus = 1 + if round % 2 == 1 { numbers.below(4) as u32 } else { 0 };
                let memory = if round % 4 == 3 { 1 + numbers.below(16) } else { 0 };
                Task { upstream, need: Need { cpus, gpus, memory, ..Need::default() }, priority: 0 }
            };
            let tasks: Vec<Task> = upstream.into_iter().map(|upstream| task(upstream, numbers)).collect();
            // Some take long, most do not.
            let duration = |numbers: &mut Numbers| match numbers.below(5) {
                0 => 10_000 + numbers.below(90_000),
                _ => 100 + numbers.below(10_000),
            };
            let durations = tasks.iter().map(|_| duration(numbers)).collect();
            cases.push(Case { name: format!("{shape} {round}"), tasks, durations });
        }
    }
    cases
}

impl Case {
    fn downstream(&self) -> Vec<Vec<usize>> {
        let mut downstream = vec![Vec::new(); self.tasks.len()];
        for (place, task) in self.tasks.iter().enumerate() {
            task.upstream.iter().for_each(|before| downstream[*before].push(place));
        }
        downstream
    }

    /// The longest path from each task on.
    fn critical(&self) -> Vec<u64> {
        let order: Vec<usize> = (0..self.tasks.len()).collect();
        priorities(&order, &self.downstream(), &self.durations)
    }

    fn makespan(&self, priority: &[u64]) -> u64 {
        let given = |(task, priority): (&Task, &u64)| Task { priority: *priority, ..task.clone() };
        let tasks: Vec<Task> = self.tasks.iter().zip(priority).map(given).collect();
        Simulation::new(&tasks, limits()).makespan(&self.durations)
    }

    /// No schedule is shorter than the longest path, nor than what is used of anything divided by what there is of it.
    fn lower_bound(&self) -> u64 {
        let area = |used: &dyn Fn(&Need) -> u64, there_is: u64| {
            let work: u64 =
                self.tasks.iter().zip(&self.durations).map(|(task, ms)| used(&task.need) * ms).sum();
            work.div_ceil(there_is)
        };
        [
            self.critical().into_iter().max().unwrap_or(0),
            area(&|_| 1, 8),
            area(&|need| u64::from(need.cpus), u64::from(CPUS)),
            area(&|need| u64::from(need.gpus), u64::from(GPUS)),
            area(&|need| need.memory, 64),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    }

    /// What the machine that runs real steps makes of it.
    fn played_by_the_machine(&self, priority: &[u64]) -> u64 {
        let upstream = self.tasks.iter().map(|task| task.upstream.clone()).collect();
        let count = self.tasks.len();
        let mut machine =
            Machine::new(upstream, vec![true; count], &vec![false; count], priority.to_vec(), limits());
        let (mut now, mut running) = (0, std::collections::BTreeSet::new());
        loop {
            while let Some(step) = machine.next_to_decide() {
                machine.ready(step, self.tasks[step].need.clone()).unwrap();
            }
            while let Some((step, gpus)) = machine.next_to_start() {
                assert_eq!(gpus.len(), self.tasks[step].need.gpus as usize);
                running.insert((now + self.durations[step], step));
            }
            let Some((end, step)) = running.pop_first() else { break };
            now = end;
            machine.settle(step, Settled::Done).unwrap();
        }
        assert!(machine.is_finished());
        now
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "docs/performance.md tells these figures")]
fn schedules_are_near_the_best_of_many() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut numbers = Numbers(TestRunner::new_with_rng(Config::default(), rng));
    let (mut to_best, mut to_bound, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for case in cases(&mut numbers) {
        let critical = case.critical();
        let in_order: Vec<usize> = (0..case.tasks.len()).collect();
        let order = best_order(&in_order, &case.tasks, &case.durations, critical.clone(), &limits());
        let ours = case.makespan(&order);
        assert_eq!(case.played_by_the_machine(&order), ours, "{}", case.name);
        // Other list schedules: any order, the longest first, and the longest path with a blur.
        let mut best = ours.min(case.makespan(&case.durations)).min(case.makespan(&critical));
        plain.push(case.makespan(&critical) as f64);
        for attempt in 0..200 {
            let blur = |(path, _): (&u64, &u64)| match attempt % 2 {
                0 => numbers.below(1 << 20),
                _ => 1000 * path + numbers.below(400 * path + 1),
            };
            let order: Vec<u64> = critical.iter().zip(&case.durations).map(blur).collect();
            best = best.min(case.makespan(&order));
        }
        let bound = case.lower_bound();
        assert!(bound <= best, "{}: {best} is shorter than the bound {bound}", case.name);
        if let Some(plain) = plain.last_mut() {
            *plain /= best as f64;
        }
        to_best.push((ours as f64 / best as f64, case.name.clone()));
        to_bound.push(ours as f64 / bound as f64);
    }
    let mean = |ratios: &mut dyn Iterator<Item = f64>, count: usize| ratios.sum::<f64>() / count as f64;
    let count = to_best.len();
    let worst = to_best.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    println!(
        "{count} DAGs: {:.3} x the best of 250 list schedules on average, at most {:.3} x ({}); {:.3} x the lower bound on average; the longest path alone {:.3} x, at most {:.3} x",
        mean(&mut to_best.iter().map(|(ratio, _)| *ratio), count),
        worst.0,
        worst.1,
        mean(&mut to_bound.iter().copied(), count),
        mean(&mut plain.iter().copied(), count),
        plain.iter().copied().fold(1.0, f64::max),
    );
    assert!(worst.0 <= 1.1, "{} takes {:.3} times as long as it could", worst.1, worst.0);
}
