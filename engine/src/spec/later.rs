//! What the language has and this version does not have yet.

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::read::unknown_name;
use super::tree::{Entry, Node};

/// Tells environments that are understood and cannot be used.
pub(crate) fn check(table: &Node, environments: &[&str], problems: &mut Problems) {
    let mut tell = |entry: &Entry, what: String, help: &str| {
        let diagnostic = Diagnostic::new(Code::NotAvailableYet, format!("{what} is not available yet"));
        problems.add(diagnostic.at(&entry.value.span, "not available yet").help(help));
    };
    if let Some(entry) = table.entry("environment")
        && let Some(name) = entry.value.text()
    {
        if environments.contains(&name) {
            tell(
                entry,
                format!("running in the environment `{name}`"),
                "the step would run with the programs of this machine: leave `environment` away",
            );
        } else {
            let known = environments.iter().copied();
            problems.add(unknown_name(&entry.value, "environment", "environments", known));
        }
    }
}
