//! What this machine has for steps: cores, memory, GPUs.

use std::fs;

use crate::gpus::usable_gpus;
use crate::graph::Graph;
use crate::project::Project;
use crate::schedule::Limits;

/// So many attempts are handed to an executor at once if nothing is said: a cluster has its own queue, but also its own limits.
const MOST_ELSEWHERE: u32 = 1000;

/// What this machine has for the steps of a graph, with at most so many at once. GPUs are looked for only if a step needs one here.
/// `all_here`: also what an executor runs otherwise is run here.
#[must_use]
pub(crate) fn limits(project: &Project, graph: &Graph, jobs: Option<usize>, all_here: bool) -> Limits {
    let gpus = match graph
        .skeleton
        .needs()
        .any(|(resources, _)| resources.gpus > 0 && (all_here || resources.placement.is_none()))
    {
        true => usable_gpus(project),
        false => Vec::new(),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = u32::try_from(cores.max(jobs.unwrap_or(0))).unwrap_or(u32::MAX);
    let here = Limits::new(jobs.unwrap_or(cores), cpus, memory(), gpus);
    let placements = graph.skeleton.needs().filter_map(|(resources, _)| resources.placement.as_ref());
    placements.fold(here, |limits, placement| {
        let name = placement.executor.as_str();
        let settings = project.executors().settings(name, &std::collections::BTreeMap::new());
        let jobs = settings.ok().and_then(|settings| settings.shared.jobs).unwrap_or(MOST_ELSEWHERE);
        limits.with_executor(name, jobs as usize)
    })
}

/// Bytes of memory; without limit where it cannot be told.
fn memory() -> u64 {
    let total = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:").map(str::to_owned))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    fs::read_to_string("/proc/meminfo").ok().and_then(total).map_or(u64::MAX, |kib| kib * 1024)
}
