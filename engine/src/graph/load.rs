//! Text to graph: reads the pipeline, then expands it, and tells all mistakes of both at once.

use std::sync::Arc;

use tidemill_cache::Digest;

use super::expand::{Expanded, expand};
use super::trigger::{Trigger, triggers};
use super::{Graph, Skeleton, order};
use crate::name::PipelineName;
use crate::spec::{Code, Diagnostic, Diagnostics, LoadRequest, Problems, Spec, read};

/// The graph of a pipeline file.
///
/// # Errors
/// All mistakes of the file, and of the parameters that were handed in.
pub fn load(request: &LoadRequest<'_>) -> Result<Graph, Diagnostics> {
    let mut problems = Problems::default();
    let graph = read(request, &mut problems).and_then(|spec| build(spec, request, &mut problems));
    match graph {
        Some(graph) if problems.is_empty() => Ok(graph),
        _ => {
            let name = request.file.file_name().unwrap_or(request.file.as_str());
            Err(problems.into_diagnostics(name, request.text))
        }
    }
}

/// The name of a pipeline, and what starts runs of it by itself.
///
/// # Errors
/// All mistakes of the file that are seen without expanding it.
pub(crate) fn read_triggers(request: &LoadRequest<'_>) -> Result<(PipelineName, Vec<Trigger>), Diagnostics> {
    let mut problems = Problems::default();
    let found = read(request, &mut problems).and_then(|spec| {
        let triggers = triggers(&spec, request.text, &mut problems);
        Some((spec.name?, triggers))
    });
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        _ => {
            let name = request.file.file_name().unwrap_or(request.file.as_str());
            Err(problems.into_diagnostics(name, request.text))
        }
    }
}

fn build(spec: Spec<'_>, request: &LoadRequest<'_>, problems: &mut Problems) -> Option<Graph> {
    if spec.steps.is_empty() && problems.is_empty() {
        let diagnostic = Diagnostic::new(Code::NoSteps, "the pipeline has no steps");
        problems.add(diagnostic.help("add one: `[steps.hello]` and below it `run = \"echo hello\"`"));
    }
    order::check_cycles(&spec, problems);
    // They are read for their mistakes: who answers them reads them by themselves.
    drop(triggers(&spec, request.text, problems));
    let Expanded { steps, origins, globs } = expand(&spec, request, problems);
    if !problems.is_empty() {
        return None;
    }
    let mut graph = Graph {
        pipeline: spec.name?,
        description: spec.description,
        file: request.file.to_owned(),
        text: Digest::of(request.text.as_bytes()),
        skeleton: Arc::new(Skeleton::of(steps.iter(), &spec.folder)),
        folder: spec.folder,
        params: spec.params.values,
        overrides: spec.params.overrides,
        name: None,
        definitions: Vec::new(),
        edit: None,
        globs,
        origins,
        steps,
        order: Vec::new(),
    };
    graph.order = order::order(&graph);
    Some(graph)
}
