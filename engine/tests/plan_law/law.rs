//! What the law says of one round, and the count of what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tidemill_engine::event::{Event, SkipReason};
use tidemill_engine::graph::Graph;
use tidemill_engine::plan::Scope;
use tidemill_engine::{Plan, PlannedStep, RunSummary, Selection, Verdict};

use crate::play::Place;
use crate::world::{Manner, World};

/// A plan, the run that followed, and the plan after that.
pub(crate) struct Round<'a> {
    world: &'a World,
    graph: Graph,
    scope: Scope,
    keep_going: bool,
    plan: Plan,
    heard: Heard,
    after: Result<Plan, String>,
}

/// What the events of a run say, by step.
#[derive(Default)]
struct Heard {
    started: BTreeSet<String>,
    /// Key and reason.
    queued: BTreeMap<String, Vec<(String, String)>>,
    /// The key.
    cached: BTreeMap<String, String>,
    current: BTreeSet<String>,
    skipped: BTreeSet<String>,
    blocked: BTreeMap<String, String>,
    failed: BTreeMap<String, String>,
    gate_closed: bool,
}

impl Heard {
    fn new(events: &[Event]) -> Self {
        let mut heard = Self::default();
        for event in events {
            heard.note(event);
        }
        heard
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::StepStarted { step, .. } => {
                self.started.insert(step.to_string());
            }
            Event::StepQueued { step, key, reason } => {
                self.queued.entry(step.to_string()).or_default().push((key.to_string(), reason.clone()));
            }
            Event::StepCached { step, key, .. } => {
                self.cached.insert(step.to_string(), key.to_string());
            }
            Event::StepSkipped { step, reason: SkipReason::EffectDone } => {
                self.current.insert(step.to_string());
            }
            Event::StepSkipped { step, .. } => {
                self.skipped.insert(step.to_string());
            }
            Event::StepBlocked { step, by } => {
                self.blocked.insert(step.to_string(), by.to_string());
            }
            Event::StepFailed { step, report, .. } => {
                self.failed.insert(step.to_string(), format!("{:?}", report.failure));
            }
            Event::Gate { open: false, .. } => self.gate_closed = true,
            _ => {}
        }
    }
}

impl<'a> Round<'a> {
    /// Plans, runs and plans again; if it cannot be planned, the run has to refuse for the same reason.
    pub(crate) fn play(
        place: &Place,
        world: &'a World,
        selection: &Selection,
        how: (usize, bool),
    ) -> Result<Option<Self>, String> {
        let planned = place.plan(selection);
        let (summary, events) = place.run(selection, how);
        let (plan, _summary): (Plan, RunSummary) = match (planned, summary) {
            (Ok(plan), Ok(summary)) => (plan, summary),
            (Err(planned), Err(run)) if planned.to_string() == run.to_string() && events.is_empty() => {
                return Ok(None);
            }
            (planned, summary) => {
                return Err(format!("the plan says {planned:?}, the run says {summary:?}"));
            }
        };
        let unforced = Selection { force: Vec::new(), ..selection.clone() };
        let after = place.plan(&unforced).map_err(|error| format!("after the run: {error}"));
        let graph = place.open().1;
        let scope = Scope::of(&graph, selection).map_err(|error| error.to_string())?;
        Ok(Some(Self { world, graph, scope, keep_going: how.1, plan, heard: Heard::new(&events), after }))
    }

    fn check(&self, tally: &mut Tally) -> Result<(), String> {
        let mut named = BTreeSet::new();
        for step in &self.plan.steps {
            named.insert(step.step.to_string());
            self.check_step(step).map_err(|wrong| self.told(step, &wrong))?;
            tally.note(step, &self.heard);
        }
        if let Some(step) = self.heard.started.difference(&named).next() {
            return Err(format!("{step} is not in the plan, and was executed"));
        }
        self.check_maybe()?;
        self.check_after()?;
        tally.rounds += 1;
        tally.executed += self.heard.started.len();
        tally.failed_runs += usize::from(!self.heard.failed.is_empty());
        tally.closed_gates += usize::from(self.heard.gate_closed);
        Ok(())
    }

    fn told(&self, step: &PlannedStep, wrong: &str) -> String {
        let mut plan = String::new();
        for step in &self.plan.steps {
            let key = step.key.map(|key| key.to_string()[..8].to_owned()).unwrap_or_default();
            plan.push_str(&format!("  {:?} {} ({}) {key}\n", step.verdict, step.step, step.reason));
        }
        let Heard { started, queued, cached, blocked, failed, .. } = &self.heard;
        format!(
            "{} ({:?}, {}): {wrong}\n{plan}started {started:?}\nqueued {queued:?}\ncached {cached:?}\nblocked {blocked:?}\nfailed {failed:?}",
            step.step, step.verdict, step.reason
        )
    }

