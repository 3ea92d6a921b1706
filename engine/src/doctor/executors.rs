//! Whether the executors of the project answer. Nothing is handed to them: `tidemill executors test` does that.

use tidemill_executors::BatchId;

use super::finding::{Fault, Finding};
use crate::graph::Placement;
use crate::name::ExecutorName;
use crate::project::Project;
use crate::remote::Post;

const SUBJECT: &str = "executor";

/// Asks each of them something.
pub(super) async fn check(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in project.executors().names() {
        findings.extend(one(project, name).await);
    }
    if !findings.is_empty() && project.store().is_none_or(|store| !store.takes_results()) {
        let said = "there are executors, and no store that takes what steps read".to_owned();
        findings.push(
            Finding::problem(SUBJECT, Fault::Project, said).help("name one by `[store]` in tidemill.toml"),
        );
    }
    findings
}

async fn one(project: &Project, name: &str) -> Option<Finding> {
    // A name that cannot be one was refused when the project was opened.
    let executor = ExecutorName::new(name).ok()?;
    let kind = project.executors().kind(name);
    let post = Post::new(project, &Placement { executor, with: "{}".to_owned() }).await;
    let asked = match &post {
        Ok(post) => post.client().status(&[BatchId::generate()]).await.map_err(|error| error.to_string()),
        Err(reason) => Err(reason.clone()),
    };
    Some(match asked {
        Ok(_) => Finding::ok(SUBJECT, format!("{name} ({kind}) answers")),
        Err(reason) => Finding::problem(SUBJECT, Fault::Machine, format!("{name} ({kind}): {reason}"))
            .help(format!("`tidemill executors test {name}` tries it one thing after the other")),
    })
}
