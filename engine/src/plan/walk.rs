//! The walk over the graph: what a run would do with each step, as far as that can be known before anything runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use tidemill_cache::Key;

use super::decide::{Decider, Decision, Execution, Insist, Manner, Satisfied};
use super::gate;
use super::inputs::{Content, Upstream};
use super::memo::Memo;
use super::model::{Plan, PlannedStep, Verdict};
use super::observe::observe;
use super::outputs::Outputs;
use super::select::{Scope, Selection};
use crate::error::EngineError;
use crate::event::SkipReason;
use crate::graph::{Graph, Source, Step, StepIndex};
use crate::process::LazyWarden;
use crate::project::Project;

/// So many steps are looked at at once for what can be computed side by side.
const CHUNK: usize = 4096;

/// What is foreseen for a step.
#[derive(Debug, Clone)]
pub enum Foreseen {
    /// All that it needs is known.
    Decided(Decision),
    /// It has to run, under the same key as this step, which runs for both.
    Shared(StepIndex, Box<Execution>),
    /// A step before it runs; its key is not known yet. That step.
    Maybe(StepIndex),
    /// It is left out.
    Skipped(SkipReason),
    /// A closed gate stops it. The step with the gate.
    Blocked(StepIndex),
    /// The selection does not need it.
    Ignored,
}

/// What is foreseen for all steps.
#[derive(Debug)]
pub struct Foresight {
    /// By step.
    pub foreseen: Vec<Foreseen>,
    /// By step: whether it was taken from the memo.
    pub remembered: Vec<bool>,
    /// By step: whether nothing at all is left to be done with it, nor with any step before it.
    pub settled: Vec<bool>,
}

/// Plans a run without running anything.
///
/// # Errors
/// If an input is missing, a part of a key cannot be computed, or an ancestor outside of the selection has no result.
pub async fn plan(project: &Project, graph: &Graph, selection: &Selection) -> Result<Plan, EngineError> {
    let scope = Scope::of(graph, selection)?;
    let warden = LazyWarden::new(project.program(), project.state());
    let observations = observe(project, graph, &warden).await?;
    // What is asked of every step is read at once.
    let _gathering = project.cache().gather();
    let decider = Decider::new(project, graph, &observations, &warden).at_once().without_recipes();
    let memo = Memo::open(project, graph, &observations, &scope);
    let Foresight { foreseen, .. } = foresee(&decider, &scope, &memo).await?;
    warden.shutdown().await;
    let mut steps = Vec::with_capacity(graph.steps.len());
    steps.extend(judge(&decider, &scope, &foreseen)?.flatten());
    Ok(Plan { steps })
}

/// What a run would do with each step, and why; none for a step that the selection ignores.
///
/// # Errors
/// If the cache cannot be read.
pub(super) fn judge<'a>(
    decider: &Decider<'a>,
    scope: &'a Scope,
    foreseen: &'a [Foreseen],
) -> Result<impl Iterator<Item = Option<PlannedStep>> + use<'a>, EngineError> {
    let graph = decider.graph;
    let may_be_needed = may_be_needed(decider, foreseen)?;
    let surely = surely(graph, scope, foreseen);
    let planned = move |index: usize| {
        let (mut verdict, mut reason, key) = describe(graph, &foreseen[index])?;
        let lost = may_be_needed.get(&StepIndex::new(index));
        if let Some(lost) = lost {
            (verdict, reason) = (Verdict::Maybe, lost.clone().into());
        } else if let Some(why) = surely[index] {
            (verdict, reason) = (Verdict::Run, why.into());
        } else if verdict == Verdict::Maybe && !scope.may_execute[index] {
            reason = format!("not selected, so it has to be as before: {reason}").into();
        }
        let has_result = match &foreseen[index] {
            Foreseen::Decided(Decision::Execute(execution)) => execution.after > 0,
            _ => false,
        };
        let step = graph.steps[index].id.clone();
        Some(PlannedStep { step, verdict, reason, key, has_result, expected_ms: None })
    };
    Ok((0..graph.steps.len()).map(planned))
}

