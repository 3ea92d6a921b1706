//! `register`: gives a model a version in the registry and lets an alias point to it.

mod interface;
mod probe;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use work::VersionFile;

use crate::catalog::{Effect, Entry};
use crate::with;

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry = Entry {
    interface: interface::interface,
    check: with::check::<interface::With>,
    run: work::run,
    effect: Some(Effect { probe: probe::probe, target: probe::target }),
};
