//! The environment of a step's process: what it declares, and little else.

use std::collections::{BTreeMap, BTreeSet};

use super::invocation::Invocation;
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

/// How the parts of a step find each other that run on several machines: what `torchrun` and starters of MPI read, from the engine that
/// started them.
pub const RENDEZVOUS: [&str; 6] =
    ["TIDEMILL_NODES", "TIDEMILL_NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "NNODES", "NODE_RANK"];

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

/// The names of the variables whose values come from secrets.
fn secret_names(step: &Step) -> BTreeSet<String> {
    let holds_one = |pieces: &[Piece]| pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)));
    let derived = step.env.iter().filter(|(_, pieces)| holds_one(pieces)).map(|(name, _)| name);
    let plain = step.secrets.iter().filter(|name| !step.env.contains_key(*name));
    derived.chain(plain).cloned().collect()
}

/// All variables of a step's process.
pub(crate) fn variables(
    invocation: &Invocation<'_>,
    secrets: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables = given(invocation);
    variables.extend(declared(invocation, secrets));
    variables
}

/// The variables that every step's process gets.
pub(crate) fn given(invocation: &Invocation<'_>) -> BTreeMap<String, String> {
    let Invocation { project, step, run, .. } = invocation;
    let mut variables = project.plain_environment();
    let mut set = |name: &str, value: String| {
        variables.insert(name.to_owned(), value);
    };
    set("TMPDIR", invocation.folder.temporary().to_string());
    set("TIDEMILL_RUN", run.id.clone());
    set("TIDEMILL_PIPELINE", invocation.pipeline.to_string());
    set("TIDEMILL_STEP", step.id.to_string());
    set("TIDEMILL_ATTEMPT", invocation.attempt.to_string());
    set("TIDEMILL_PROGRAM", project.program().to_string());
    if step.resources.nodes > 1 {
        for name in RENDEZVOUS {
            if let Some(value) = project.variable(name) {
                set(name, value.to_owned());
            }
        }
    }
    if !invocation.gpus.is_empty() {
        set("CUDA_VISIBLE_DEVICES", invocation.gpus.join(","));
        // It says what a number means.
        if let Some(order) = project.variable("CUDA_DEVICE_ORDER") {
            set("CUDA_DEVICE_ORDER", order.to_owned());
        }
    }
    variables
}

/// The variables that a step declares.
pub(crate) fn declared(
    invocation: &Invocation<'_>,
    secrets: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Invocation { project, step, run, .. } = invocation;
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        variables.insert(name.to_owned(), value);
    };
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
    let expansion = Expansion::Process { run, secrets };
    for (name, pieces) in &step.env {
        set(name, text(pieces, step, invocation.paths, &expansion, false));
    }
    variables
}

/// Variables as they may be shown and kept: none for the value of one that comes from a secret.
pub(crate) fn shown(variables: &BTreeMap<String, String>, step: &Step) -> BTreeMap<String, Option<String>> {
    let secret = secret_names(step);
    let show = |(name, value): (&String, &String)| {
        (name.clone(), Some(value.clone()).filter(|_| !secret.contains(name)))
    };
    variables.iter().map(show).collect()
}
