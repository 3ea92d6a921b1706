//! What is foreseen for the steps of a graph before anything runs.

use super::decide::{Decision, Execution};
use super::inputs::Upstream;
use crate::event::SkipReason;
use crate::graph::{Graph, StepIndex};

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

/// What a step that needs it knows of this one.
pub(crate) fn upstream(foreseen: &Foreseen) -> Upstream<'_> {
    match foreseen {
        Foreseen::Decided(Decision::Satisfied(satisfied)) => Upstream::Known(&satisfied.outputs),
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            execution.expected.as_ref().map_or(Upstream::Unknown, Upstream::Known)
        }
        Foreseen::Skipped(_) => Upstream::LeftOut,
        _ => Upstream::Unknown,
    }
}

/// Why a step has no result now, in a few words.
pub(crate) fn describe(graph: &Graph, foreseen: &Foreseen) -> String {
    match foreseen {
        Foreseen::Decided(Decision::Moved(message)) => message.clone(),
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            execution.reason.to_string()
        }
        Foreseen::Maybe(by) => format!("{} has to run first", graph.step(*by).id),
        Foreseen::Blocked(by) => format!("the gate of {} says no", graph.step(*by).id),
        Foreseen::Decided(Decision::Satisfied(_)) | Foreseen::Skipped(_) | Foreseen::Ignored => {
            "it is left out".to_owned()
        }
    }
}
