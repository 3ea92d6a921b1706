//! What a run did to models: versions that it registered, endpoints that it deployed to, and where they came from.

use serde::Serialize;
use tidemill_engine::registry::{Desired, Registry, Version};

use super::gather::Run;
use super::lineage::{Origins, Trace};
use crate::error::CliError;
use crate::ui::text::{clean, number};

/// What a run did to models.
#[derive(Debug, Serialize)]
pub(super) struct Models {
    registered: Vec<Registered>,
    deployed: Vec<Deployed>,
}

/// A version that the run registered.
#[derive(Debug, Serialize)]
struct Registered {
    model: String,
    version: u64,
    digest: String,
    /// The aliases that point to it now.
    aliases: Vec<String>,
    trace: Option<Trace>,
}

/// An endpoint that the run deployed to.
#[derive(Debug, Serialize)]
struct Deployed {
    endpoint: String,
    model: String,
    version: u64,
    digest: String,
    smoke: String,
    /// What it should serve now, if that is something else.
    now: Option<String>,
    trace: Option<Trace>,
}

impl Models {
    /// What a run did to models.
    pub(super) fn of(run: &Run<'_>, origins: &Origins<'_>) -> Result<Self, CliError> {
        let registry = Registry::at(run.project.state());
        let id = run.record.run.as_str();
        let mut registered = Vec::new();
        for model in registry.models()? {
            let versions = registry.versions(&model)?;
            let of_this_run: Vec<&Version> =
                versions.iter().filter(|version| version.about.run == id).collect();
            if of_this_run.is_empty() {
                continue;
            }
            let aliases = registry.aliases(&model)?;
            for version in of_this_run {
                let held = aliases.iter().filter(|(_, moved)| moved.version == version.version);
                registered.push(Registered {
                    model: model.to_string(),
                    version: version.version,
                    digest: version.about.model.digest.short(),
                    aliases: held.map(|(alias, _)| alias.to_string()).collect(),
                    trace: origins.trace(&version.about.model.digest),
                });
            }
        }
        let mut deployed = Vec::new();
        for endpoint in registry.endpoints()? {
            let states = registry.desired_states(&endpoint)?;
            let last = states.last();
            let of_this_run = states.iter().filter(|state| state.run == id && !state.rollback);
            deployed.extend(of_this_run.map(|state| Deployed::of(state, last, origins)));
        }
        Ok(Self { registered, deployed })
    }
}

impl Deployed {
    fn of(state: &Desired, last: Option<&Desired>, origins: &Origins<'_>) -> Self {
        let is_other = |last: &&Desired| (&last.model, last.version) != (&state.model, state.version);
        let now = last.filter(is_other).map(|last| format!("version {} of {}", last.version, last.model));
        let (rows, difference) = (state.smoke.rows, number(state.smoke.max_difference));
        Self {
            endpoint: clean(state.endpoint.as_str()),
            model: clean(state.model.as_str()),
            version: state.version,
            digest: state.digest.short(),
            smoke: format!("{rows} rows, largest difference {difference}"),
            now,
            trace: origins.trace(&state.digest),
        }
    }
}
