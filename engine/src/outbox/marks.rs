//! What happened in the registry since it was last looked, for sinks: versions, moves of aliases, deployments. How far it was looked is
//! noted after what was found is written, so that nothing is passed over; what is found again has the same id.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;

use jiff::Timestamp;

use super::error::OutboxError;
use super::shelf::Outbox;
use super::sinks;
use crate::happened::{self, Happened};
use crate::project::{self, Project};
use crate::registry::Registry;

/// In the folder of the outbox.
const MARKS: &str = "marks";
const LOCK: &str = "marks.lock";

/// What happened to one thing, by its number.
type Numbered = BTreeMap<u64, Happened>;
/// The newest numbers by what they count.
type Marks = BTreeMap<String, u64>;

/// Writes what happened in the registry since it was last looked, if somebody is told. What was there when it is looked for the first time
/// is no news.
///
/// # Errors
/// If the registry cannot be read, or the outbox cannot be written.
pub fn look(project: &Project) -> Result<(), OutboxError> {
    let Ok(sinks) = project::sinks(project.root()) else { return Ok(()) };
    if sinks.is_empty() {
        return Ok(());
    }
    let outbox = Outbox::below(project.state());
    outbox.open()?;
    let path = outbox.folder().join(MARKS);
    let failed = |source| OutboxError::Io { path: path.clone(), source };
    let lock = outbox.folder().join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
    // Whoever has it only reads the registry.
    lock.lock().map_err(failed)?;
    let before: Option<Marks> = match fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let mut marks = Marks::new();
    for (name, all) in all(&Registry::at(project.state()))? {
        let newest = all.keys().next_back().copied().unwrap_or(0);
        if let Some(before) = &before {
            let seen = before.get(&name).copied().unwrap_or(0);
            for happened in all.range(seen + 1..).map(|(_, happened)| happened) {
                sinks::put(project, &sinks, happened, Timestamp::now())?;
            }
        }
        marks.insert(name, newest);
    }
    if before.as_ref() != Some(&marks) {
        let bytes = serde_json::to_vec(&marks).map_err(|error| failed(error.into()))?;
        outbox.write_bytes(&path, &bytes)?;
    }
    Ok(())
}

/// All that ever happened, by what it happened to and by its number.
fn all(registry: &Registry) -> Result<Vec<(String, Numbered)>, OutboxError> {
    let mut all = Vec::new();
    for model in registry.models()? {
        all.push((format!("model {model}"), happened::versions(registry, &model)?));
        for alias in registry.aliases(&model)?.keys() {
            all.push((format!("alias {model}@{alias}"), happened::moves(registry, &model, alias)?));
        }
    }
    for endpoint in registry.endpoints()? {
        all.push((format!("endpoint {endpoint}"), happened::deployments(registry, &endpoint)?));
    }
    Ok(all)
}
