//! What this machine has for steps: cores, memory, GPUs.

use std::fs;

use crate::schedule::Limits;

/// The limits of this machine, with at most so many steps at once.
#[must_use]
pub(crate) fn limits(jobs: Option<usize>) -> Limits {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = u32::try_from(cores.max(jobs.unwrap_or(0))).unwrap_or(u32::MAX);
    Limits::new(jobs.unwrap_or(cores), cpus, memory(), gpus())
}

/// Bytes of memory; without limit where it cannot be told.
fn memory() -> u64 {
    let total = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:").map(str::to_owned))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    fs::read_to_string("/proc/meminfo").ok().and_then(total).map_or(u64::MAX, |kib| kib * 1024)
}

/// The UUIDs of the NVIDIA GPUs that the driver lists, sorted.
#[must_use]
pub(crate) fn gpus() -> Vec<String> {
    let Ok(listing) = fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let uuid = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(entry.ok()?.path().join("information")).ok()?;
        let uuid = text.lines().find_map(|line| line.strip_prefix("GPU UUID:"))?;
        Some(uuid.trim().to_owned())
    };
    let mut uuids: Vec<String> = listing.filter_map(uuid).collect();
    uuids.sort();
    uuids
}
