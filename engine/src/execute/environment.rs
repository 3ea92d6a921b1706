//! The environment of a step's process: what it declares, and little else.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::worker::Attempt;
use crate::failure::StepFailure;
use crate::graph::{Piece, Step};
use crate::plan::{Expansion, text};
use crate::project::Project;

impl Project {
    /// What every process gets: the user's PATH and HOME, a fixed language and time zone, the project's state folder.
    #[must_use]
    pub fn plain_environment(&self) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> =
            [("LANG", "C.UTF-8"), ("TZ", "UTC"), ("TIDEMILL_STATE", self.state().as_str())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        for name in ["PATH", "HOME"] {
            if let Some(value) = self.variable(name) {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        variables
    }
}

/// The values of the secrets that a step refers to or lists.
///
/// # Errors
/// If one is not set.
pub(crate) fn secrets(project: &Project, step: &Step) -> Result<BTreeMap<String, String>, StepFailure> {
    let referred = step.env.values().flatten().filter_map(|piece| match piece {
        Piece::Secret(name) => Some(name),
        _ => None,
    });
    referred
        .chain(&step.secrets)
        .map(|name| match project.variable(name) {
            Some(value) => Ok((name.clone(), value.to_owned())),
            None => Err(StepFailure::NotStarted {
                reason: format!("the secret {name} is not set in the environment of this command"),
            }),
        })
        .collect()
}

/// All variables of a step's process.
pub(crate) fn variables(
    project: &Project,
    attempt: &Attempt,
    secrets: &BTreeMap<String, String>,
    temporary: &Utf8Path,
) -> BTreeMap<String, String> {
    let step = attempt.graph.step(attempt.step);
    let mut variables = project.plain_environment();
    let mut set = |name: &str, value: String| {
        variables.insert(name.to_owned(), value);
    };
    set("TMPDIR", temporary.to_string());
    set("TIDEMILL_RUN", attempt.run.id.clone());
    set("TIDEMILL_PIPELINE", attempt.graph.pipeline.to_string());
    set("TIDEMILL_STEP", step.id.to_string());
    set("TIDEMILL_ATTEMPT", attempt.id.to_string());
    set("TIDEMILL_PROGRAM", project.program().to_string());
    if !attempt.gpus.is_empty() {
        set("CUDA_VISIBLE_DEVICES", attempt.gpus.join(","));
    }
    for name in &step.pass_env {
        if let Some(value) = project.variable(name) {
            set(name, value.to_owned());
        }
    }
    for name in &step.secrets {
        if let Some(value) = secrets.get(name) {
            set(name, value.clone());
        }
    }
    let expansion = Expansion::Process { run: &attempt.run, secrets };
    for (name, pieces) in &step.env {
        set(name, text(pieces, step, &attempt.execution.resolved.paths, &expansion, false));
    }
    variables
}
