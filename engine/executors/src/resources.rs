//! What a job needs, in words that every engine's own are made of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a job needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resources {
    /// Machines, each with all that follows; all of them or none.
    pub nodes: u32,
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// GPUs.
    pub gpus: u32,
    /// What GPUs, in the engine's own word.
    pub gpu_type: Option<String>,
    /// Memory of each GPU in bytes. Kubernetes and Slurm are told where they know a word for it; in the end whoever runs the job looks
    /// whether its GPUs have so much.
    pub vram: Option<u64>,
    /// How long it may take from its start.
    pub time: Option<Duration>,
}

impl Default for Resources {
    /// One core of one machine, as long as it takes.
    fn default() -> Self {
        Self { nodes: 1, cpus: 1, memory: None, gpus: 0, gpu_type: None, vram: None, time: None }
    }
}
