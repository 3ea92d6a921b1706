//! The promise of every engine, kept by real ones that the tests start on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod kubernetes;
mod programs;
mod ray;
mod slurm;
mod ssh;
mod support;
