//! From what is foreseen to the plan: what would happen to each step, and why, in a few words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tidemill_cache::Key;

use super::decide::{Decider, Decision, Manner};
use super::fetching;
use super::foreseen::{Foreseen, Foresight};
use super::memo::Memo;
use super::model::{Plan, PlannedStep, Verdict};
use super::observe::observe;
use super::select::{Scope, Selection};
use super::walk::{foresee, lost, some_is_lost};
use crate::error::EngineError;
use crate::event::SkipReason;
use crate::graph::{Graph, StepIndex};
use crate::process::LazyWarden;
use crate::project::Project;
use crate::repeats::Repeats;

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
    let project = decider.project;
    let differing = Repeats::below(decider.project.state()).differing()?;
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
        let fetch_bytes = fetching::bytes(project, graph, &graph.steps[index], &foreseen[index]);
        let step = graph.steps[index].id.clone();
        let differs = key.and_then(|key| differing.get(&key)?.note()).map(Into::into);
        Some(PlannedStep { step, verdict, reason, key, differs, has_result, expected_ms: None, fetch_bytes })
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
