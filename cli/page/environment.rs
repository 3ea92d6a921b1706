//! In what a run ran: platform, Pythons with their packages, tools, variables, as the recipes of its keys say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::gather::Run;
use crate::ui::text::{clean, count};

/// More steps than this are counted.
const NAMED: usize = 6;

/// In what a run ran.
#[derive(Debug, Serialize)]
pub(super) struct Environment {
    platforms: BTreeSet<String>,
    hosts: Vec<String>,
    pythons: Vec<Python>,
    tools: Vec<Tool>,
    variables: BTreeSet<String>,
    /// How many steps have recipes that are gone.
    unknown: usize,
}

/// A Python.
#[derive(Debug, Serialize)]
struct Python {
    name: String,
    packages: Vec<String>,
    steps: String,
}

/// A tool.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Tool {
    name: String,
    digest: String,
}

impl Environment {
    /// What the keys of a run say of its environment.
    pub(super) fn of(run: &Run<'_>) -> Self {
        let facts = || run.steps.iter().filter_map(|step| step.facts.as_ref());
        let tools: BTreeMap<(&String, String), ()> = facts()
            .flat_map(|facts| &facts.tools)
            .map(|(name, digest)| ((name, digest.map(|digest| digest.short()).unwrap_or_default()), ()))
            .collect();
        let pythons = run.pythons.iter().map(|(python, users)| Python {
            name: clean(&format!("{} {}", python.implementation, python.version)),
            packages: python.distributions.iter().map(|name| clean(&name.replacen('-', " ", 1))).collect(),
            steps: named(users),
        });
        Self {
            platforms: facts().map(|facts| clean(&facts.platform)).filter(|name| !name.is_empty()).collect(),
            hosts: run.hosts(),
            pythons: pythons.collect(),
            tools: tools.into_keys().map(|(name, digest)| Tool { name: clean(name), digest }).collect(),
            variables: facts().flat_map(|facts| &facts.variables).map(|name| clean(name)).collect(),
            unknown: run
                .steps
                .iter()
                .filter(|step| step.record.key.is_some() && step.facts.is_none())
                .count(),
        }
    }
}

/// Some names, and how many more there are.
fn named(names: &[String]) -> String {
    match names.len() {
        0..=NAMED => names.join(", "),
        all => format!("{}, and {} more", names[..NAMED].join(", "), count(all - NAMED, "step")),
    }
}
