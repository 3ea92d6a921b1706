//! Where a step runs: of the executors that it names, the first whose condition holds. All combinations of a matrix run at one place.

use std::collections::BTreeMap;

use super::condition::Known;
use super::fill::Filler;
use super::{Checkpoint, Placement, path};
use crate::Value;
use crate::executors::LOCAL;
use crate::name::ExecutorName;
use crate::spec::{Code, Diagnostic, LoadRequest, Problems, StepSpec, nearest};

/// Where a step runs; none for this machine. What is wrong is told.
pub(super) fn placement(
    step: &StepSpec<'_>,
    params: &BTreeMap<String, Value>,
    request: &LoadRequest<'_>,
    problems: &mut Problems,
) -> Option<Placement> {
    let axes = BTreeMap::new();
    let known = Known { source: request.text, params, axes: &axes };
    let holds = |when, problems: &mut Problems| known.left_out(when, problems).is_none();
    let chosen = step
        .executors
        .iter()
        .find(|executor| executor.when.as_ref().is_none_or(|when| holds(when, problems)))?;
    let mut filler = Filler::new(params, &axes);
    let name = filler.text(&chosen.name);
    if name == LOCAL {
        return None;
    }
    let with = match chosen.with.as_ref().map(|with| filler.filling(with)) {
        Some(Value::Map(with)) => with,
        _ => BTreeMap::new(),
    };
    let executors = request.executors;
    if let Err(reason) = executors.settings(&name, &with) {
        let near = nearest(&name, executors.names()).map(|near| format!("did you mean `{near}`?"));
        let diagnostic = Diagnostic::new(Code::Executor, reason).at(&chosen.name.span, "");
        // A name that was written as it is was told before.
        if executors.has(&name) || chosen.name.only().is_some() {
            problems.add(diagnostic.maybe_help(near.filter(|_| !executors.has(&name))));
        }
        return None;
    }
    let with = serde_json::to_string(&with).unwrap_or_default();
    Some(Placement { executor: ExecutorName::new(&name).ok()?, with })
}

/// What is saved of a step while it runs.
pub(super) fn checkpoint(
    step: &StepSpec<'_>,
    params: &BTreeMap<String, Value>,
    problems: &mut Problems,
) -> Option<Checkpoint> {
    let written = step.checkpoint.as_ref()?;
    let text = Filler::new(params, &BTreeMap::new()).text(&written.path);
    match path::written(text.trim_end_matches('/'), "the step's folder", &written.path.span) {
        Ok(path) => Some(Checkpoint { path, every: written.every }),
        Err(diagnostic) => {
            problems.add(diagnostic);
            None
        }
    }
}
