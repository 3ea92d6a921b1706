//! Which steps can be run again and compared, and why the others cannot.

use crate::error::EngineError;
use crate::graph::{Graph, Step, StepIndex};
use crate::plan::{
    Content, Decider, Decision, Execution, Foreseen, Insist, Manner, Outputs, describe_foreseen, upstream,
};
use crate::project::Project;
use crate::run::need;
use crate::schedule::{Limits, Need};

/// A step that can be run again.
pub(super) struct Candidate {
    pub(super) step: StepIndex,
    pub(super) execution: Execution,
    pub(super) cached: Outputs,
    pub(super) need: Need,
}

/// What becomes of a step that was asked for.
pub(super) enum Picked {
    Candidate(Box<Candidate>),
    /// Why it is passed over.
    Passed(String),
}

/// Looks whether a step can be run again.
///
/// # Errors
/// If the cache cannot be read.
pub(super) async fn pick(
    decider: &Decider<'_>,
    foreseen: &[Foreseen],
    limits: &Limits,
    index: StepIndex,
) -> Result<Picked, EngineError> {
    let (project, graph) = (decider.project, decider.graph);
    let step = graph.step(index);
    if step.effect.is_some() {
        return Ok(Picked::Passed("it is an effect, which would change its target again".to_owned()));
    }
    if !step.cache {
        return Ok(Picked::Passed("cache = false: it has no result to compare with".to_owned()));
    }
    let Some(cached) = cached(&foreseen[index.get()]) else {
        let why = describe_foreseen(graph, &foreseen[index.get()]);
        return Ok(Picked::Passed(format!("it has no cached result: {why}")));
    };
    let known = |producer: StepIndex| upstream(&foreseen[producer.get()]);
    let Decision::Execute(execution) = decider.decide(index, Insist::Forced, known).await? else {
        return Ok(Picked::Passed("it would not run".to_owned()));
    };
    if let Some(gone) = gone(project, step, &execution)? {
        return Ok(Picked::Passed(gone));
    }
    // Wherever it is made, it is made again here.
    let need = Need { executor: None, ..need(&step.resources) };
    if let Some((wanted, available)) = limits.impossible(&need) {
        return Ok(Picked::Passed(format!("it asks for {wanted}, and this machine has {available}")));
    }
    Ok(Picked::Candidate(Box::new(Candidate { step: index, execution: *execution, cached, need })))
}

/// The outputs that the cache has of a step.
fn cached(foreseen: &Foreseen) -> Option<Outputs> {
    match foreseen {
        Foreseen::Decided(Decision::Satisfied(satisfied)) if satisfied.manner == Manner::Cached => {
            Some(satisfied.outputs.clone())
        }
        // Its result is known; it would only run to bring bytes back.
        Foreseen::Decided(Decision::Execute(execution)) => execution.expected.clone(),
        _ => None,
    }
}

/// The input whose bytes are gone, in words.
fn gone(project: &Project, step: &Step, execution: &Execution) -> Result<Option<String>, EngineError> {
    for material in &execution.resolved.materials {
        let Content::Artifact { artifact, .. } = &material.content else { continue };
        if !project.cache().available(artifact)? {
            let run = format!("`tidemill run --force {}` makes it again with all before it", step.id);
            return Ok(Some(format!("its input `{}` is gone from the cache; {run}", material.input)));
        }
    }
    Ok(None)
}

/// The steps that are meant by these names, in the order of the graph; all if there is none.
///
/// # Errors
/// If a name is unknown.
pub(super) fn named(graph: &Graph, names: &[String]) -> Result<Vec<StepIndex>, EngineError> {
    let is = |step: &Step, name: &String| step.name.as_str() == name || step.id.as_str() == name;
    if let Some(name) = names.iter().find(|name| !graph.steps.iter().any(|step| is(step, name))) {
        return Err(crate::plan::unknown(graph, name));
    }
    let wanted =
        |index: &StepIndex| names.is_empty() || names.iter().any(|name| is(graph.step(*index), name));
    Ok(graph.order.iter().copied().filter(wanted).collect())
}