/// Of the steps that wait for others, those that run whatever the others give; why.
fn surely(graph: &Graph, scope: &Scope, foreseen: &[Foreseen]) -> Vec<Option<&'static str>> {
    let mut surely = vec![None; foreseen.len()];
    // Whether a gate that is not asked yet, or a step that may not execute, can keep it from running.
    let mut may_stop = vec![false; foreseen.len()];
    for &index in &graph.order {
        let place = index.get();
        let waits = matches!(foreseen[place], Foreseen::Maybe(_));
        let runs = waits || matches!(foreseen[place], Foreseen::Decided(Decision::Execute(_)));
        let (has_gate, is_cached) = match runs {
            true => (!graph.step(index).gate.is_empty(), graph.step(index).cache),
            false => (false, true),
        };
        let held_up = graph.upstream(index).any(|producer| may_stop[producer.get()]);
        may_stop[place] = held_up || (runs && has_gate) || (waits && !scope.may_execute[place]);
        if waits && !held_up && scope.may_execute[place] {
            surely[place] = match (scope.forced[place], is_cached) {
                (true, _) => Some("forced"),
                (false, false) => Some("cache = false"),
                (false, true) => None,
            };
        }
    }
    surely
}

type Description = (Verdict, Cow<'static, str>, Option<Key>);

fn describe(graph: &Graph, foreseen: &Foreseen) -> Option<Description> {
    Some(match foreseen {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => {
            let (verdict, reason) = match &satisfied.manner {
                Manner::Cached => (Verdict::Cached, Cow::Borrowed("")),
                Manner::Done => (Verdict::Done, "its target shows it already".into()),
                Manner::Held(message) => (Verdict::Held, message.clone().into()),
            };
            (verdict, reason, Some(satisfied.key))
        }
        Foreseen::Decided(Decision::Execute(execution)) => {
            (Verdict::Run, execution.reason.clone(), Some(execution.resolved.key))
        }
        Foreseen::Decided(Decision::Moved(message)) => (Verdict::Blocked, message.clone().into(), None),
        Foreseen::Shared(with, execution) => {
            let reason = format!("same key as {}, which runs", graph.step(*with).id);
            (Verdict::Cached, reason.into(), Some(execution.resolved.key))
        }
        Foreseen::Maybe(by) => {
            (Verdict::Maybe, format!("{} runs before it", graph.step(*by).id).into(), None)
        }
        Foreseen::Skipped(SkipReason::When { condition }) => {
            (Verdict::Skipped, format!("when {condition} is false").into(), None)
        }
        Foreseen::Skipped(SkipReason::Upstream { step }) => {
            (Verdict::Skipped, format!("{step} is left out").into(), None)
        }
        Foreseen::Skipped(SkipReason::EffectDone | SkipReason::Held { .. }) | Foreseen::Ignored => {
            return None;
        }
        Foreseen::Blocked(by) => {
            (Verdict::Blocked, format!("the gate of {} says no", graph.step(*by).id).into(), None)
        }
    })
}

/// Foresees a run: what is satisfied, what has to run, and what had to be brought back because a later step needs its bytes.
///
/// # Errors
/// As [`plan`].
pub async fn foresee(decider: &Decider<'_>, scope: &Scope, memo: &Memo) -> Result<Foresight, EngineError> {
    let mut restore: BTreeMap<StepIndex, String> = BTreeMap::new();
    loop {
        let Foresight { mut foreseen, remembered, settled } = forward(decider, scope, &restore, memo).await?;
        let before = restore.len();
        for index in &decider.graph.order {
            if !settled[index.get()] {
                demand(decider, &foreseen, *index, &mut restore)?;
            }
        }
        if restore.len() == before {
            share(decider.graph, scope, &mut foreseen);
            return Ok(Foresight { foreseen, remembered, settled });
        }
    }
}

async fn forward(
    decider: &Decider<'_>,
    scope: &Scope,
    restore: &BTreeMap<StepIndex, String>,
    memo: &Memo,
) -> Result<Foresight, EngineError> {
    let graph = decider.graph;
    let none = || vec![false; graph.steps.len()];
    // The steps that gave the same as in the run that the memo is of: what follows them may be taken from it.
    let (mut same, mut remembered, mut settled) = (none(), none(), none());
    let mut foreseen = vec![Foreseen::Ignored; graph.steps.len()];
    let mut gates = vec![Gate::Open; graph.steps.len()];
    let considered: Vec<StepIndex> =
        graph.order.iter().copied().filter(|index| scope.considered[index.get()]).collect();
    let mut ahead = Vec::new();
    for (place, &index) in considered.iter().enumerate() {
        if place.is_multiple_of(CHUNK) {
            let chunk = &considered[place..considered.len().min(place + CHUNK)];
            let insisted = |index: StepIndex| scope.forced[index.get()] || restore.contains_key(&index);
            let wanted = |index: StepIndex| memo.holds(index).is_none() && !insisted(index);
            ahead = decider.decide_ahead(chunk, wanted, |producer| upstream(&foreseen[producer.get()]));
        }
        let all_before = |of: &[bool]| graph.upstream(index).all(|producer| of[producer.get()]);
        let insisted = scope.forced[index.get()] || restore.contains_key(&index);
        if let Some(entry) = memo.holds(index).filter(|_| !insisted && all_before(&same)) {
            (same[index.get()], remembered[index.get()]) = (true, true);
            let in_place = !graph.skeleton.publishes(index) || memo.is_in_place(index);
            settled[index.get()] = in_place && all_before(&settled);
            foreseen[index.get()] =
                Foreseen::Decided(Decision::Satisfied(Box::new(Satisfied::remembered(entry))));
            continue;
        }
        let step = graph.step(index);
        let state = match before(graph, index, &foreseen, &gates) {
            Some(state) => state,
            None => {
                let insist = match (restore.get(&index), scope.forced[index.get()]) {
                    (Some(reason), _) => Insist::Restore(reason),
                    (None, true) if scope.may_execute[index.get()] => Insist::Forced,
                    (None, _) => Insist::No,
                };
                let known = |producer: StepIndex| upstream(&foreseen[producer.get()]);
                Foreseen::Decided(match ahead.get_mut(place % CHUNK).and_then(Option::take) {
                    Some(decision) => decision,
                    None => decider.decide(index, insist, known).await?,
                })
            }
        };
        if let (Foreseen::Decided(Decision::Execute(execution)), false) =
            (&state, scope.may_execute[index.get()])
        {
            let reason = execution.reason.to_string();
            return Err(EngineError::OutsideSelection { needed: step.id.to_string(), reason });
        }
        let gate = gate_of(decider.project, step, &state)?;
        same[index.get()] = match &state {
            Foreseen::Decided(Decision::Satisfied(satisfied)) => {
                gate == Gate::Open && memo.gave(index, &satisfied.outputs)
            }
            _ => false,
        };
        gates[index.get()] = gate;
        foreseen[index.get()] = state;
    }
    Ok(Foresight { foreseen, remembered, settled })
}

/// What follows for a step from those before it alone; none if it can be decided about.
fn before(graph: &Graph, index: StepIndex, foreseen: &[Foreseen], gates: &[Gate]) -> Option<Foreseen> {
    let step = graph.step(index);
    if let Some(condition) = &step.left_out {
        return Some(Foreseen::Skipped(SkipReason::When { condition: condition.clone() }));
    }
    let mut upstream = graph.upstream(index);
    let left_out = |producer: StepIndex| matches!(foreseen[producer.get()], Foreseen::Skipped(_));
    if let Some(by) = left_out_by(step, left_out) {
        return Some(Foreseen::Skipped(SkipReason::Upstream { step: graph.step(by).id.clone() }));
    }
    for producer in upstream.clone() {
        match &foreseen[producer.get()] {
            _ if gates[producer.get()] == Gate::Closed => return Some(Foreseen::Blocked(producer)),
            Foreseen::Blocked(by) => return Some(Foreseen::Blocked(*by)),
            _ => {}
        }
    }
    let runs = |producer: &StepIndex| match &foreseen[producer.get()] {
        Foreseen::Maybe(_) => true,
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            execution.expected.is_none() || gates[producer.get()] == Gate::Unasked
        }
        _ => false,
    };
    upstream.find(runs).map(Foreseen::Maybe)
}

