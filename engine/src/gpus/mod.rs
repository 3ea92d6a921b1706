//! GPUs of this machine: which steps may be given, and who uses them now.

mod leases;
mod usable;

pub(crate) use leases::{AGAIN, GpuLeases};
pub(crate) use usable::usable as usable_gpus;
