//! What must be asked of the world before keys can be computed: fingerprints, tools and Pythons; side by side, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_cache::Document;

use super::{fingerprint, python, tool};
use crate::error::EngineError;
use crate::graph::{Graph, Skeleton, StepIndex, Watched};
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

impl Observation {
    /// All of it as one document.
    pub(super) fn document(&self) -> Document {
        Document::map([
            ("tools", Document::Map(self.tools.clone())),
            ("python", self.python.clone().unwrap_or(Document::Null)),
            ("fingerprint", self.fingerprint.clone().map_or(Document::Null, Document::Text)),
        ])
    }
}

/// What was observed for all steps of a graph.
#[derive(Debug)]
pub struct Observations {
    skeleton: Arc<Skeleton>,
    watched: Vec<Observation>,
    nothing: Observation,
}

impl Observations {
    /// What was observed for the n-th step.
    #[must_use]
    pub fn of(&self, index: StepIndex) -> &Observation {
        self.skeleton.watches(index).map_or(&self.nothing, |what| &self.watched[what])
    }

    /// What was observed, in the order of [`Skeleton::watched`].
    #[must_use]
    pub(super) fn watched(&self) -> &[Observation] {
        &self.watched
    }
}

/// Observes all that the keys of these steps need; what several steps ask, once.
///
/// # Errors
/// If a part cannot be determined: a key never silently lacks one.
pub async fn observe(
    project: &Project,
    graph: &Graph,
    warden: &LazyWarden,
) -> Result<Observations, EngineError> {
    let questions = graph.skeleton.watched();
    let fingerprints = fingerprint::take_all(project, graph, warden).await?;
    let programs: Vec<Option<&String>> =
        questions.iter().map(|(question, _)| python_of(project, graph, question)).collect();
    let mut pythons: BTreeMap<&String, Document> = BTreeMap::new();
    for program in programs.iter().flatten().copied().collect::<BTreeSet<&String>>() {
        let identity = python::identity(project, &graph.folder, program, warden).await?;
        pythons.insert(program, identity);
    }
    let mut watched = Vec::with_capacity(questions.len());
    for (((question, first), program), fingerprint) in questions.iter().zip(programs).zip(fingerprints) {
        let python = program.and_then(|program| pythons.get(program).cloned());
        let tools = tool::identities(project, graph, &question.tools, *first)?;
        watched.push(Observation { tools, python, fingerprint });
    }
    Ok(Observations { skeleton: Arc::clone(&graph.skeleton), watched, nothing: Observation::default() })
}

/// The first Python that a command starts, as the user wrote it. One that the command begins with has to be there; another one
/// may stand in a branch that is never taken.
fn python_of<'a>(project: &Project, graph: &Graph, question: &'a Watched) -> Option<&'a String> {
    let is_there = |program: &&String| tool::find(project, graph, program).is_some();
    question.python.as_ref().or_else(|| question.pythons.iter().find(is_there))
}
