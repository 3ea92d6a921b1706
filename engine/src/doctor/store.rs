//! Whether the store of the team can be reached.

use super::finding::{Fault, Finding};
use crate::project::Project;

const SUBJECT: &str = "store";

/// Asks it, if there is one.
pub(super) fn check(project: &Project) -> Option<Finding> {
    let store = &project.store()?.store;
    let address = store.address();
    Some(match store.reach() {
        Ok(()) => {
            let (access, level) = (store.settings().access.word(), store.settings().level);
            Finding::ok(SUBJECT, format!("{address} answers; it is used {access}, at the level {level}"))
        }
        Err(error) => {
            let fault = if error.is_outage() { Fault::Machine } else { Fault::Project };
            let finding = Finding::problem(SUBJECT, fault, format!("{address}: {error}"));
            match error.hint() {
                Some(hint) => finding.help(hint),
                None => finding,
            }
        }
    })
}
