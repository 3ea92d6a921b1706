//! The loop: every step so many rounds, as many at once as the machine allows; then what all rounds of a step showed is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use tidemill_cache::{CacheError, Key};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use super::compare::Comparison;
use super::pick::{Candidate, Picked, named, pick};
use crate::error::EngineError;
use crate::execute::{Attempt, Cancellation, Fences, Rehearsed, Urgency, describe, rehearse};
use crate::failure::{Failure, FailureReport, InfraFailure};
use crate::gpus::{AGAIN, GpuLeases};
use crate::graph::{Graph, StepIndex};
use crate::name::{AttemptId, RunId, StepId};
use crate::plan::{Decider, Memo, RunFacts, Scope, Selection, foresee, observe};
use crate::process::LazyWarden;
use crate::project::Project;
use crate::record::{History, Presence};
use crate::repeats::{Difference, Repeats, Repetition};
use crate::run::limits;
use crate::schedule::{Held, Limits};
use crate::withdrawn::Quarantines;

/// What is to be run again, and how.
#[derive(Debug, Clone)]
pub struct RepeatOptions {
    /// The steps, by name or with their matrix values; all if there is none.
    pub steps: Vec<String>,
    /// How often each is run again.
    pub repeats: u64,
    /// How far metrics may be apart, relatively; without it their bytes are compared.
    pub tolerance: Option<f64>,
    /// How many steps may run at once; as many as there are cores if nothing was said.
    pub jobs: Option<usize>,
}

/// What running steps again showed.
#[derive(Debug, Clone, Serialize)]
pub struct RepeatReport {
    /// The steps that were asked for, in the order of the graph.
    pub steps: Vec<Verified>,
    /// Whether it was stopped before all was done.
    pub interrupted: bool,
}

/// What is known of a step that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The step.
    pub step: StepId,
    /// Its key, if it was run again.
    pub key: Option<Key>,
    /// What showed.
    #[serde(flatten)]
    pub verdict: StepVerdict,
}

/// What running a step again showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum StepVerdict {
    /// It gave the same each time.
    Same {
        /// How often it ran.
        repeats: u64,
    },
    /// It gave something else.
    Differs {
        /// How often it ran.
        repeats: u64,
        /// How often it gave something else.
        differing: u64,
        /// Where that was, in words.
        note: String,
        /// Where that was.
        difference: Difference,
    },
    /// It failed.
    Failed {
        /// The first failure.
        report: FailureReport,
    },
    /// It was not run again.
    Passed {
        /// Why.
        reason: String,
    },
}

/// A round that ended, for who watches.
#[derive(Debug)]
pub struct Round<'a> {
    /// The step.
    pub step: &'a StepId,
    /// How many of its rounds have ended.
    pub number: u64,
    /// What differed, if something did; or why it failed.
    pub outcome: Result<Option<&'a Difference>, &'a Failure>,
}

impl RepeatReport {
    /// Whether a step differs or failed.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let is_bad = |step: &Verified| {
            matches!(step.verdict, StepVerdict::Differs { .. } | StepVerdict::Failed { .. })
        };
        self.steps.iter().any(is_bad)
    }
}

/// What the rounds of a step showed so far.
#[derive(Default)]
struct Shown {
    ended: u64,
    same: u64,
    differing: u64,
    difference: Option<Difference>,
    failure: Option<FailureReport>,
}