/// The left-out step that leaves this one out too: one that an input cannot do without.
pub(crate) fn left_out_by(step: &Step, left_out: impl Fn(StepIndex) -> bool) -> Option<StepIndex> {
    step.inputs.values().filter(|input| !input.optional).find_map(|input| match &input.source {
        Source::Artifact(producer, _) => Some(*producer).filter(|producer| left_out(*producer)),
        Source::Collection(entries) => {
            let all = entries.iter().all(|(producer, _)| left_out(*producer));
            entries.first().filter(|_| all).map(|(producer, _)| *producer)
        }
        _ => None,
    })
}

pub(super) fn upstream(foreseen: &Foreseen) -> Upstream<'_> {
    match foreseen {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => Upstream::Known(&satisfied.outputs),
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            execution.expected.as_ref().map_or(Upstream::Unknown, Upstream::Known)
        }
        Foreseen::Skipped(_) => Upstream::LeftOut,
        _ => Upstream::Unknown,
    }
}

/// Of several steps that have to run under one key, the one that a run decides about first runs for all; unless the user
/// insists on another one too.
fn share(graph: &Graph, scope: &Scope, foreseen: &mut [Foreseen]) {
    let Some(candidates) = equal_keys(foreseen) else { return };
    // A run decides at once about all that waits for nothing, in the order of the graph, then about what waited.
    let mut waits = vec![false; foreseen.len()];
    for &index in &graph.order {
        waits[index.get()] = graph.upstream(index).any(|producer| {
            let runs = matches!(foreseen[producer.get()], Foreseen::Decided(Decision::Execute(_)));
            runs || waits[producer.get()]
        });
    }
    let mut order = graph.order.clone();
    order.sort_by_key(|index| waits[index.get()]);
    let mut leaders: HashMap<Key, StepIndex> = HashMap::new();
    for index in order.into_iter().filter(|index| candidates.contains(index)) {
        let Foreseen::Decided(Decision::Execute(execution)) = &foreseen[index.get()] else { continue };
        let step = graph.step(index);
        if !step.cache || step.effect.is_some() {
            continue;
        }
        let leader = *leaders.entry(execution.resolved.key).or_insert(index);
        if leader != index && !scope.forced[index.get()] {
            foreseen[index.get()] = Foreseen::Shared(leader, execution.clone());
        }
    }
}

