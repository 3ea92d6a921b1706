//! Whether there are as many GPUs as steps ask for.

use super::examine::Graphs;
use super::finding::{Fault, Finding};
use crate::gpus::usable_gpus;
use crate::process::Gpus;
use crate::project::Project;

const SUBJECT: &str = "gpu";

/// Counts them.
pub(super) fn check(project: &Project, graphs: &Graphs) -> Vec<Finding> {
    let needs = graphs.iter().flat_map(|graph| {
        let here = graph.skeleton.needs().filter(|(resources, _)| resources.placement.is_none());
        here.map(move |(resources, first)| (resources.gpus, graph, first))
    });
    let most = needs.max_by_key(|(gpus, ..)| *gpus).filter(|(gpus, ..)| *gpus > 0);
    let usable = usable_gpus(project).len();
    let names = Gpus::default().all().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|gpu| gpu.name.as_str()).collect();
    let there = match (usable, names.is_empty()) {
        (0, _) => "none that steps can be given".to_owned(),
        (usable, true) => {
            format!("for steps: {usable}; NVIDIA's library is not there, so what they do is not shown")
        }
        (usable, false) => format!("for steps: {usable} ({})", names.join(", ")),
    };
    match most {
        Some((wanted, graph, first)) if wanted as usize > usable => {
            let said =
                format!("step {} of {} asks for {wanted}; {there}", graph.step(first).id, graph.pipeline);
            let help = "run it where there are enough, see CUDA_VISIBLE_DEVICES, or lower its `resources`";
            vec![Finding::problem(SUBJECT, Fault::Machine, said).help(help)]
        }
        _ => vec![Finding::ok(SUBJECT, there)],
    }
}