/// Runs cached steps again, and compares what they give with what the cache has.
///
/// # Errors
/// If a step is unknown, an input is missing, or the cache cannot be read.
pub async fn repeat(
    project: &Project,
    graph: Graph,
    options: &RepeatOptions,
    cancel: &Cancellation,
    mut told: impl FnMut(&Round<'_>),
) -> Result<RepeatReport, EngineError> {
    let steps = named(&graph, &options.steps)?;
    let scope = Scope::of(&graph, &Selection { until: options.steps.clone(), ..Selection::default() })?;
    // While this is held, no collection of garbage removes anything.
    let running = project.cache().running()?;
    let quarantines = Quarantines::below(project.state()).last_number()?;
    let warden = Arc::new(LazyWarden::new(project.program(), project.state()));
    let observations = observe(project, &graph, &warden).await?;
    let limits = limits(project, &graph, options.jobs, true);
    let mut picked = Vec::with_capacity(steps.len());
    {
        let decider = Decider::new(project, &graph, &observations, &warden);
        let foreseen = foresee(&decider, &scope, &Memo::default()).await?.foreseen;
        for index in &steps {
            picked.push(pick(&decider, &foreseen, &limits, *index).await?);
        }
    }
    let now = jiff::Timestamp::now();
    let id = RunId::generate(now);
    let facts = RunFacts { id: id.to_string(), commit: String::new(), time: now.to_string() };
    // With it the step folders are not taken for those of a run that died.
    let presence = Presence::begin(&History::below(project.state()), &id)?;
    let graph = Arc::new(graph);
    let order = Order {
        project,
        graph: &graph,
        id: &id,
        facts,
        quarantines,
        fences: Arc::new(Fences::of(project, &graph)),
    };
    let mut rounds = Rounds { order, options, warden: &warden, cancel, limits, started: 0 };
    let shown = rounds.all(&picked, &mut told).await;
    warden.shutdown().await;
    presence.end();
    let mut report = RepeatReport {
        steps: Vec::with_capacity(steps.len()),
        interrupted: cancel.urgency() >= Urgency::Terminate,
    };
    for ((index, picked), shown) in steps.into_iter().zip(picked).zip(shown) {
        report.steps.push(verified(project, &graph, options, (index, picked, shown))?);
    }
    drop(running);
    Ok(report)
}

/// What all rounds of a step amount to; kept if there was something to compare.
fn verified(
    project: &Project,
    graph: &Graph,
    options: &RepeatOptions,
    (index, picked, shown): (StepIndex, Picked, Shown),
) -> Result<Verified, EngineError> {
    let step = graph.step(index).id.clone();
    let candidate = match picked {
        Picked::Candidate(candidate) => candidate,
        Picked::Passed(reason) => {
            return Ok(Verified { step, key: None, verdict: StepVerdict::Passed { reason } });
        }
    };
    let key = candidate.execution.resolved.key;
    let repeats = shown.same + shown.differing;
    if repeats > 0 {
        let repetition = Repetition {
            repeats,
            differing: shown.differing,
            difference: shown.difference.clone(),
            tolerance: options.tolerance,
            at: jiff::Timestamp::now(),
            by: project.user().to_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        Repeats::below(project.state()).add(&key, &repetition)?;
    }
    let verdict = match (shown.failure, shown.difference) {
        (_, Some(difference)) => {
            let note = difference.to_string();
            StepVerdict::Differs { repeats, differing: shown.differing, note, difference }
        }
        (Some(report), None) => StepVerdict::Failed { report },
        (None, None) if repeats == 0 => StepVerdict::Passed { reason: "it was not its turn yet".to_owned() },
        (None, None) => StepVerdict::Same { repeats },
    };
    Ok(Verified { step, key: Some(key), verdict })
}

/// What every round needs.
struct Order<'a> {
    project: &'a Project,
    graph: &'a Arc<Graph>,
    id: &'a RunId,
    facts: RunFacts,
    quarantines: u64,
    fences: Arc<Fences>,
}

struct Rounds<'a> {
    order: Order<'a>,
    options: &'a RepeatOptions,
    warden: &'a Arc<LazyWarden>,
    cancel: &'a Cancellation,
    limits: Limits,
    started: u64,
}

/// How a round ended: of which of the picked steps, with what it held, and what it showed; nothing if it was stopped.
struct Ended {
    place: usize,
    held: Held,
    result: Result<Option<Difference>, FailureReport>,
}