/// The steps that have to run under a key of which another one's has the same beginning; none if there are none. Of a million keys
/// all beginnings are sorted in a tenth of the time that a map of them takes.
fn equal_keys(foreseen: &[Foreseen]) -> Option<HashSet<StepIndex>> {
    let beginning = |(place, foreseen): (usize, &Foreseen)| match foreseen {
        Foreseen::Decided(Decision::Execute(execution)) => {
            let bytes = execution.resolved.key.as_bytes().first_chunk::<8>()?;
            Some((u64::from_le_bytes(*bytes), StepIndex::new(place)))
        }
        _ => None,
    };
    let mut beginnings: Vec<(u64, StepIndex)> =
        foreseen.par_iter().enumerate().filter_map(beginning).collect();
    beginnings.par_sort_unstable();
    let equal = beginnings.chunk_by(|(left, _), (right, _)| left == right).filter(|equal| equal.len() > 1);
    let equal: HashSet<StepIndex> = equal.flatten().map(|(_, index)| *index).collect();
    (!equal.is_empty()).then_some(equal)
}

/// What is known of the gate of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// The steps after it go on.
    Open,
    /// They do not.
    Closed,
    /// It is asked when the step has run.
    Unasked,
}

fn gate_of(project: &Project, step: &Step, foreseen: &Foreseen) -> Result<Gate, EngineError> {
    let outputs = match (foreseen, upstream(foreseen)) {
        (Foreseen::Decided(Decision::Moved(_)), _) => return Ok(Gate::Closed),
        (_, Upstream::Known(outputs)) if !step.gate.is_empty() => outputs,
        _ => return Ok(Gate::Open),
    };
    let Some(metrics) = gate::metrics(project, step, outputs)? else { return Ok(Gate::Unasked) };
    Ok(match gate::ask(step, &metrics)?.iter().any(|condition| condition.holds == Some(false)) {
        true => Gate::Closed,
        false => Gate::Open,
    })
}

