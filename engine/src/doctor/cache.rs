//! Whether the cache answers, and what dead processes left in it.

use super::finding::{Fault, Finding};
use crate::execute::describe;
use crate::name::RunId;
use crate::project::Project;
use crate::record::History;

const SUBJECT: &str = "cache";

/// Looks at it.
pub(super) fn check(project: &Project) -> Vec<Finding> {
    let health = project.cache().health();
    let mut findings = match project.cache().stats() {
        Ok(stats) => {
            vec![Finding::ok(SUBJECT, format!("results: {}, contents: {}", stats.results, stats.objects))]
        }
        Err(error) => vec![Finding::problem(SUBJECT, Fault::Machine, describe(&error))],
    };
    if !health.index {
        let said = "the index does not answer: commands work without it, and take longer";
        findings.push(Finding::note(SUBJECT, said).help(
            "see that index.db in the state folder can be read and written; it holds nothing that cannot be lost and may be deleted",
        ));
    }
    let history = History::below(project.state());
    let (alive, dead): (Vec<RunId>, Vec<RunId>) =
        runs_at_work(project).into_iter().partition(|run| history.is_alive(run));
    if !dead.is_empty() {
        let said = format!("step folders of runs that died: {}", dead.len());
        findings.push(Finding::note(SUBJECT, said).help("the next run that starts a step removes them"));
    }
    // What a running process keeps for later looks the same.
    if alive.is_empty() && health.temporary > 0 {
        let said = format!("unfinished files that a process left: {}", health.temporary);
        findings.push(Finding::note(SUBJECT, said).help("`tidemill cache gc` removes them"));
    }
    findings
}

/// The runs that have step folders.
fn runs_at_work(project: &Project) -> Vec<RunId> {
    let listing = project.state().join("work").read_dir_utf8().into_iter().flatten().flatten();
    listing.filter_map(|entry| RunId::new(entry.file_name().split('.').next()?).ok()).collect()
}
