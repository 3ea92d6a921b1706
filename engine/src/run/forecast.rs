//! The verb that forecasts a run from its plan, the past of its steps and this machine.

use super::conductor::{UNKNOWN_DURATION, check_needs};
use super::machine_facts;
use super::tasks::tasks;
use crate::error::EngineError;
use crate::graph::Graph;
use crate::plan::{Plan, Scope, Selection, Verdict};
use crate::project::Project;
use crate::record::{Past, Usages};
use crate::schedule::{Forecast, Task, Work, forecast as forecast_work};

/// What a run of this plan will take on this machine, with at most so many steps at once. The planned steps that run get
/// their expected times.
///
/// # Errors
/// If a step asks for more than the machine has, so that the run would not begin.
pub fn forecast(
    project: &Project,
    graph: &Graph,
    selection: &Selection,
    plan: &mut Plan,
    jobs: Option<usize>,
) -> Result<Forecast, EngineError> {
    let limits = machine_facts::limits(project, graph, jobs, false);
    check_needs(graph, &limits)?;
    let fetch = Fetch::of(plan);
    if !plan.would_run() {
        return Ok(fetch.into_account(Forecast::default()));
    }
    let scope = Scope::of(graph, selection)?;
    let mut usages = Usages::of(project.cache(), &graph.pipeline);
    learn_from_results(project, plan, &mut usages)?;
    let expected: Vec<Option<u64>> = graph.steps.iter().map(|step| usages.expected_ms(&step.id)).collect();
    let mut work = vec![Work::None; graph.steps.len()];
    // The planned steps are those of the graph that matter, in its order.
    let mut planned = plan.steps.iter_mut().peekable();
    for (place, step) in graph.steps.iter().enumerate() {
        let Some(planned) = planned.next_if(|planned| planned.step == step.id) else { continue };
        work[place] = match planned.verdict {
            Verdict::Run => Work::Sure(usages.past(&step.id)),
            Verdict::Maybe if scope.may_execute[place] => Work::Maybe(usages.past(&step.id)),
            _ => continue,
        };
        planned.expected_ms = expected[place];
    }
    if usages.is_empty() {
        // Without a past there is nothing to play.
        return Ok(fetch.into_account(Forecast::without_past(&work)));
    }
    let order: Vec<usize> = graph.order.iter().map(|index| index.get()).collect();
    let duration = |place: usize| match work[place] {
        Work::None => 0,
        _ => expected[place].unwrap_or(UNKNOWN_DURATION),
    };
    let durations: Vec<u64> = (0..graph.steps.len()).map(duration).collect();
    let (tasks, work) = in_order(&order, &tasks(graph, &durations, &limits, true), &work);
    Ok(fetch.into_account(forecast_work(&tasks, &work, &limits)))
}

/// Bytes to fetch from the store.
struct Fetch {
    /// For what is found, and for what surely runs.
    sure: u64,
    /// For all.
    all: u64,
}

impl Fetch {
    fn of(plan: &Plan) -> Self {
        let sum = |counts: fn(Verdict) -> bool| {
            plan.steps.iter().filter(|step| counts(step.verdict)).map(|step| step.fetch_bytes).sum()
        };
        Self { sure: sum(|verdict| verdict != Verdict::Maybe), all: sum(|_| true) }
    }

    fn into_account(self, mut forecast: Forecast) -> Forecast {
        (forecast.sure.fetch_bytes, forecast.all.fetch_bytes) = (self.sure, self.all);
        forecast
    }
}

/// A step that nobody remembers may run under a key that has a result, here or from elsewhere: that says what it used.
fn learn_from_results(project: &Project, plan: &Plan, usages: &mut Usages) -> Result<(), EngineError> {
    for planned in plan.steps.iter().filter(|planned| planned.verdict.may_run() && planned.has_result) {
        let Some(key) = planned.key.filter(|_| usages.past(&planned.step).is_none()) else { continue };
        if let Some(result) = project.cache().result(&key)? {
            usages.learn(&planned.step, Past::of(&result, 0));
        }
    }
    Ok(())
}

/// The same with every task after those that it depends on.
fn in_order<'a>(order: &[usize], tasks: &[Task], work: &[Work<'a>]) -> (Vec<Task>, Vec<Work<'a>>) {
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    let rename = |task: &Task| Task {
        upstream: task.upstream.iter().map(|before| place[*before]).collect(),
        ..task.clone()
    };
    (order.iter().map(|old| rename(&tasks[*old])).collect(), order.iter().map(|old| work[*old]).collect())
}
