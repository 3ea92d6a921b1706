//! The GPUs of a worker: what its engine gave it, or, where no engine does, what nobody else on this machine uses.

use std::time::Duration;

use crate::execute::{Cancellation, Urgency};
use crate::gpus::{AGAIN, GpuLeases, usable_gpus};
use crate::project::Project;

/// GPUs that a worker may use, for as long as this is there.
#[derive(Debug)]
pub(super) struct Given {
    /// Their ids.
    pub(super) ids: Vec<String>,
    _leases: Option<GpuLeases>,
}

/// How often it is told that GPUs are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many GPUs; with `lease` those that nobody else uses, as soon as there are so many. None if it is not to wait any longer.
///
/// # Errors
/// If this machine never has so many.
pub(super) async fn given(
    project: &Project,
    wanted: u32,
    lease: bool,
    cancel: &Cancellation,
) -> Result<Option<Given>, String> {
    if wanted == 0 {
        return Ok(Some(Given { ids: Vec::new(), _leases: None }));
    }
    let all = usable_gpus(project);
    let wanted = wanted as usize;
    if all.len() < wanted {
        return Err(format!(
            "it asks for {wanted} GPUs, and the machine that was to run it has {}",
            all.len()
        ));
    }
    if !lease {
        return Ok(Some(Given { ids: all, _leases: None }));
    }
    let mut leases = GpuLeases::of_user(project.variable("XDG_RUNTIME_DIR"));
    let mut told = None;
    loop {
        let elsewhere = leases.take(&all);
        let (ours, mut rest): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|gpu| !elsewhere.contains(gpu));
        if ours.len() >= wanted {
            rest.extend_from_slice(&ours[wanted..]);
            leases.let_go(&rest);
            return Ok(Some(Given { ids: ours[..wanted].to_vec(), _leases: Some(leases) }));
        }
        // Who holds some and waits for more could wait for another one who does the same.
        leases.let_go(&all);
        if told.is_none_or(|told: tokio::time::Instant| told.elapsed() >= PATIENCE) {
            told = Some(tokio::time::Instant::now());
            tracing::info!(wanted, free = ours.len(), "waiting for GPUs that others use");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = cancel.at_least(Urgency::Terminate) => return Ok(None),
        }
    }
}
