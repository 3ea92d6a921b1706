//! What the kernel of this machine can keep steps from, and tell of them.

use super::finding::Finding;
use crate::process::{Guards, can_trace};

const SUBJECT: &str = "kernel";

/// Asks it.
pub(super) fn check() -> Vec<Finding> {
    let Guards { files, network } = Guards::here();
    let tell = |can: bool, does: &str, does_not: &str| match can {
        true => Finding::ok(SUBJECT, does),
        false => Finding::note(SUBJECT, does_not),
    };
    vec![
        tell(
            files,
            "steps are kept from files that they did not declare (Landlock)",
            "steps cannot be kept from files that they did not declare: that takes Landlock of Linux 5.19",
        ),
        tell(
            network,
            "steps can be kept from the network",
            "steps cannot be kept from the network: `network = false` does nothing here",
        ),
        tell(
            can_trace(),
            "it can be told what steps read (`sandbox = \"trace\"`)",
            "it cannot be told what steps read: `sandbox = \"trace\"` takes Linux 5.5, and nothing else that watches Tidemill's system calls",
        ),
    ]
}
