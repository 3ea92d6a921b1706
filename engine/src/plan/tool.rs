//! The identity of a declared tool: the digest of the program that PATH leads to.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use tidemill_cache::Document;

use crate::error::EngineError;
use crate::graph::{Graph, StepIndex};
use crate::project::Project;

/// The identities of the tools that a step declares.
///
/// # Errors
/// If one is not found or cannot be read.
pub(crate) fn identities(
    project: &Project,
    graph: &Graph,
    declared: &[String],
    step: StepIndex,
) -> Result<BTreeMap<String, Document>, EngineError> {
    let mut tools = BTreeMap::new();
    for tool in declared {
        let wrong = |reason: String| EngineError::KeyPart {
            step: graph.step(step).id.to_string(),
            what: format!("the tool {tool:?}"),
            reason,
        };
        let path = find(project, graph, tool).ok_or_else(|| wrong("it is not on PATH".to_owned()))?;
        let seen =
            project.cache().look(&path, project.rules())?.ok_or_else(|| wrong(format!("{path} is gone")))?;
        tools.insert(tool.clone(), seen.artifact.identity());
    }
    Ok(tools)
}

/// Where a program is: on PATH, or below the pipeline's folder if it is written with a slash.
pub(crate) fn find(project: &Project, graph: &Graph, program: &str) -> Option<Utf8PathBuf> {
    find_on(project.variable("PATH").unwrap_or_default(), &graph.folder, program)
}

/// Where a program is, given the value of PATH and the folder that relative paths start from.
pub(crate) fn find_on(path: &str, folder: &camino::Utf8Path, program: &str) -> Option<Utf8PathBuf> {
    let executable = |path: &Utf8PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(folder.join(program)).filter(executable);
    }
    path.split(':')
        .filter(|part| !part.is_empty())
        .map(|part| folder.join(part).join(program))
        .find(executable)
}