/// Adds the steps whose bytes are needed and gone: inputs of a step that runs, metrics of a gate, outputs to publish.
fn demand(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
    index: StepIndex,
    restore: &mut BTreeMap<StepIndex, String>,
) -> Result<(), EngineError> {
    let (project, step) = (decider.project, decider.graph.step(index));
    match &foreseen[index.get()] {
        Foreseen::Decided(Decision::Execute(execution)) => {
            for material in &execution.resolved.materials {
                let Content::Artifact { artifact, producers } = &material.content else { continue };
                if project.cache().available(artifact)? {
                    continue;
                }
                for producer in producers {
                    lost(decider, foreseen, *producer, restore)?;
                }
            }
        }
        Foreseen::Decided(Decision::Satisfied(satisfied)) => {
            if let Some(reason) = needs_itself(project, decider.graph, step, &satisfied.outputs)? {
                restore.entry(index).or_insert(reason);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Why a satisfied step has to run all the same: bytes of its own outputs are needed, by its gate or a publish, and gone.
///
/// # Errors
/// If the cache or the project cannot be read.
pub fn needs_itself(
    project: &Project,
    graph: &Graph,
    step: &Step,
    outputs: &Outputs,
) -> Result<Option<String>, EngineError> {
    if !step.gate.is_empty() && gate::metrics(project, step, outputs)?.is_none() {
        return Ok(Some("its metrics are gone from the cache".to_owned()));
    }
    for (name, output) in &step.outputs {
        let (Some(path), Some(Some(artifact))) = (&output.publish, outputs.get(name)) else { continue };
        let seen = project.cache().look(&path.below(&graph.folder), project.rules())?;
        let placed = seen.is_some_and(|seen| seen.artifact == *artifact);
        if !placed && !project.cache().available(artifact)? {
            return Ok(Some(format!("its output {name} is gone from the cache")));
        }
    }
    Ok(None)
}

/// The satisfied steps that have to bring back lost bytes if a step that may run does run; why, in a few words.
fn may_be_needed(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
) -> Result<BTreeMap<StepIndex, String>, EngineError> {
    let mut needed: BTreeMap<StepIndex, String> = BTreeMap::new();
    for index in decider.graph.order.iter().rev() {
        let may_run = matches!(foreseen[index.get()], Foreseen::Maybe(_)) || needed.contains_key(index);
        if !may_run {
            continue;
        }
        let step = decider.graph.step(*index);
        for input in step.inputs.values() {
            if !some_is_lost(decider, foreseen, &input.source)? {
                continue;
            }
            let mut lost_here = BTreeMap::new();
            for (producer, _) in input.source.producers() {
                lost(decider, foreseen, producer, &mut lost_here)?;
            }
            for (producer, reason) in lost_here {
                needed.entry(producer).or_insert_with(|| format!("{reason}, and {} may need it", step.id));
            }
        }
    }
    Ok(needed)
}

/// Whether an artifact of this input is known and gone.
fn some_is_lost(decider: &Decider<'_>, foreseen: &[Foreseen], source: &Source) -> Result<bool, EngineError> {
    for (producer, output) in source.producers() {
        let Upstream::Known(outputs) = upstream(&foreseen[producer.get()]) else { continue };
        if let Some(Some(artifact)) = outputs.get(output)
            && !decider.project.cache().available(artifact)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Marks a satisfied producer whose outputs are not all in the cache any more.
fn lost(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
    producer: StepIndex,
    restore: &mut BTreeMap<StepIndex, String>,
) -> Result<(), EngineError> {
    let Foreseen::Decided(Decision::Satisfied(satisfied)) = &foreseen[producer.get()] else { return Ok(()) };
    for (name, artifact) in satisfied.outputs.iter() {
        let Some(artifact) = artifact else { continue };
        if !decider.project.cache().available(artifact)? {
            restore.entry(producer).or_insert_with(|| format!("its output {name} is gone from the cache"));
        }
    }
    Ok(())
}
