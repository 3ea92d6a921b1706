//! Whether there are as many GPUs as steps ask for, and as large ones.

use super::examine::Graphs;
use super::finding::{Fault, Finding};
use crate::gpus::usable_gpus;
use crate::process::Gpus;
use crate::project::Project;
use crate::schedule::Devices;

const SUBJECT: &str = "gpu";

/// Counts them.
pub(super) fn check(project: &Project, graphs: &Graphs) -> Vec<Finding> {
    let usable = usable_gpus(project);
    let (number, devices) = (usable.len(), Devices::new(usable));
    let needs = graphs.iter().flat_map(|graph| {
        let here = graph.skeleton.needs().filter(|(resources, _)| resources.placement.is_none());
        here.map(move |(resources, first)| (resources, graph, first))
    });
    let lacking = needs.filter_map(|(needs, graph, first)| {
        let (wanted, _) = devices.impossible(needs.gpus, needs.vram)?;
        Some(((needs.gpus, needs.vram), wanted, graph, first))
    });
    let most = lacking.max_by_key(|(needs, ..)| *needs);
    let names = Gpus::default().all().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|gpu| gpu.name.as_str()).collect();
    let there = match (number, names.is_empty()) {
        (0, _) => "none that steps can be given".to_owned(),
        (number, true) => {
            format!("for steps: {number}; NVIDIA's library is not there, so what they do is not shown")
        }
        (number, false) => format!("for steps: {number} ({})", names.join(", ")),
    };
    match most {
        Some((_, wanted, graph, first)) => {
            let (step, pipeline) = (&graph.step(first).id, &graph.pipeline);
            let said = format!("step {step} of {pipeline} asks for {wanted}; {there}");
            let help = "run it where there are enough, see CUDA_VISIBLE_DEVICES, or lower its `resources`";
            vec![Finding::problem(SUBJECT, Fault::Machine, said).help(help)]
        }
        None => vec![Finding::ok(SUBJECT, there)],
    }
}
