//! The variables of a worker: what its executor says, where the store is and what it takes as credentials, and what the step gets from the
//! environment of whoever runs the pipeline.

use std::collections::BTreeMap;

use crate::execute::secrets;
use crate::executors::SharedSettings;
use crate::failure::StepFailure;
use crate::graph::Step;
use crate::project::Project;
use crate::store::{LEVEL, URL};

/// How the variables begin that object stores take as credentials and settings.
const CREDENTIALS: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// How those of them end that name a file of this machine, which is not there.
const FILES: [&str; 3] = ["_FILE", "_PATH", "_CREDENTIALS"];
/// What a `WebDAV` server takes.
const OF_STORE: [&str; 3] = ["TIDEMILL_STORE_TOKEN", "TIDEMILL_STORE_USER", "TIDEMILL_STORE_PASSWORD"];
/// What object stores take too.
const OTHERS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

/// The variables of a worker, and which of them are secrets.
///
/// # Errors
/// If a secret is not set.
pub(super) fn surroundings(
    project: &Project,
    step: &Step,
    shared: &SharedSettings,
) -> Result<(BTreeMap<String, String>, Vec<String>), StepFailure> {
    let mut variables = shared.env.clone();
    let given = |name: &String| Some((name.clone(), project.variable(name)?.to_owned()));
    variables.extend(shared.pass_env.iter().chain(&step.pass_env).filter_map(given));
    let mut hidden = Vec::new();
    for (name, value) in project.environment() {
        let is_file = FILES.iter().any(|end| name.ends_with(end));
        let is_credential = CREDENTIALS.iter().any(|begin| name.starts_with(begin)) && !is_file;
        if is_credential || OF_STORE.contains(&name.as_str()) {
            variables.insert(name.clone(), value.clone());
            hidden.push(name.clone());
        }
        if OTHERS.contains(&name.as_str()) {
            variables.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in secrets(project, step)? {
        variables.insert(name.clone(), value);
        hidden.push(name);
    }
    if let Some(store) = project.store() {
        let settings = store.store.settings();
        variables.insert(URL.to_owned(), settings.url.clone());
        variables.insert(LEVEL.to_owned(), settings.level.word().to_owned());
    }
    hidden.sort();
    hidden.dedup();
    Ok((variables, hidden))
}
