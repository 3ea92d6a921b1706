//! What was handed to executors and is not done with, asked for by people: what becomes of it, and that it is to end.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_executors::{BatchId, ExecutorError, Ledger as _, State, States, Ticket};

use super::fleet::Post;
use super::ledger::{Batches, Label, Noted, noted};
use crate::graph::Placement;
use crate::name::RunId;
use crate::project::Project;
use crate::record::History;

/// An attempt that was handed to an executor.
#[derive(Debug, Clone, Serialize)]
pub struct Handed {
    /// What it is for.
    #[serde(flatten)]
    pub label: Label,
    /// Where.
    pub placement: Placement,
    /// Its name there.
    pub job: String,
    /// Whether the run that handed it in lives.
    pub alive: bool,
    /// What the executor says of it; none if it does not know it.
    pub state: Option<State>,
    /// Why the executor could not be asked.
    pub unknown: Option<String>,
}

/// All attempts that were handed to executors and are not done with, each executor asked once.
pub async fn survey(project: &Project) -> Vec<Handed> {
    let history = History::below(project.state());
    let mut handed = Vec::new();
    for (placement, batches) in by_placement(project, |_| true) {
        let ids: Vec<BatchId> = batches.iter().map(|batch| batch.batch.clone()).collect();
        let answer = match Post::new(project, &placement).await {
            Ok(post) => post.client().status(&ids).await.map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        for batch in &batches {
            for (job, noted) in (0..).zip(&batch.jobs) {
                let ticket = Ticket { batch: batch.batch.clone(), job };
                handed.push(Handed {
                    label: noted.label.clone(),
                    placement: placement.clone(),
                    job: ticket.to_string(),
                    alive: history.is_alive(&noted.label.run),
                    state: answer.as_ref().ok().and_then(|states| states.get(&ticket)).cloned(),
                    unknown: answer.as_ref().err().cloned(),
                });
            }
        }
    }
    handed
}

/// What became of a request that attempts end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// The steps whose attempts have ended.
    pub ended: Vec<String>,
    /// The steps whose attempts are followed by another run, which has taken them up.
    pub followed: Vec<String>,
    /// Executors that could not be asked, or did not end what they were asked to end in time, each with the reason.
    pub failed: Vec<(String, String)>,
}

/// How long is waited until attempts have ended, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(90);
const OFTEN: Duration = Duration::from_millis(500);

/// Ends the attempts that a dead run has left on executors, and waits until they have ended.
pub async fn cancel(project: &Project, run: &RunId) -> Cancelled {
    let mut cancelled = Cancelled::default();
    let of_run = |batch: &Noted| batch.jobs.iter().any(|job| job.label.run == *run);
    for (placement, batches) in by_placement(project, of_run) {
        let (mut ours, mut leases) = (Vec::new(), Vec::new());
        for batch in batches {
            let steps = || batch.jobs.iter().map(|job| job.label.step.to_string());
            // Whoever follows an attempt holds the lease of its key.
            let held: Option<Vec<_>> =
                batch.jobs.iter().map(|job| project.cache().try_lease(&job.label.key).ok()?).collect();
            match held {
                Some(held) => {
                    cancelled.ended.extend(steps());
                    leases.extend(held);
                    ours.push(batch);
                }
                None => cancelled.followed.extend(steps()),
            }
        }
        if let Err(reason) = end(project, &placement, &ours).await {
            let steps: Vec<String> =
                ours.iter().flat_map(|batch| &batch.jobs).map(|job| job.label.step.to_string()).collect();
            cancelled.ended.retain(|step| !steps.contains(step));
            cancelled.failed.push((placement.executor.to_string(), reason));
        }
    }
    cancelled
}

async fn end(project: &Project, placement: &Placement, batches: &[Arc<Noted>]) -> Result<(), String> {
    if batches.is_empty() {
        return Ok(());
    }
    let said = |error: ExecutorError| error.to_string();
    let client = Arc::clone(Post::new(project, placement).await?.client());
    let ids: Vec<BatchId> = batches.iter().map(|batch| batch.batch.clone()).collect();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let states = client.status(&ids).await.map_err(said)?;
        let open: Vec<Ticket> = open(&states);
        if open.is_empty() {
            break;
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(format!("{} of its jobs have not ended yet", open.len()));
        }
        client.cancel(&open).await.map_err(said)?;
        tokio::time::sleep(OFTEN).await;
    }
    client.forget(&ids).await.map_err(said)?;
    let ledger = Batches::new(project.state(), placement.clone());
    ids.iter().for_each(|id| ledger.erase(id));
    Ok(())
}

fn open(states: &States) -> Vec<Ticket> {
    states.iter().filter(|(_, state)| !state.is_ended()).map(|(ticket, _)| ticket.clone()).collect()
}

fn by_placement(project: &Project, wanted: impl Fn(&Noted) -> bool) -> Vec<(Placement, Vec<Arc<Noted>>)> {
    let mut groups: Vec<(Placement, Vec<Arc<Noted>>)> = Vec::new();
    for batch in noted(project.state()).into_iter().filter(wanted).map(Arc::new) {
        match groups.iter_mut().find(|(placement, _)| *placement == batch.placement) {
            Some((_, of_placement)) => of_placement.push(batch),
            None => groups.push((batch.placement.clone(), vec![batch])),
        }
    }
    groups
}
