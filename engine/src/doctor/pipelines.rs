//! Whether the project file and the pipelines can be read.

use super::examine::Graphs;
use super::finding::{Fault, Finding};
use crate::execute::describe;
use crate::load::{LoadError, Overrides, load};
use crate::project::{Project, pipelines};

const SUBJECT: &str = "pipeline";
/// So many that are well are named.
const NAMED: usize = 8;

/// Reads all pipelines; also those that are well.
pub(super) fn check(project: &Project) -> (Vec<Finding>, Graphs) {
    let known = match pipelines(project.root()) {
        Ok(known) => known,
        Err(error) => {
            let finding = Finding::problem("project", Fault::Project, describe(&error));
            return (vec![Finding { help: error.hint(), ..finding }], Graphs::new());
        }
    };
    let mut findings = vec![Finding::ok("project", project.root().to_string())];
    if known.is_empty() {
        let none = Finding::note(SUBJECT, "the project has no pipeline");
        findings
            .push(none.help("`pipelines` in tidemill.toml says where they are; `tidemill init` makes one"));
    }
    let mut graphs = Graphs::new();
    for (name, file) in known {
        let path = project.relative(&file);
        match load(project, &file, &Overrides::default()) {
            Ok(graph) => graphs.push(graph),
            Err(LoadError::Diagnostics(diagnostics)) => {
                let said = format!("{name} ({path}) has mistakes: {}", diagnostics.items.len());
                let wrong = Finding::problem(SUBJECT, Fault::Project, said);
                findings.push(wrong.help(format!("`tidemill check {path}` shows them")));
            }
            Err(error @ LoadError::Read { .. }) => {
                findings.push(Finding::problem(SUBJECT, Fault::Machine, describe(&error)));
            }
        }
    }
    let named = graphs.iter().take(NAMED).map(|graph| {
        let steps = graph.steps.len();
        Finding::ok(
            SUBJECT,
            format!("{} ({}), steps: {steps}", graph.pipeline, project.relative(&graph.file)),
        )
    });
    findings.extend(named);
    if graphs.len() > NAMED {
        findings.push(Finding::ok(SUBJECT, format!("{} more that are well", graphs.len() - NAMED)));
    }
    (findings, graphs)
}
