//! `deploy`: tries a registered model on a server of its own, then lets an endpoint serve it.

mod client;
mod interface;
mod probe;
mod rows;
mod smoke;
mod work;

use crate::catalog::{Effect, Entry};
use crate::with;

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry = Entry {
    interface: interface::interface,
    check: with::check::<interface::With>,
    run: work::run,
    effect: Some(Effect { probe: probe::probe, target: probe::target }),
};
