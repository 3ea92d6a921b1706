//! The forecast of a run: its schedule played many times, each step with a duration of its past. It is pure: the same past
//! gives the same forecast.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;

use super::limits::Limits;
use super::simulate::{Simulation, Task};
use crate::record::{Past, Source};

/// What a run will take.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// If only the steps run that surely do.
    pub sure: Estimate,
    /// If all the steps run that may.
    pub all: Estimate,
}

/// What some steps will take together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// How many steps run.
    pub steps: usize,
    /// How many of them have no past, so that everything below is without them.
    pub unknown_steps: usize,
    /// Time from the start to the end of the run, in milliseconds.
    pub wall_ms: Interval,
    /// Processor time of all steps, in milliseconds.
    pub cpu_ms: u64,
    /// Time of all steps times the GPUs that they hold, in milliseconds.
    pub gpu_ms: u64,
    /// Bytes to fetch from elsewhere before a step can start.
    pub fetch_bytes: u64,
    /// Bytes of outputs to store.
    pub store_bytes: u64,
}

/// Where a value will lie in eight of ten cases, and its middle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// Below this in one of ten cases.
    pub low: u64,
    /// As often above as below.
    pub median: u64,
    /// Above this in one of ten cases.
    pub high: u64,
}

impl Forecast {
    /// Of steps of which none has a past: how many run.
    #[must_use]
    pub fn without_past(work: &[Work<'_>]) -> Self {
        let count = |counts: fn(&Work<'_>) -> bool| {
            let steps = work.iter().filter(|work| counts(work)).count();
            Estimate { steps, unknown_steps: steps, ..Estimate::default() }
        };
        Self {
            sure: count(|work| matches!(work, Work::Sure(_))),
            all: count(|work| !matches!(work, Work::None)),
        }
    }
}

/// Whether a step runs, and what it took in the past.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// It does not run.
    None,
    /// It runs.
    Sure(Option<(&'a [Past], Source)>),
    /// It may run.
    Maybe(Option<(&'a [Past], Source)>),
}

/// How often the schedule is played.
const ROUNDS: usize = 300;
/// How often at least, however many steps there are: with many, chance averages out.
const FEWEST_ROUNDS: usize = 5;
/// How many tasks are played at most in all rounds, or about that many.
const PLAYED: usize = 50_000;
/// How far a step goes off what it took the only time that it ran, as a share of it; the more it ran, the less.
const OWN_SPREAD: f64 = 0.2;
/// The same for a step of which only other combinations of its matrix ran.
const SIBLING_SPREAD: f64 = 0.4;

/// Forecasts a run of these tasks, each after all that it depends on, and each with its work.
#[must_use]
pub fn forecast(tasks: &[Task], work: &[Work<'_>], limits: &Limits) -> Forecast {
    let sure = |work: &Work<'_>| matches!(work, Work::Sure(_));
    let all = |work: &Work<'_>| !matches!(work, Work::None);
    let mut forecast = Forecast { sure: sum(tasks, work, sure), all: sum(tasks, work, all) };
    let (tasks, work) = between(tasks, work);
    let simulation = Simulation::new(&tasks, limits.clone());
    let may_run = work.iter().any(|work| matches!(work, Work::Maybe(_)));
    let rounds = (PLAYED / tasks.len().max(1)).clamp(FEWEST_ROUNDS, ROUNDS);
    let mut random = StdRng::seed_from_u64(0);
    let (mut sure_walls, mut all_walls) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for _ in 0..rounds {
        let drawn: Vec<u64> = work.iter().map(|work| draw(work, &mut random)).collect();
        all_walls.push(simulation.makespan(&drawn));
        if may_run {
            let sure = drawn.iter().zip(&work).map(|(ms, work)| if sure(work) { *ms } else { 0 });
            sure_walls.push(simulation.makespan(&sure.collect::<Vec<u64>>()));
        }
    }
    forecast.all.wall_ms = Interval::of(all_walls);
    forecast.sure.wall_ms = if may_run { Interval::of(sure_walls) } else { forecast.all.wall_ms };
    forecast
}

/// All but the wall time.
fn sum(tasks: &[Task], work: &[Work<'_>], counts: impl Fn(&Work<'_>) -> bool) -> Estimate {
    let mut estimate = Estimate::default();
    for (task, work) in tasks.iter().zip(work).filter(|(_, work)| counts(work)) {
        estimate.steps += 1;
        let Some((past, _)) = past(work) else {
            estimate.unknown_steps += 1;
            continue;
        };
        let of = |what: fn(&Past) -> u64| past.iter().map(what).sum::<u64>() / past.len() as u64;
        estimate.cpu_ms += of(|past| past.cpu_ms);
        estimate.gpu_ms += of(|past| past.wall_ms) * u64::from(task.need.gpus);
        estimate.store_bytes += of(|past| past.stored_bytes);
    }
    estimate
}

fn past<'a>(work: &Work<'a>) -> Option<(&'a [Past], Source)> {
    match work {
        Work::None => None,
        Work::Sure(past) | Work::Maybe(past) => past.filter(|(past, _)| !past.is_empty()),
    }
}

/// What one step takes in one round: something that it took before, and a little off.
fn draw(work: &Work<'_>, random: &mut StdRng) -> u64 {
    let Some((past, source)) = past(work) else { return 0 };
    let drawn = past[random.random_range(0..past.len())].wall_ms;
    let spread = match source {
        Source::Own => OWN_SPREAD / (past.len() as f64).sqrt(),
        Source::Siblings => SIBLING_SPREAD,
    };
    // The sum of four even chances is close to a normal one; its variance is a third.
    let sum: f64 = random.random::<[u16; 4]>().into_iter().map(|even| f64::from(even) / 65_536.0).sum();
    let factor = ((sum - 2.0) * 3f64.sqrt() * spread).exp();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration, and positive")]
    let drawn = (drawn as f64 * factor) as u64;
    drawn.max(1)
}

/// The tasks that matter for the time: those that run, and those between them, which pass the order on.
fn between<'a>(tasks: &[Task], work: &[Work<'a>]) -> (Vec<Task>, Vec<Work<'a>>) {
    let runs = |task: usize| !matches!(work[task], Work::None);
    // A task is kept if something that runs is at or before it and at or after it.
    let mut after = vec![false; tasks.len()];
    for task in 0..tasks.len() {
        after[task] = runs(task) || tasks[task].upstream.iter().any(|before| after[*before]);
    }
    let mut kept: Vec<bool> = (0..tasks.len()).map(runs).collect();
    for task in (0..tasks.len()).rev().filter(|task| after[*task]) {
        if kept[task] {
            tasks[task].upstream.iter().for_each(|before| kept[*before] |= after[*before]);
        }
    }
    let mut place = vec![0; tasks.len()];
    let kept: Vec<usize> = (0..tasks.len()).filter(|task| kept[*task]).collect();
    kept.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    let is_kept = |before: &&usize| kept.binary_search(before).is_ok();
    let rename = |task: &Task| Task {
        upstream: task.upstream.iter().filter(is_kept).map(|before| place[*before]).collect(),
        ..task.clone()
    };
    (kept.iter().map(|task| rename(&tasks[*task])).collect(), kept.iter().map(|task| work[*task]).collect())
}

impl Interval {
    /// Of values that were drawn.
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at =
            |tenths: usize| values.get(values.len().saturating_sub(1) * tenths / 10).copied().unwrap_or(0);
        Self { low: at(1), median: at(5), high: at(9) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{Device, Need};

    fn limits(jobs: usize) -> Limits {
        Limits::new(
            jobs,
            8,
            u64::MAX,
            ["GPU-a", "GPU-b"].map(|id| Device { id: id.to_owned(), memory: None }).to_vec(),
        )
    }

    fn task(upstream: &[usize]) -> Task {
        Task { upstream: upstream.to_vec(), need: Need { cpus: 1, ..Need::default() }, priority: 0 }
    }

    fn past(wall_ms: u64) -> Past {
        Past { wall_ms, cpu_ms: wall_ms / 2, peak_memory: 0, stored_bytes: 100, gpus: 0 }
    }

    fn known(past: &[Past]) -> Option<(&[Past], Source)> {
        Some((past, Source::Own))
    }

    /// Within so many percent.
    fn about(value: u64, expected: u64, percent: u64) {
        let off = value.abs_diff(expected) * 100;
        assert!(off <= expected * percent, "{value} is not about {expected}");
    }

    #[test]
    fn a_step_takes_what_it_took() {
        let always = [past(60_000); 20];
        let forecast = forecast(&[task(&[])], &[Work::Sure(known(&always))], &limits(2));
        let Estimate { wall_ms, cpu_ms, store_bytes, unknown_steps, .. } = forecast.sure;
        about(wall_ms.median, 60_000, 2);
        about(wall_ms.low, 60_000, 10);
        about(wall_ms.high, 60_000, 10);
        assert_eq!((cpu_ms, store_bytes, unknown_steps), (30_000, 100, 0));
        assert_eq!(forecast.all, forecast.sure);
    }

    #[test]
    fn what_ran_once_or_differently_is_less_certain() {
        let interval = |past: &[Past], source| {
            let forecast = forecast(&[task(&[])], &[Work::Sure(Some((past, source)))], &limits(2));
            let Interval { low, median, high } = forecast.sure.wall_ms;
            assert!(low <= median && median <= high);
            high - low
        };
        let (often, once) = (interval(&[past(1000); 20], Source::Own), interval(&[past(1000)], Source::Own));
        let (varied, sibling) = (
            interval(&[500, 800, 1000, 1200, 1500].map(past), Source::Own),
            interval(&[past(1000); 20], Source::Siblings),
        );
        assert!(often < 150, "{often}");
        assert!((300..800).contains(&once), "{once}");
        assert!(varied > 600, "{varied}");
        assert!(sibling > once, "{sibling}");
    }

    #[test]
    fn chains_add_up_and_branches_share_the_machine() {
        let minute = [past(60_000); 20];
        let work = [Work::Sure(known(&minute)); 4];
        let wall = |tasks: &[Task], jobs| forecast(tasks, &work, &limits(jobs)).sure.wall_ms.median;
        let chain = [task(&[]), task(&[0]), task(&[1]), task(&[2])];
        about(wall(&chain, 4), 240_000, 5);
        let fan = [task(&[]), task(&[]), task(&[]), task(&[])];
        about(wall(&fan, 4), 60_000, 10);
        about(wall(&fan, 2), 120_000, 10);
    }

    #[test]
    fn what_does_not_run_still_orders_what_does() {
        let minute = [past(60_000); 20];
        let run = Work::Sure(known(&minute));
        // The first and the last run; the two in the middle are there already, and so is the one that nobody waits for.
        let tasks = [task(&[]), task(&[0]), task(&[1]), task(&[2]), task(&[0])];
        let work = [run, Work::None, Work::None, run, Work::None];
        let forecast = forecast(&tasks, &work, &limits(4));
        about(forecast.sure.wall_ms.median, 120_000, 5);
        assert_eq!(between(&tasks, &work).0.len(), 4);
    }

    #[test]
    fn what_may_run_is_in_the_upper_number_only() {
        let minute = [past(60_000); 20];
        let work = [Work::Sure(known(&minute)), Work::Maybe(known(&minute)), Work::Maybe(None)];
        let forecast = forecast(&[task(&[]), task(&[0]), task(&[1])], &work, &limits(2));
        let Forecast { sure, all } = &forecast;
        about(sure.wall_ms.median, 60_000, 5);
        about(all.wall_ms.median, 120_000, 5);
        assert_eq!((sure.steps, sure.unknown_steps, sure.cpu_ms), (1, 0, 30_000));
        assert_eq!((all.steps, all.unknown_steps, all.cpu_ms), (3, 1, 60_000));
        let again = super::forecast(&[task(&[]), task(&[0]), task(&[1])], &work, &limits(2));
        assert_eq!(again, forecast, "the same past gives the same forecast");
    }

    #[test]
    fn gpus_count_while_they_are_held() {
        let mut gpu = task(&[]);
        gpu.need.gpus = 2;
        let hour = [past(3_600_000)];
        let forecast = forecast(&[gpu], &[Work::Sure(known(&hour))], &limits(1));
        assert_eq!(forecast.sure.gpu_ms, 7_200_000);
    }

    #[test]
    fn nothing_takes_nothing() {
        assert_eq!(forecast(&[], &[], &limits(1)).all, Estimate::default());
        let nothing = forecast(&[task(&[])], &[Work::None], &limits(1));
        assert_eq!(nothing.all, Estimate::default());
    }

    proptest! {
        /// An interval holds its median, and what may run never makes the upper number the smaller one.
        #[test]
        fn a_forecast_is_sound(
            steps in prop::collection::vec(
                (prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0u8..4, prop::collection::vec(1u64..10_000, 0..6)),
                1..20,
            ),
            jobs in 1usize..4,
        ) {
            let pasts: Vec<Vec<Past>> =
                steps.iter().map(|(_, _, walls)| walls.iter().copied().map(past).collect()).collect();
            let mut tasks = Vec::new();
            for (place, (picks, ..)) in steps.iter().enumerate() {
                let mut upstream: Vec<usize> = picks.iter().filter(|_| place > 0).map(|pick| pick.index(place)).collect();
                upstream.sort_unstable();
                upstream.dedup();
                tasks.push(task(&upstream));
            }
            let work: Vec<Work<'_>> = steps.iter().zip(&pasts).map(|((_, kind, _), past)| match kind {
                0 => Work::None,
                1 => Work::Maybe(known(past)),
                _ => Work::Sure(known(past)),
            }).collect();
            let Forecast { sure, all } = forecast(&tasks, &work, &limits(jobs));
            for estimate in [&sure, &all] {
                let Interval { low, median, high } = estimate.wall_ms;
                prop_assert!(low <= median && median <= high);
                prop_assert!(estimate.unknown_steps <= estimate.steps);
            }
            prop_assert!(sure.steps <= all.steps && sure.cpu_ms <= all.cpu_ms && sure.store_bytes <= all.store_bytes);
        }
    }
}
