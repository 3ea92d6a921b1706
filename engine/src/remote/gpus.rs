//! The GPUs of a worker: what its engine gave it, or, where no engine does, what nobody else on this machine uses.

use std::time::Duration;

use super::stream::Printed;
use crate::execute::{Cancellation, Urgency};
use crate::gpus::{AGAIN, GpuLeases, usable_gpus};
use crate::graph::Resources;
use crate::project::Project;
use crate::schedule::Devices;

/// GPUs that a worker may use, for as long as this is there.
#[derive(Debug)]
pub(super) struct Given {
    /// Their ids.
    pub(super) ids: Vec<String>,
    _leases: Option<GpuLeases>,
}

/// How often it is told that GPUs are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The GPUs that a step asks for; with `lease` those that nobody else uses, as soon as there are so many, and a word to whoever watches if
/// that takes time. None if it is not to wait any longer.
///
/// # Errors
/// If this machine never has so many, or none that are large enough.
pub(super) async fn given(
    project: &Project,
    needs: &Resources,
    lease: bool,
    cancel: &Cancellation,
    printed: &mut Printed,
) -> Result<Option<Given>, String> {
    if needs.gpus == 0 {
        return Ok(Some(Given { ids: Vec::new(), _leases: None }));
    }
    let all = usable_gpus(project);
    let ids = all.iter().map(|gpu| gpu.id.clone()).collect();
    let mut devices = Devices::new(all);
    if let Some((wanted, available)) = devices.impossible(needs.gpus, needs.vram) {
        return Err(format!("it asks for {wanted}, and the machine that was to run it has {available}"));
    }
    if !lease {
        return Ok(Some(Given { ids, _leases: None }));
    }
    let mut leases = GpuLeases::of_machine(project);
    let mut told = None;
    loop {
        let others = leases.look();
        let is_known = others.is_some();
        devices.note_others(others.as_ref());
        let taken = devices.take(needs.gpus, needs.vram);
        leases.take(devices.taken());
        if let Some(ids) = taken {
            return Ok(Some(Given { ids, _leases: Some(leases) }));
        }
        if is_known && told.is_none_or(|told: tokio::time::Instant| told.elapsed() >= PATIENCE) {
            told = Some(tokio::time::Instant::now());
            printed(b"tidemill: waiting for GPUs that others on this machine use\n");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = cancel.at_least(Urgency::Terminate) => return Ok(None),
        }
    }
}
