//! The loop of a run. It owns what is known; attempts run beside it and send it how they ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tidemill_cache::Running;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::attempts::{End, Waiting};
use super::elsewhere::{self, Away};
use super::estimate::Left;
use super::live::live;
use super::pulses::Pulses;
use super::releasing::Releasing;
use super::remembering::{Learned, Outlook};
use super::sharing::Sharing;
use super::storing::{self, Storing};
use super::tally::Tally;
use super::teller::Teller;
use super::{RunOptions, RunSummary, git, machine_facts};
use crate::error::EngineError;
use crate::event::{self, Event, Outcome, Pulse, Sample, Subscriber};
use crate::execute::{Cancellation, Fences, Urgency, Vacated};
use crate::failure::{Failure, FailureReport, InfraFailure, StepFailure};
use crate::gpus::{AGAIN, GpuLeases};
use crate::graph::{Graph, Resources, Step};
use crate::name::{AttemptId, RunId};
use crate::plan::{
    Decider, Decision, Execution, Foreseen, Foresight, Memo, Observations, Outputs, RunFacts, Scope, foresee,
    observe,
};
use crate::process::LazyWarden;
use crate::project::Project;
use crate::record::{History, Journal, Recap};
use crate::schedule::{Limits, Machine, Need, Settled, WrongOrder};
use crate::withdrawn::Quarantines;

/// Runs a pipeline.
///
/// # Errors
/// If it cannot begin: an input is missing, a part of a key cannot be computed, an ancestor outside of the selection has no
/// result, a step asks for more than the machine has. What fails after that is told as events and in the outcome.
pub async fn run(
    project: &Project,
    graph: Graph,
    options: RunOptions,
    mut subscribers: Vec<Box<dyn Subscriber>>,
    cancel: Cancellation,
) -> Result<RunSummary, EngineError> {
    let (now, started) = (jiff::Timestamp::now(), Instant::now());
    let id = options.id.clone().unwrap_or_else(|| RunId::generate(now));
    let scope = Scope::of(&graph, &options.selection)?;
    let limits = machine_facts::limits(project, &graph, options.jobs, false);
    check_needs(&graph, &limits)?;
    elsewhere::check_store(project, &graph)?;
    // While this is held, no collection of garbage removes anything.
    let running = Arc::new(project.cache().running()?);
    let gathering = project.cache().gather();
    let folder = project.root().to_owned();
    let git = tokio::task::spawn_blocking(move || git::state(&folder));
    let warden = Arc::new(LazyWarden::new(project.program(), project.state()));
    // Asked before anything is looked up.
    let quarantines = Quarantines::below(project.state()).last_number()?;
    let observations = observe(project, &graph, &warden).await?;
    let mut memo = Memo::open(project, &graph, &observations, &scope);
    let graph = Arc::new(graph);
    let outline = super::remembering::outline(project, &graph, &memo);
    let foresight = {
        let decider = Decider::new(project, &graph, &observations, &warden).at_once();
        foresee(&decider, &scope, &memo).await?
    };
    if foresight.foreseen.iter().any(|step| matches!(step, Foreseen::Decided(Decision::Execute(_)))) {
        warden.begin().await;
    }
    storing::bring(project, &graph, &foresight.foreseen, &foresight.settled).await?;
    let git = git.await.ok().flatten();
    memo.learn_outline(outline.get().await);
    let history = History::below(project.state());
    subscribers.insert(0, Box::new(Journal::begin(&history, &id)?));
    if let Some(token) = running.token() {
        history.note_presence(&id, token)?;
    }
    let facts = RunFacts {
        id: id.to_string(),
        commit: git.as_ref().map(|git| git.commit.clone()).unwrap_or_default(),
        time: now.to_string(),
    };
    let mut conductor = Conductor::new(
        project,
        graph,
        &options,
        cancel,
        Ready {
            running: Arc::clone(&running),
            scope,
            observations,
            foresight,
            memo,
            warden,
            limits,
            facts,
            id,
            quarantines,
            started,
            subscribers,
        },
    );
    conductor.tell_start(&options, git);
    conductor.tell_settled();
    conductor.teller.flush();
    // It is large, and whoever calls this should not have to be.
    let summary = Box::pin(conductor.conduct()).await;
    drop(gathering);
    drop(running);
    summary
}

