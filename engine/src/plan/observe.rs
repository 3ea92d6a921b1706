//! What must be asked of the world before keys can be computed: fingerprints, tools and Pythons; side by side, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_cache::Document;

use super::{command, fingerprint, python, tool};
use crate::error::EngineError;
use crate::graph::{Action, Graph, Step};
use crate::process::LazyWarden;
use crate::project::Project;

/// What was observed for one step.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Its declared tools by name, each with the identity of the program.
    pub tools: BTreeMap<String, Document>,
    /// The identity of the Python that its command starts with.
    pub python: Option<Document>,
    /// The output of its fingerprint command.
    pub fingerprint: Option<String>,
}

/// What was observed for all steps of a graph.
#[derive(Debug, Default)]
pub struct Observations {
    steps: Vec<Arc<Observation>>,
}

impl Observations {
    /// What was observed for the n-th step.
    #[must_use]
    pub fn of(&self, index: crate::graph::StepIndex) -> &Observation {
        &self.steps[index.get()]
    }
}

/// Observes all that the keys of these steps need.
///
/// # Errors
/// If a part cannot be determined: a key never silently lacks one.
pub async fn observe(
    project: &Project,
    graph: &Graph,
    warden: &LazyWarden,
) -> Result<Observations, EngineError> {
    let fingerprints = fingerprint::take_all(project, graph, warden).await?;
    let mut pythons: BTreeMap<String, Document> = BTreeMap::new();
    for program in
        graph.steps.iter().filter_map(|step| python_of(project, graph, step)).collect::<BTreeSet<String>>()
    {
        let identity = python::identity(project, &graph.folder, &program, warden).await?;
        pythons.insert(program, identity);
    }
    // Most steps have nothing to observe, and combinations of a matrix observe the same: they share one value.
    let nothing = Arc::new(Observation::default());
    let mut steps = Vec::with_capacity(graph.steps.len());
    for (step, fingerprint) in graph.steps.iter().zip(fingerprints) {
        let python = python_of(project, graph, step).and_then(|program| pythons.get(&program).cloned());
        if step.tools.is_empty() && python.is_none() && fingerprint.is_none() {
            steps.push(Arc::clone(&nothing));
            continue;
        }
        let tools = tool::identities(project, graph, step)?;
        steps.push(Arc::new(Observation { tools, python, fingerprint }));
    }
    Ok(Observations { steps })
}

/// The first Python that a step's command starts, as the user wrote it. One that the command begins with has to be there;
/// another one may stand in a branch that is never taken.
fn python_of(project: &Project, graph: &Graph, step: &Step) -> Option<String> {
    if matches!(step.action, Action::Builtin { .. }) || step.left_out.is_some() {
        return None;
    }
    let (first, all) = command::programs(step);
    let is_there = |program: &String| tool::find(project, graph, program).is_some();
    first
        .filter(|first| is_python(first))
        .or_else(|| all.into_iter().find(|program| is_python(program) && is_there(program)))
}

fn is_python(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}