impl Rounds<'_> {
    /// Plays all rounds; by picked step: what they showed.
    async fn all(&mut self, picked: &[Picked], told: &mut impl FnMut(&Round<'_>)) -> Vec<Shown> {
        let mut shown: Vec<Shown> = picked.iter().map(|_| Shown::default()).collect();
        let candidate = |place: usize| match &picked[place] {
            Picked::Candidate(candidate) => Some(candidate.as_ref()),
            Picked::Passed(_) => None,
        };
        let places = (0..picked.len()).filter(|place| candidate(*place).is_some());
        let mut queue: VecDeque<usize> =
            places.flat_map(|place| (0..self.options.repeats).map(move |_| place)).collect();
        let wants_gpus =
            picked.iter().any(|picked| matches!(picked, Picked::Candidate(one) if one.need.gpus > 0));
        let mut leases = GpuLeases::of_machine(self.order.project);
        let mut running: JoinSet<Ended> = JoinSet::new();
        loop {
            if self.cancel.urgency() >= Urgency::Terminate {
                queue.clear();
            }
            if wants_gpus {
                self.limits.note_others(leases.look().as_ref());
            }
            let mut waiting = VecDeque::new();
            while self.limits.jobs() > 0
                && let Some(place) = queue.pop_front()
            {
                let Some(candidate) = candidate(place) else { continue };
                match self.limits.take(&candidate.need) {
                    Some(held) => self.start(&mut running, place, candidate, held),
                    None => waiting.push_back(place),
                }
            }
            waiting.append(&mut queue);
            queue = waiting;
            leases.take(self.limits.gpus_taken());
            if running.is_empty() && queue.is_empty() {
                return shown;
            }
            let cancel = self.cancel.clone();
            tokio::select! {
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    let Ended { place, held, result } = ended.expect("the task of a round does not panic");
                    self.limits.give_back(held);
                    if let Some(candidate) = candidate(place) {
                        let step = &self.order.graph.step(candidate.step).id;
                        note(&mut shown[place], step, result, told);
                    }
                }
                // Another process has the GPUs.
                () = tokio::time::sleep(AGAIN), if !queue.is_empty() => {}
                () = cancel.at_least(Urgency::Terminate), if !queue.is_empty() => {}
            }
        }
    }

    fn start(&mut self, running: &mut JoinSet<Ended>, place: usize, candidate: &Candidate, held: Held) {
        self.started += 1;
        let Order { project, graph, id, facts, quarantines, fences } = &self.order;
        let attempt = Attempt {
            id: AttemptId::new(id, self.started),
            graph: Arc::clone(graph),
            step: candidate.step,
            execution: candidate.execution.clone(),
            run: facts.clone(),
            quarantines: *quarantines,
            log: project.run_folder(id).join(format!("{}.log", self.started)),
            timeout: graph.step(candidate.step).timeout,
            kind: None,
            rank: None,
            fences: Arc::clone(fences),
            // Nobody waits for its place.
            vacated: unbounded_channel().0,
        };
        let (project, warden, cancel) = ((*project).clone(), Arc::clone(self.warden), self.cancel.clone());
        let (graph, step, cached) = (Arc::clone(graph), candidate.step, candidate.cached.clone());
        let (tolerance, gpus) = (self.options.tolerance, held.gpus.clone());
        let compare = {
            let project = project.clone();
            move |Rehearsed { root, aside }: Rehearsed| {
                let step = graph.step(step);
                let comparison =
                    Comparison { project: &project, step, cached: &cached, root: &root, aside, tolerance };
                comparison.difference().map_err(|error: CacheError| {
                    Failure::Infrastructure(InfraFailure::Storage { message: describe(&error) })
                })
            }
        };
        running.spawn(async move {
            let result = rehearse(&project, &warden, attempt, gpus, &cancel, compare).await;
            Ended { place, held, result }
        });
    }
}

fn note(
    shown: &mut Shown,
    step: &StepId,
    result: Result<Option<Difference>, FailureReport>,
    told: &mut impl FnMut(&Round<'_>),
) {
    shown.ended += 1;
    let number = shown.ended;
    match &result {
        Ok(difference) => told(&Round { step, number, outcome: Ok(difference.as_ref()) }),
        // Who stopped it knows.
        Err(FailureReport { failure: Failure::Cancelled, .. }) => return,
        Err(report) => told(&Round { step, number, outcome: Err(&report.failure) }),
    }
    match result {
        Ok(None) => shown.same += 1,
        Ok(Some(difference)) => {
            shown.differing += 1;
            shown.difference.get_or_insert(difference);
        }
        Err(report) => drop(shown.failure.get_or_insert(report)),
    }
}