/// Whether this machine has what every step asks for.
pub(super) fn check_needs(graph: &Graph, limits: &Limits) -> Result<(), EngineError> {
    for (resources, first) in graph.skeleton.needs() {
        if let Some((wanted, available)) = limits.impossible(&need(resources)) {
            return Err(EngineError::TooLarge { step: graph.step(first).id.to_string(), wanted, available });
        }
    }
    Ok(())
}

/// What a step needs while it runs.
pub(crate) fn need(resources: &Resources) -> Need {
    Need {
        cpus: resources.cpus,
        memory: resources.memory.unwrap_or(0),
        gpus: resources.gpus,
        vram: resources.vram,
        nodes: resources.nodes,
        tokens: resources.tokens.clone(),
        executor: resources.placement.as_ref().map(|placement| placement.executor.as_str().into()),
    }
}

/// What was prepared before a run begins.
struct Ready {
    running: Arc<Running>,
    scope: Scope,
    observations: Observations,
    foresight: Foresight,
    memo: Memo,
    warden: Arc<LazyWarden>,
    limits: Limits,
    facts: RunFacts,
    id: RunId,
    quarantines: u64,
    started: Instant,
    subscribers: Vec<Box<dyn Subscriber>>,
}

/// What is known in a run.
pub(super) struct Conductor {
    pub(super) project: Project,
    pub(super) graph: Arc<Graph>,
    pub(super) scope: Scope,
    pub(super) observations: Observations,
    pub(super) warden: Arc<LazyWarden>,
    pub(super) machine: Machine,
    /// The sign that this run goes on.
    pub(super) running: Arc<Running>,
    /// What it lets go, if there is something.
    pub(super) releasing: Option<Releasing>,
    /// What its steps may reach, once one is executed.
    pub(super) fences: Option<Arc<Fences>>,
    /// What its steps take of GPUs, so that nobody else does.
    gpu_leases: GpuLeases,
    pub(super) teller: Teller,
    pub(super) cancel: Cancellation,
    pub(super) keep_going: bool,
    pub(super) facts: RunFacts,
    pub(super) id: RunId,
    /// How many entries the log of quarantines had before anything was looked up.
    pub(super) quarantines: u64,
    /// By step: what was foreseen, as long as it holds.
    pub(super) foreseen: Vec<Option<Foreseen>>,
    /// By step: whether nothing was left to be done with it when the run began.
    pub(super) settled: Vec<bool>,
    /// By step: whether it was taken from the memo.
    pub(super) remembered: Vec<bool>,
    /// What the run before left, and what this one leaves.
    pub(super) memo: Memo,
    /// By step: what was found out of it in this run.
    pub(super) learned: BTreeMap<usize, Learned>,
    /// Whether a step gave other bytes than those that something known here may rest on.
    pub(super) rests_on_old_bytes: bool,
    /// By step: its outputs, once they are known.
    pub(super) outputs: Vec<Option<Outputs>>,
    /// By step: what is to be executed, from the decision to the end of the attempt.
    pub(super) executions: BTreeMap<usize, Execution>,
    /// By step: why it runs again although it was done.
    pub(super) restore: BTreeMap<usize, String>,
    /// By step: how often attempts failed.
    pub(super) failed_attempts: BTreeMap<usize, Tally>,
    /// Steps whose producer gave other bytes while they ran or waited for their turn.
    pub(super) stale: BTreeSet<usize>,
    /// Steps with equal keys.
    pub(super) sharing: Sharing,
    /// What it has to do with the store.
    pub(super) storing: Storing,
    /// What it has to do with executors.
    pub(super) away: Away,
    /// Steps whose leader ended, each with it and how it ended.
    pub(super) released: VecDeque<(usize, usize, Settled)>,
    pub(super) attempts: JoinSet<End>,
    /// By step: the attempt that was prepared before it was its turn.
    pub(super) prepared: BTreeMap<usize, Waiting>,
    /// The steps whose process has ended well while their attempt goes on.
    pub(super) vacated: (UnboundedSender<Vacated>, UnboundedReceiver<Vacated>),
    /// What measures the attempts, if a subscriber wants to know.
    pub(super) pulses: Pulses,
    pub(super) attempt_count: u64,
    pub(super) infrastructure_failed: bool,
    pub(super) gate_closed: bool,
    pub(super) interrupted: bool,
}

