//! What this machine has for steps: cores, memory, GPUs.

use std::fs;

use super::gpus;
use crate::graph::Graph;
use crate::project::Project;
use crate::schedule::Limits;

/// What this machine has for the steps of a graph, with at most so many at once. GPUs are looked for only if a step needs one.
#[must_use]
pub(crate) fn limits(project: &Project, graph: &Graph, jobs: Option<usize>) -> Limits {
    let gpus = match graph.skeleton.needs().any(|(resources, _)| resources.gpus > 0) {
        true => gpus::usable(project),
        false => Vec::new(),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = u32::try_from(cores.max(jobs.unwrap_or(0))).unwrap_or(u32::MAX);
    Limits::new(jobs.unwrap_or(cores), cpus, memory(), gpus)
}

/// Bytes of memory; without limit where it cannot be told.
fn memory() -> u64 {
    let total = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:").map(str::to_owned))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    fs::read_to_string("/proc/meminfo").ok().and_then(total).map_or(u64::MAX, |kib| kib * 1024)
}