    /// What was said of one step has to come true.
    fn check_step(&self, planned: &PlannedStep) -> Result<(), String> {
        let id = planned.step.as_str();
        let heard = &self.heard;
        let ran = heard.started.contains(id);
        if ran && !self.scope.may_execute[self.graph.find(id).unwrap().get()] {
            return Err("it was executed although it is not selected".to_owned());
        }
        let stopped = !heard.failed.is_empty() && !self.keep_going;
        if planned.verdict != Verdict::Maybe && ran != (planned.verdict == Verdict::Run) {
            let excused = match ran {
                true => self.follows_noise(id),
                false => {
                    let blocked = heard.blocked.get(id).is_some_and(|by| heard.failed.contains_key(by));
                    // What depends on something undeclared may give the bytes of an older result.
                    stopped || blocked || heard.failed.contains_key(id) || self.follows_noise(id)
                }
            };
            return if excused { Ok(()) } else { Err(format!("executed: {ran}")) };
        }
        if let (Verdict::Run, Some(key)) = (planned.verdict, planned.key) {
            let said = (key.to_string(), planned.reason.to_string());
            let queued = heard.queued.get(id).cloned().unwrap_or_default();
            if queued != [said] && !self.follows_noise(id) {
                return Err("it was queued with another key or reason".to_owned());
            }
        }
        let came_true = match planned.verdict {
            Verdict::Cached => heard.cached.get(id) == planned.key.map(|key| key.to_string()).as_ref(),
            Verdict::Done => heard.current.contains(id),
            Verdict::Skipped => heard.skipped.contains(id) || heard.blocked.contains_key(id),
            Verdict::Blocked => heard.blocked.contains_key(id),
            Verdict::Run | Verdict::Maybe | Verdict::Held => true,
        };
        let excused = stopped || heard.blocked.contains_key(id) || self.follows_noise(id);
        if came_true || excused { Ok(()) } else { Err("it ended otherwise".to_owned()) }
    }

    /// Whether a step reads, through others, what a step wrote that was executed and depends on what it does not declare.
    fn follows_noise(&self, id: &str) -> bool {
        let place = self.graph.find(id).unwrap();
        self.graph.upstream(place).into_iter().any(|producer| {
            let producer = &self.graph.step(producer).id;
            let noisy = self.sketch_is(producer.as_str(), |sketch| sketch.noisy);
            (noisy && self.heard.started.contains(producer.as_str())) || self.follows_noise(producer.as_str())
        })
    }

    fn sketch_is(&self, id: &str, what: impl Fn(&crate::world::Sketch) -> bool) -> bool {
        let name = id.split('[').next().unwrap();
        let place: usize = name.strip_prefix('s').unwrap().parse().unwrap();
        what(&self.world.steps[place])
    }

    /// A `maybe` waits for something that runs.
    fn check_maybe(&self) -> Result<(), String> {
        let first = |verdict| self.plan.steps.iter().find(|step| step.verdict == verdict);
        match (first(Verdict::Maybe), first(Verdict::Run)) {
            (Some(step), None) => Err(format!("it may run, and nothing does: {step:?}")),
            _ => Ok(()),
        }
    }

    /// After a run in which nothing failed there is nothing to do but what runs each time.
    fn check_after(&self) -> Result<(), String> {
        if !self.heard.failed.is_empty() {
            return Ok(());
        }
        let after = self.after.as_ref().map_err(String::clone)?;
        let each_time = |step: &PlannedStep| {
            self.sketch_is(step.step.as_str(), |sketch| sketch.manner == Manner::Uncached)
        };
        let runs = |step: &&PlannedStep| step.verdict == Verdict::Run && !each_time(step);
        if let Some(step) = after.steps.iter().find(runs) {
            return Err(format!("after the run it would run again: {step:?}"));
        }
        let maybe = after.steps.iter().find(|step| step.verdict == Verdict::Maybe);
        match maybe.filter(|_| !after.steps.iter().any(each_time)) {
            Some(step) => Err(format!("after the run it may run again: {step:?}")),
            None => Ok(()),
        }
    }
}

/// What was seen, so that nobody takes an empty law for a law.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sequences: usize,
    rounds: usize,
    refused: usize,
    keys: usize,
    executed: usize,
    failed_runs: usize,
    closed_gates: usize,
    verdicts: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    maybe_executed: usize,
}

impl Tally {
    /// Checks a round, if it could be planned.
    pub(crate) fn check(&mut self, round: Option<&Round<'_>>) -> Result<(), String> {
        self.refused += usize::from(round.is_none());
        round.map_or(Ok(()), |round| round.check(self))
    }

    fn note(&mut self, step: &PlannedStep, heard: &Heard) {
        let word = serde_json::to_value(step.verdict).unwrap();
        *self.verdicts.entry(word.as_str().unwrap().to_owned()).or_default() += 1;
        let ran = heard.started.contains(step.step.as_str());
        self.maybe_executed += usize::from(ran && step.verdict == Verdict::Maybe);
        self.keys += usize::from(ran && step.key.is_some());
        if step.verdict == Verdict::Run {
            let kind = step.reason.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
            let kind: Vec<&str> = kind.take(4).collect();
            *self.reasons.entry(kind.join(" ")).or_default() += 1;
        }
    }

    /// Whether every verdict that this world can have was seen, and each way in which a `maybe` can go.
    pub(crate) fn covers_all(&self) -> bool {
        let words = ["run", "maybe", "cached", "current", "blocked", "skipped"];
        let maybe = self.verdicts.get("maybe").copied().unwrap_or(0);
        words.iter().all(|word| self.verdicts.contains_key(*word))
            && (1..maybe).contains(&self.maybe_executed)
            && self.failed_runs > 0
            && self.closed_gates > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} sequences, {} rounds, {} more that plan and run refused for the same reason",
            self.sequences, self.rounds, self.refused
        )?;
        writeln!(f, "{} keys and reasons that were announced and came true", self.keys)?;
        writeln!(
            f,
            "{} attempts, {} runs with a failure, {} with a closed gate",
            self.executed, self.failed_runs, self.closed_gates
        )?;
        writeln!(f, "verdicts:")?;
        for (word, count) in &self.verdicts {
            writeln!(f, "{count:>8} {word}")?;
        }
        writeln!(f, "{:>8} of the maybe were executed", self.maybe_executed)?;
        writeln!(f, "reasons to run:")?;
        for (reason, count) in &self.reasons {
            writeln!(f, "{count:>8} {reason}")?;
        }
        Ok(())
    }
}