impl Conductor {
    fn new(
        project: &Project,
        graph: Arc<Graph>,
        options: &RunOptions,
        cancel: Cancellation,
        ready: Ready,
    ) -> Self {
        let Foresight { foreseen, remembered, settled } = ready.foresight;
        let storing = match project.store() {
            Some(_) => Storing::new(&foreseen, &settled),
            None => Storing::default(),
        };
        let mut outputs = vec![None; graph.steps.len()];
        let foreseen = foreseen.into_iter().enumerate().map(|(step, foreseen)| match foreseen {
            Foreseen::Decided(Decision::Satisfied(satisfied)) if settled[step] => {
                outputs[step] = Some(satisfied.outputs);
                None
            }
            foreseen => Some(foreseen),
        });
        let foreseen = foreseen.collect();
        let Outlook { upstream, priority, expected } =
            Outlook::of(project, &graph, (&settled, &ready.scope.considered), &ready.limits);
        let teller = Teller::new(ready.subscribers, ready.started);
        let jobs = ready.limits.jobs();
        let pulses = match teller.pulse_interval() {
            Some(interval) => Pulses::Wanted { interval, expected, jobs },
            None => Pulses::Unwanted,
        };
        let considered = ready.scope.considered.clone();
        let machine = Machine::new(upstream, considered, &settled, priority, ready.limits);
        Self {
            project: project.clone(),
            machine,
            running: ready.running,
            releasing: None,
            fences: None,
            gpu_leases: GpuLeases::of_machine(project),
            teller,
            pulses,
            cancel,
            keep_going: options.keep_going,
            facts: ready.facts,
            id: ready.id,
            quarantines: ready.quarantines,
            outputs,
            foreseen,
            settled,
            remembered,
            memo: ready.memo,
            learned: BTreeMap::new(),
            rests_on_old_bytes: false,
            graph,
            scope: ready.scope,
            observations: ready.observations,
            warden: ready.warden,
            executions: BTreeMap::new(),
            restore: BTreeMap::new(),
            failed_attempts: BTreeMap::new(),
            stale: BTreeSet::new(),
            sharing: Sharing::default(),
            storing,
            away: Away::default(),
            released: VecDeque::new(),
            attempts: JoinSet::new(),
            prepared: BTreeMap::new(),
            vacated: unbounded_channel(),
            attempt_count: 0,
            infrastructure_failed: false,
            gate_closed: false,
            interrupted: false,
        }
    }

    fn tell_start(&mut self, options: &RunOptions, git: Option<event::Git>) {
        let json = |values: &BTreeMap<String, crate::Value>| {
            let value = |value: &crate::Value| serde_json::to_value(value).unwrap_or_default();
            values.iter().map(|(name, document)| (name.clone(), value(document))).collect()
        };
        let outline = self.memo.outline().cloned();
        self.teller.tell(Event::RunStarted {
            version: event::VERSION,
            run: self.id.clone(),
            pipeline: self.graph.pipeline.clone(),
            file: self.project.relative(&self.graph.file).to_string(),
            cause: options.cause,
            triggered: options.triggered.clone(),
            git,
            overrides: json(&self.graph.overrides),
            params: json(&self.graph.params),
            steps: self.graph.steps.len(),
            graph: outline,
        });
    }

