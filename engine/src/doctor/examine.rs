//! All checks in their order.

use std::sync::Arc;

use camino::Utf8Path;

use super::finding::{Fault, Finding, Report};
use super::{cache, executors, gpus, machine, pipelines, programs, state, store};
use crate::error::{EngineError, ErrorKind};
use crate::execute::describe;
use crate::graph::Graph;
use crate::process::LazyWarden;
use crate::project::Project;

/// What is examined, as far as there is any of it.
pub struct Examined<'a> {
    /// The folder that was asked about.
    pub folder: &'a Utf8Path,
    /// The project, or why it cannot be opened. None: there is none here.
    pub project: Option<Result<Project, EngineError>>,
}

/// Looks at everything.
pub async fn examine(examined: &Examined<'_>) -> Report {
    let mut findings = Vec::new();
    match &examined.project {
        None => findings.push(nowhere(examined.folder)),
        Some(Err(error)) => findings.push(closed(error)),
        Some(Ok(project)) => findings.extend(inside(project).await),
    }
    findings.extend(machine::check());
    Report { findings }
}

/// The checks of a project.
async fn inside(project: &Project) -> Vec<Finding> {
    let (mut findings, graphs) = pipelines::check(project);
    findings.extend(state::check(project));
    findings.extend(cache::check(project));
    findings.extend(store::check(project));
    findings.extend(executors::check(project).await);
    findings.extend(gpus::check(project, &graphs));
    let warden = Arc::new(LazyWarden::new(project.program(), project.state()));
    findings.extend(programs::check(project, &graphs, &warden).await);
    warden.shutdown().await;
    findings
}

/// Pipelines that could be loaded.
pub(super) type Graphs = Vec<Graph>;

fn nowhere(folder: &Utf8Path) -> Finding {
    let said = format!("there is no pipeline and no project in {folder}");
    Finding::note("project", said).help("`tidemill init` makes a small one that runs at once")
}

fn closed(error: &EngineError) -> Finding {
    Finding { help: error.hint(), ..Finding::problem("project", fault(error), describe(error)) }
}

/// Whose turn it is after an error.
pub(super) fn fault(error: &EngineError) -> Fault {
    match error.kind() {
        ErrorKind::Usage => Fault::Project,
        ErrorKind::Infrastructure => Fault::Machine,
    }
}
