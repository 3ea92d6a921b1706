//! In which order ready steps go: by the longest remaining path, or by an order that is known to do better.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::limits::{Limits, Need};
use super::simulate::{Simulation, Task};

/// What is shorter than this, in milliseconds, is not worth a search.
const SHORT: u64 = 2_000;
/// So many steps are played at most, in all orders together.
const MOST_PLAYED: usize = 64_000;
/// So many other orders are played at most, and at least if any are.
const MOST_ORDERS: usize = 256;
const FEWEST_ORDERS: usize = 8;

/// Whether a search among orders is worth its time for so many tasks.
#[must_use]
pub fn may_be_searched(tasks: usize) -> bool {
    tasks <= MOST_PLAYED / FEWEST_ORDERS
}

/// The priorities for tasks of which each is expected to take so long, in milliseconds; zero for those that do not run.
///
/// A list schedule by the longest remaining path (`critical`) is usually within a few percent of the best, but where steps
/// need several things it can be a sixth longer. So other orders are played too, always the same ones: the path with the need
/// of each step as its weight, the best so far with a blur, and orders by chance. The shortest schedule wins; among equals the
/// first. `order` is topological.
#[must_use]
pub fn best_order(
    order: &[usize],
    tasks: &[Task],
    durations: &[u64],
    critical: Vec<u64>,
    limits: &Limits,
) -> Vec<u64> {
    let orders = (MOST_PLAYED / tasks.len().max(1)).min(MOST_ORDERS);
    let mut simulation = Simulation::new(tasks, limits.clone());
    let mut play = |priority: &[u64]| simulation.with_priority(priority).makespan(durations);
    let mut shortest = play(&critical);
    if shortest < SHORT {
        return critical;
    }
    let mut best = critical;
    for number in 0..orders {
        let order = match number {
            0..4 => weighted(order, tasks, durations, limits, 1 + number as u64),
            _ if number % 2 == 0 => blurred(&best, number),
            _ => by_chance(tasks.len(), number),
        };
        let makespan = play(&order);
        if makespan < shortest {
            (shortest, best) = (makespan, order);
        }
    }
    best
}

/// The longest remaining path, where a step counts more if it needs much of what there is.
fn weighted(order: &[usize], tasks: &[Task], durations: &[u64], limits: &Limits, weight: u64) -> Vec<u64> {
    let mut longest = vec![0_u64; tasks.len()];
    for &place in order.iter().rev() {
        let share = limits.share(&tasks[place].need);
        let own = durations[place].saturating_mul(100 + weight * share);
        longest[place] = longest[place].saturating_add(own);
        for &before in &tasks[place].upstream {
            longest[before] = longest[before].max(longest[place]);
        }
    }
    longest
}

/// An order in which each priority is up to a half higher.
fn blurred(order: &[u64], number: usize) -> Vec<u64> {
    let highest = order.iter().copied().max().unwrap_or(0).max(1);
    // Near to the plain numbers again, however often this is done.
    let scaled = |priority: u64| {
        u64::try_from(u128::from(priority) * (1 << 40) / u128::from(highest)).unwrap_or(1 << 40)
    };
    let blur = |(place, priority): (usize, &u64)| {
        let scaled = scaled(*priority);
        scaled + scaled / 1024 * (chance(number, place) % 512)
    };
    order.iter().enumerate().map(blur).collect()
}

fn by_chance(count: usize, number: usize) -> Vec<u64> {
    (0..count).map(|place| chance(number, place)).collect()
}

/// A number that is the same in every run.
fn chance(number: usize, place: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (number, place).hash(&mut hasher);
    hasher.finish()
}

impl Limits {
    /// How much of what there is a need takes, of whatever it takes most of, in percent.
    fn share(&self, need: &Need) -> u64 {
        let of =
            |wanted: u64, there_is: u64| 100_u64.saturating_mul(wanted).checked_div(there_is).unwrap_or(0);
        let (cpus, memory, gpus) = self.all();
        of(u64::from(need.cpus), u64::from(cpus))
            .max(of(need.memory, memory))
            .max(gpus.percent(need.gpus, need.vram))
            .min(100)
    }
}