    async fn conduct(mut self) -> Result<RunSummary, EngineError> {
        loop {
            self.interrupted |= self.is_cancelled() && !self.machine.is_finished();
            if self.interrupted {
                self.machine.stop(0);
            } else if self.advance().await {
                continue;
            }
            if self.machine.is_stopped() {
                // Nobody gives them a place any more.
                self.prepared.clear();
            }
            let waits_for_others = self.machine.waits_for_others();
            if self.attempts.is_empty() && !waits_for_others {
                break;
            }
            self.tell_store();
            self.teller.flush();
            let cancel = self.cancel.clone();
            tokio::select! {
                Some(ended) = self.attempts.join_next() => {
                    self.ended(ended.expect("an attempt's task does not panic")).await;
                }
                Some(vacated) = self.vacated.1.recv() => self.vacate(vacated),
                samples = self.pulses.next() => self.tell_pulse(samples),
                news = self.away.next() => self.tell_elsewhere(news),
                () = tokio::time::sleep(AGAIN), if waits_for_others => {}
                () = cancel.at_least(Urgency::Terminate), if !self.interrupted => {}
            }
        }
        Ok(self.finish().await)
    }

    /// Decides and starts whatever can be; whether there was anything.
    async fn advance(&mut self) -> bool {
        let mut advanced = false;
        while let Some((step, leader, settled)) = self.released.pop_front() {
            self.follow(step, leader, settled).await;
            advanced = true;
        }
        while let Some(step) = self.machine.next_to_decide() {
            self.decide(step).await;
            advanced = true;
        }
        let wants_gpus = self.machine.wants_gpus();
        let mut others_are_known = false;
        if wants_gpus {
            let others = self.gpu_leases.look();
            others_are_known = others.is_some();
            self.machine.limits().note_others(others.as_ref());
        }
        while let Some((step, gpus)) = self.machine.next_to_start() {
            self.start(step, gpus).await;
            advanced = true;
        }
        self.gpu_leases.take(self.machine.limits().gpus_taken());
        if others_are_known {
            self.tell_waiting();
        }
        while let Some(step) = self.machine.next_to_prepare() {
            self.prepare(step);
        }
        if !self.prepared.is_empty() && !self.machine.may_follow_unasked() {
            self.recall();
        }
        advanced
    }

    /// Tells once that a step waits for a GPU that others use.
    fn tell_waiting(&mut self) {
        if self.machine.waits_for_others() && !std::mem::replace(&mut self.gpu_leases.is_told, true) {
            let message = "a step waits for GPUs that others on this machine use".to_owned();
            self.teller.tell(Event::Notice { message });
        }
    }

    fn tell_pulse(&mut self, samples: Vec<Sample>) {
        let remaining_ms = self.pulses.remaining(|step| self.left(step));
        self.teller.tell_pulse(&Pulse { samples, open: self.machine.unsettled(), remaining_ms });
    }

