//! What several machines made of one output, put together: a folder with a folder for each rank. The bytes stay where they are; only the
//! list of them is new.

use tidemill_cache::{ActionResult, Artifact, CacheError, Digest, Manifest};

use super::report::{Report, ReportError};
use crate::graph::Step;
use crate::project::Project;

/// Why the parts of an output cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(super) enum RanksError {
    /// A rank ended without telling what it made.
    #[error("rank {rank} left no report of what it made")]
    Missing {
        /// Which.
        rank: u32,
    },
    /// Its report cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The cache said no.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Adds to what the first machine gave what the others made of those outputs of which each makes its own.
pub(super) fn gather(
    project: &Project,
    step: &Step,
    order: Digest,
    made: &mut ActionResult,
) -> Result<(), RanksError> {
    let outputs = || step.outputs.iter().filter(|(_, output)| output.ranks.is_some());
    if outputs().next().is_none() || step.resources.nodes < 2 {
        return Ok(());
    }
    let mut others = Vec::new();
    for rank in 1..step.resources.nodes {
        let report = Report::of_rank(project, order, rank)?.and_then(|report| report.result.ok());
        others.push(report.ok_or(RanksError::Missing { rank })?);
    }
    for (name, _) in outputs() {
        let parts = std::iter::once(&*made).chain(&others);
        let parts: Vec<Artifact> =
            parts.filter_map(|part| part.outputs.get(name.as_str())?.clone()).collect();
        let whole = join(project, &parts)?;
        made.outputs.insert(name.to_string(), whole);
    }
    Ok(())
}

/// The folder that holds what all of these hold; none of none.
fn join(project: &Project, parts: &[Artifact]) -> Result<Option<Artifact>, CacheError> {
    let cache = project.cache();
    if parts.is_empty() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for part in parts {
        entries.extend_from_slice(cache.manifest(part)?.entries());
    }
    let whole = Manifest::new(entries)?;
    cache.put(&whole.encode())?;
    Ok(Some(whole.artifact()))
}
