//! The proof that a machine may make a result of a key: it would compute the same key itself.
//!
//! The platform, the Python and the tools of a step, and the variables that it passes, are of the machine on which the key was computed. A
//! result that was made with others would be a lie under this key.

use std::collections::BTreeMap;

use tidemill_cache::Document;

use crate::error::EngineError;
use crate::graph::{Graph, StepIndex};
use crate::plan::{Resolved, observe, rebuilt};
use crate::process::LazyWarden;
use crate::project::Project;

/// What would be different in the recipe if this machine wrote it, in a sentence for people; none if it is the same.
///
/// # Errors
/// If a tool cannot be found, or another part of the key cannot be computed here.
pub(super) async fn difference(
    project: &Project,
    graph: &Graph,
    resolved: &Resolved,
    warden: &LazyWarden,
) -> Result<Option<String>, EngineError> {
    let observations = observe(project, graph, warden).await?;
    let index = StepIndex::new(0);
    let here = rebuilt(project, graph.step(index), resolved, observations.of(index))?;
    if here.key == resolved.key {
        return Ok(None);
    }
    let (there, here) = (members(&resolved.document()), members(&here.document()));
    let differs = |(name, value): (&String, &Document)| {
        (there.get(name) != Some(value)).then(|| format!("{name}{}", details(name, there.get(name), value)))
    };
    let names: Vec<String> = here.iter().filter_map(differs).collect();
    Ok(Some(format!(
        "the machine that was to run it would compute another key: its {} {} not what the key was made of",
        names.join(", "),
        if names.len() == 1 { "is" } else { "are" },
    )))
}

/// In what two parts of a recipe differ, as far as that is short: ` (version: 3.11.7, here 3.12.1)`. The values of variables are not told.
fn details(part: &str, there: Option<&Document>, here: &Document) -> String {
    let (Some(Document::Map(there)), Document::Map(here)) = (there, here) else { return String::new() };
    let differs = |(name, value): (&String, &Document)| match (there.get(name), value) {
        (Some(Document::Text(there)), Document::Text(here)) if there != here && part != "env" => {
            Some(format!("{name}: {there}, here {here}"))
        }
        (there, here) if there != Some(here) => Some(name.clone()),
        _ => None,
    };
    let parts: Vec<String> = here.iter().filter_map(differs).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

fn members(recipe: &Document) -> BTreeMap<String, Document> {
    match recipe {
        Document::Map(members) => members.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        _ => BTreeMap::new(),
    }
}
