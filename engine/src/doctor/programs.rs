//! Whether the programs that pipelines name are there: shell, Pythons, tools, git.

use std::collections::BTreeMap;

use tidemill_cache::Document;

use super::examine::Graphs;
use super::finding::{Fault, Finding};
use crate::execute::describe;
use crate::graph::{Action, Graph};
use crate::plan::{find_program, python_identity};
use crate::process::LazyWarden;
use crate::project::Project;

/// Looks for them.
pub(super) async fn check(project: &Project, graphs: &Graphs, warden: &LazyWarden) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(shell(project, graphs));
    findings.extend(tools(project, graphs));
    findings.extend(pythons(project, graphs, warden).await);
    findings.extend(git(project));
    findings
}

fn shell(project: &Project, graphs: &Graphs) -> Option<Finding> {
    let uses = |graph: &&Graph| graph.steps.iter().any(|step| matches!(step.action, Action::Shell(_)));
    let graph = graphs.iter().find(uses)?;
    Some(match find_program(project, graph, "sh") {
        Some(path) => Finding::ok("shell", path.to_string()),
        None => Finding::problem(
            "shell",
            Fault::Machine,
            "there is no `sh` on PATH, which runs commands that are a text",
        )
        .help("set PATH"),
    })
}

/// Each tool that a step declares, once for each pipeline.
fn tools(project: &Project, graphs: &Graphs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for graph in graphs {
        let mut wanted = BTreeMap::new();
        for (watched, first) in graph.skeleton.watched() {
            for tool in &watched.tools {
                wanted.entry(tool).or_insert(*first);
            }
        }
        findings.extend(wanted.into_iter().map(|(tool, first)| match find_program(project, graph, tool) {
            Some(path) => Finding::ok("tool", format!("{tool}: {path}")),
            None => {
                let step = &graph.step(first).id;
                let said = format!("{tool}, a tool of step {step} of {}, is not there", graph.pipeline);
                Finding::problem("tool", Fault::Machine, said)
                    .help("install it, or set PATH so that it is found; one with a slash lies in the pipeline's folder")
            }
        }));
    }
    findings.dedup();
    findings
}

/// Each Python that a command begins with has to be there, and to answer.
async fn pythons(project: &Project, graphs: &Graphs, warden: &LazyWarden) -> Vec<Finding> {
    let mut findings = Vec::new();
    for graph in graphs {
        let mut wanted = BTreeMap::new();
        for (watched, first) in graph.skeleton.watched() {
            if let Some(python) = &watched.python {
                wanted.entry(python).or_insert(*first);
            }
        }
        for (python, first) in wanted {
            findings.push(match python_identity(project, &graph.folder, python, warden).await {
                Ok(identity) => Finding::ok("python", format!("{python}: {}", facts(&identity))),
                Err(error) => {
                    let step = &graph.step(first).id;
                    let said = format!("step {step} of {}: {}", graph.pipeline, describe(&error));
                    Finding::problem("python", Fault::Machine, said)
                        .help("install it, or activate the environment in which it is")
                }
            });
        }
    }
    findings.dedup();
    findings
}

/// What is to be said of a Python's identity.
fn facts(identity: &Document) -> String {
    let text = |name: &str| identity.get(name).and_then(Document::as_text).unwrap_or_default().to_owned();
    let installed = match identity.get("distributions") {
        Some(Document::List(list)) => list.len(),
        _ => 0,
    };
    format!("{} {}, distributions: {installed}", text("implementation"), text("version"))
}

/// A repository without git is recorded without its commit.
fn git(project: &Project) -> Option<Finding> {
    let has = |folder: &camino::Utf8Path| folder.join(".git").exists();
    if !project.root().ancestors().any(has) {
        return Some(Finding::ok(
            "git",
            "the project is in no repository, so runs are recorded without a commit",
        ));
    }
    Some(match crate::run::git_state(project.root()) {
        Some(git) => Finding::ok("git", format!("commit {}", git.commit)),
        None => Finding::note(
            "git",
            "the project is in a repository and git tells no commit of it: runs are recorded without one",
        )
        .help("see what `git status` says in the project's folder"),
    })
}
