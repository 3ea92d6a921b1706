//! The walk over the graph: what a run would do with each step, as far as that can be known before anything runs.

use std::collections::BTreeMap;

use super::decide::{Decider, Decision, Insist, Satisfied};
use super::foreseen::{Foreseen, Foresight, upstream};
use super::gate;
use super::inputs::{Content, Upstream};
use super::look_up::look_up;
use super::memo::Memo;
use super::outputs::Outputs;
use super::select::Scope;
use super::shared::share;
use crate::error::EngineError;
use crate::event::SkipReason;
use crate::graph::{Graph, Output, Source, Step, StepIndex};
use crate::keep::Keep;
use crate::name::OutputName;
use crate::project::Project;

/// So many steps are looked at at once for what can be computed side by side.
const CHUNK: usize = 4096;

/// Foresees a run: what is satisfied, what has to run, and what had to be brought back because a later step needs its bytes.
///
/// # Errors
/// As [`plan`].
pub async fn foresee(decider: &Decider<'_>, scope: &Scope, memo: &Memo) -> Result<Foresight, EngineError> {
    look_up(decider, scope, memo).await?;
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

/// Whether an artifact of this input is known and gone.
pub(super) fn some_is_lost(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
    source: &Source,
) -> Result<bool, EngineError> {
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
pub(super) fn lost(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
    producer: StepIndex,
    restore: &mut BTreeMap<StepIndex, String>,
) -> Result<(), EngineError> {
    let Foreseen::Decided(Decision::Satisfied(satisfied)) = &foreseen[producer.get()] else { return Ok(()) };
    for (name, artifact) in satisfied.outputs.iter() {
        let Some(artifact) = artifact else { continue };
        if !decider.project.cache().available(artifact)? {
            let how = match is_let_go(decider.graph.step(producer), name) {
                true => "was not kept",
                false => "is gone from the cache",
            };
            restore.entry(producer).or_insert_with(|| format!("its output {name} {how}"));
        }
    }
    Ok(())
}

/// Whether a step lets an output go when all that read it are done.
#[must_use]
pub fn is_let_go(step: &Step, output: &OutputName) -> bool {
    step.keep == Keep::Final && step.outputs.get(output).is_some_and(Output::is_passed_on)
}