    /// How much of a step is left, as far as that can be foreseen.
    fn left(&self, step: usize) -> Left {
        let found = || {
            let foreseen = self.foreseen[step].as_ref();
            foreseen.is_some_and(|foreseen| {
                matches!(foreseen, Foreseen::Decided(Decision::Satisfied(_)) | Foreseen::Skipped(_))
            })
        };
        if !self.scope.considered[step] || self.machine.settled(step).is_some() || found() {
            return Left::Nothing;
        }
        match self.pulses.running_for(step) {
            Some(elapsed) => Left::Running(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            None => Left::All,
        }
    }

    async fn finish(mut self) -> RunSummary {
        self.pulses.stop().await;
        self.remove_dropped();
        // Nothing runs, nothing can be decided: what is left was stopped, or the schedule has a bug.
        if !self.machine.is_finished() && !self.machine.is_stopped() {
            tracing::error!("the schedule came to a halt with steps left");
            self.infrastructure_failed = true;
            self.machine.stop(0);
        }
        for (step, by) in self.machine.give_up() {
            if !self.interrupted {
                self.tell_blocked(step, by);
            }
        }
        self.finish_sending().await;
        self.away.forgotten(&self.project, &self.id).await;
        let counts = self.teller.counts();
        let outcome = if self.interrupted {
            Outcome::Interrupted
        } else if self.infrastructure_failed {
            Outcome::InfrastructureFailed
        } else if counts.failed > 0 {
            Outcome::StepFailed
        } else if self.gate_closed {
            Outcome::GateClosed
        } else {
            Outcome::Succeeded
        };
        let wall_ms = self.teller.wall_ms();
        self.teller.tell(Event::RunFinished { outcome, wall_ms, counts });
        self.warden.shutdown().await;
        self.put_memo_away();
        let recap = self.recap();
        RunSummary { run: self.id, outcome, counts, wall_ms, recap }
    }

    /// What the run amounts to, beside the run before it and what is live after it. That these cannot be read is no reason to
    /// call a run failed that is done.
    fn recap(&mut self) -> Recap {
        let mut recap = self.teller.take_recap();
        recap.store = self.transfer();
        let previous = match recap.metrics.is_empty() {
            true => Ok(None),
            false => {
                History::below(self.project.state()).previous_with_metrics(&self.graph.pipeline, &self.id)
            }
        };
        match previous {
            Ok(Some(previous)) => recap.compare(&previous),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the run before this one cannot be read"),
        }
        match live(&self.project, &self.graph, &self.id) {
            Ok(live) => recap.live = live,
            Err(error) => tracing::warn!(%error, "what is live cannot be read"),
        }
        recap
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.urgency() >= Urgency::Terminate
    }

    pub(super) fn step(&self, step: usize) -> &Step {
        &self.graph.steps[step]
    }

    /// Ends a step, and tells what cannot run because of it.
    pub(super) fn settle(&mut self, step: usize, settled: Settled) {
        match self.machine.settle(step, settled) {
            Ok(blocked) => {
                for (step, by) in blocked {
                    self.tell_blocked(step, by);
                }
            }
            Err(error) => self.contradiction(&error),
        }
        self.let_go_after(step, settled);
        let followers = self.sharing.release(step);
        self.released.extend(followers.into_iter().map(|follower| (follower, step, settled)));
    }

    /// Fails a step for good.
    pub(super) fn fail(&mut self, step: usize, attempt: Option<AttemptId>, report: FailureReport) {
        match report.failure {
            Failure::Infrastructure(_) => self.infrastructure_failed = true,
            Failure::Cancelled => self.interrupted = true,
            Failure::Step(_) => {}
        }
        self.executions.remove(&step);
        self.teller.tell(Event::StepFailed { step: self.step(step).id.clone(), attempt, report });
        self.settle(step, Settled::Failed);
        if !self.keep_going {
            self.machine.stop(step);
        }
    }

    /// Fails a step because of an error of the engine.
    pub(super) fn fail_with(&mut self, step: usize, error: &EngineError) {
        let message = crate::execute::describe(error);
        let failure = match error.kind() {
            crate::error::ErrorKind::Usage => Failure::Step(StepFailure::NotStarted { reason: message }),
            crate::error::ErrorKind::Infrastructure => {
                Failure::Infrastructure(InfraFailure::Storage { message })
            }
        };
        self.fail(step, None, FailureReport::without_attempt(failure, error.hint()));
    }

    /// The schedule refused an order: a bug of ours. The run stops instead of going on with a state that is not true.
    pub(super) fn contradiction(&mut self, error: &WrongOrder) {
        tracing::error!(%error, "the schedule contradicts itself");
        self.infrastructure_failed = true;
        self.machine.stop(0);
    }

    pub(super) fn tell_blocked(&mut self, step: usize, by: usize) {
        let (step, by) = (self.step(step).id.clone(), self.step(by).id.clone());
        self.teller.tell(Event::StepBlocked { step, by });
    }
}

/// What a step is thought to take that never ran, in milliseconds.
pub(super) const UNKNOWN_DURATION: u64 = 1000;
