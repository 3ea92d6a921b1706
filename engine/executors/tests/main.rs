//! The promise of every engine, kept by real ones that the tests start on loopback, and the desk before an engine in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod desk;
mod kubernetes;
mod programs;
mod ray;
mod scripted;
mod several;
mod slurm;
mod ssh;
mod support;
