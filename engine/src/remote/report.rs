//! The report of a worker: what an attempt gave, or why it failed. What it made lies in the store with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidemill_cache::{ActionResult, Artifact, CacheError, Digest};

use super::order::{Order, carried, carrier, look_up};
use crate::event::{Undeclared, UsagePoint};
use crate::failure::FailureReport;
use crate::project::Project;

/// The output under which the report itself lies.
const REPORT: &str = "report";

/// What the report of a rank is called.
fn what(rank: u32) -> String {
    match rank {
        0 => REPORT.to_owned(),
        rank => format!("{REPORT} of rank {rank}"),
    }
}

/// The longest report, in bytes.
const REPORT_MOST: u64 = 64 << 20;

/// How an attempt ended that ran elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it gave, as a result of its key; or why it failed.
    pub result: Result<ActionResult, FailureReport>,
    /// What it printed.
    pub log: Option<Artifact>,
    /// What it read that its step did not declare, if that was watched and there is something.
    pub undeclared: Option<Undeclared>,
    /// What it used while it ran, if it ran for long.
    pub used: Vec<UsagePoint>,
    /// What it took, in milliseconds.
    pub took_ms: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It cannot be understood.
    #[error("the report on the order {order} cannot be read")]
    Unreadable {
        /// The digest of the order.
        order: Digest,
    },
    /// The cache said no.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Report {
    /// Puts the report into the cache of this machine, as a result that the store takes like any other: what was made goes with it.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub(super) fn put(
        &self,
        project: &Project,
        order: &Order,
        digest: Digest,
        rank: u32,
    ) -> Result<ActionResult, CacheError> {
        let cache = project.cache();
        let bytes = serde_json::to_vec(self)?;
        let mut outputs = BTreeMap::from([(REPORT.to_owned(), Some(cache.put(&bytes)?))]);
        outputs.extend(self.log.clone().map(|log| ("log".to_owned(), Some(log))));
        for (name, artifact) in self.result.iter().flat_map(|result| &result.outputs) {
            outputs.insert(format!("output-{name}"), artifact.clone());
        }
        let what = what(rank);
        cache.publish(&carrier(&what, digest), carried(project, &what, order, outputs))
    }

    /// The report on an order, if there is one by now: that of its only machine, or of the first of several.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn find(project: &Project, order: Digest) -> Result<Option<Self>, ReportError> {
        Self::of_rank(project, order, 0)
    }

    /// What one of several machines reports, if it has by now: all do where each has something to give.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of_rank(project: &Project, order: Digest, rank: u32) -> Result<Option<Self>, ReportError> {
        let cache = project.cache();
        let Some(found) = look_up(project, &carrier(&what(rank), order))? else { return Ok(None) };
        let unreadable = || ReportError::Unreadable { order };
        let artifact = found.outputs.get(REPORT).and_then(Option::as_ref).ok_or_else(unreadable)?;
        if !cache.available(artifact)? {
            return Ok(None);
        }
        let bytes = cache.read(artifact, REPORT_MOST)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| unreadable())
    }

    /// Whether the step succeeded there, if there is a report by now.
    pub(super) fn outcome(project: &Project, order: Digest, rank: u32) -> Result<Option<bool>, ReportError> {
        Ok(Self::of_rank(project, order, rank)?.map(|report| report.result.is_ok()))
    }
}
