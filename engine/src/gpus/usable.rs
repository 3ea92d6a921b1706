//! Which GPUs steps may be given: those of this machine, or what `CUDA_VISIBLE_DEVICES` leaves of them.

use std::fs;

use crate::process::{Gpu, Gpus};
use crate::project::Project;
use crate::schedule::Device;

/// The variable that says which GPUs a program may see.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// The GPUs that steps may be given, each called as it is written in `CUDA_VISIBLE_DEVICES`: by UUID, or as it was
/// written there by whoever started this command, where nobody can tell what UUID that is.
#[must_use]
pub(crate) fn usable(project: &Project) -> Vec<Device> {
    let mut library = Gpus::default();
    let of_machine = library.all();
    let ids = match project.variable(VISIBLE) {
        Some(value) => {
            let by_bus = project.variable("CUDA_DEVICE_ORDER") == Some("PCI_BUS_ID");
            visible(value, of_machine.as_deref(), by_bus)
        }
        None => match of_machine {
            Some(gpus) => {
                let device = |gpu: Gpu| Device { id: gpu.uuid, memory: gpu.memory };
                return gpus.into_iter().map(device).collect();
            }
            None => listed_by_driver(),
        },
    };
    let mut device = |id: String| {
        let of = |gpus: &Vec<Gpu>| gpus.iter().find(|gpu| gpu.uuid == id)?.memory;
        let memory = of_machine.as_ref().and_then(of).or_else(|| library.memory(&id));
        Device { id, memory }
    };
    ids.into_iter().map(&mut device).collect()
}

/// What a value of `CUDA_VISIBLE_DEVICES` lets a program see, by the rules of the CUDA runtime: numbers, UUIDs or their
/// beginnings, up to the first that is none. `by_bus`: GPUs are numbered as NVIDIA's library numbers them; otherwise the
/// runtime puts the fastest first, which is the same order if all are alike.
/// <https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables>
fn visible(value: &str, of_machine: Option<&[Gpu]>, by_bus: bool) -> Vec<String> {
    let numbers_are_known =
        of_machine.is_some_and(|gpus| by_bus || gpus.iter().all(|gpu| gpu.name == gpus[0].name));
    let mut ids: Vec<String> = Vec::new();
    for entry in value.split(',').map(str::trim) {
        let number = entry.parse::<usize>().ok();
        let id = match (number, of_machine) {
            (Some(number), Some(gpus)) => gpus.get(number).map(|gpu| match numbers_are_known {
                true => gpu.uuid.clone(),
                false => entry.to_owned(),
            }),
            (Some(_), None) => Some(entry.to_owned()),
            (None, _) if entry.starts_with("MIG-") => Some(entry.to_owned()),
            (None, _) if !entry.starts_with("GPU-") => None,
            (None, None) => Some(entry.to_owned()),
            (None, Some(gpus)) => {
                let mut begin_so = gpus.iter().filter(|gpu| gpu.uuid.starts_with(entry));
                begin_so.next().filter(|_| begin_so.next().is_none()).map(|gpu| gpu.uuid.clone())
            }
        };
        let Some(id) = id else { break };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The UUIDs of the GPUs that NVIDIA's driver lists, sorted.
fn listed_by_driver() -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(names: [&str; 3]) -> Vec<Gpu> {
        let gpu = |(number, name): (usize, &&str)| Gpu {
            uuid: format!("GPU-{number}abc"),
            name: (*name).to_owned(),
            memory: None,
        };
        names.iter().enumerate().map(gpu).collect()
    }

    #[test]
    fn what_cuda_would_see_is_what_there_is() {
        let alike = machine(["H100"; 3]);
        let see = |value: &str| visible(value, Some(&alike), false);
        assert_eq!(see("2,0"), ["GPU-2abc", "GPU-0abc"]);
        assert_eq!(see(" GPU-1 , GPU-1abc, 1"), ["GPU-1abc"], "one GPU, however it is called");
        assert_eq!(see("1,9,0"), ["GPU-1abc"], "what comes after one that is not there does not count");
        assert_eq!(see("GPU-,0"), [""; 0], "a beginning that more than one has is none");
        assert_eq!(see("MIG-7a/1/0,0"), ["MIG-7a/1/0", "GPU-0abc"]);
        for nothing in ["", "-1", "NoDevFiles", "GPU-x"] {
            assert_eq!(see(nothing), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn a_number_that_may_mean_another_gpu_stays_a_number() {
        let mixed = machine(["T4", "H100", "T4"]);
        assert_eq!(visible("0,2", Some(&mixed), false), ["0", "2"]);
        assert_eq!(visible("0,2", Some(&mixed), true), ["GPU-0abc", "GPU-2abc"]);
        assert_eq!(visible("0,GPU-x,3", None, false), ["0", "GPU-x", "3"]);
    }
}
