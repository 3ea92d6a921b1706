//! A rehearsal: a step runs as an attempt would, and what it wrote is looked at where it lies. Nothing of it is recorded.

use std::sync::Arc;

use camino::Utf8PathBuf;

use super::cancel::Cancellation;
use super::outputs::arrange;
use super::worker::{Attempt, Work};
use crate::failure::{Failure, FailureReport, InfraFailure};
use crate::process::LazyWarden;
use crate::project::Project;

/// A step's folder after its process has ended well.
#[derive(Debug)]
pub struct Rehearsed {
    /// The folder that the step worked in.
    pub root: Utf8PathBuf,
    /// A free place beside it.
    pub aside: Utf8PathBuf,
}

/// Runs a step once on these GPUs, lets somebody look at what it wrote, and removes it.
///
/// # Errors
/// If it fails, the machine fails, it is cancelled, or whoever looks says so; with the end of its log.
pub async fn rehearse<T: Send + 'static>(
    project: &Project,
    warden: &LazyWarden,
    attempt: Attempt,
    gpus: Vec<String>,
    cancel: &Cancellation,
    look: impl FnOnce(Rehearsed) -> Result<T, Failure> + Send + 'static,
) -> Result<T, FailureReport> {
    let work = Arc::new(Work::new(project, attempt));
    work.gpus.get_or_init(|| gpus);
    let folder = match work.blocking(Work::prepare).await {
        Ok(folder) => Arc::new(folder),
        Err(failure) => return Err(work.report(failure, None)),
    };
    let ran = work.run_in(&folder, None, warden, cancel).await;
    if let Err(Failure::Infrastructure(InfraFailure::SupervisorLost { .. })) = &ran {
        warden.forget().await;
    }
    let looked = work.blocking(move |work| {
        let looked = ran.and_then(|_| {
            work.inputs_are_unchanged()?;
            arrange(work.step(), &folder.root(), None)?;
            look(Rehearsed { root: folder.root(), aside: folder.beside("cached") })
        });
        folder.discard(&work.project);
        looked
    });
    looked.await.map_err(|failure| work.report(failure, None))
}
