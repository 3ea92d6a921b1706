//! Commands that run elsewhere, on engines that exist: a thin, dependable client of each; knows no step, no key and no store.
//!
//! What is submitted has a ticket that the submitter chose and wrote down before. So whatever happens to him, what runs can be
//! found again by it, and is never submitted twice. Retrying and polling are the affair of the [`Desk`], which asks each engine little
//! however many jobs there are; giving up is the affair of who asks.

mod batch;
mod desk;
mod error;
mod executor;
mod http;
mod install;
mod keeper;
mod kubernetes;
mod program;
mod ray;
mod resources;
mod several;
mod shell;
mod slurm;
mod ssh;
mod state;

pub use batch::{Batch, BatchId, InvalidBatchId, Job, Ticket};
pub use desk::{Desk, Following, Ledger, News, Pace};
pub use error::ExecutorError;
pub use executor::Executor;
pub use kubernetes::{Kubernetes, KubernetesSettings, Toleration};
pub use program::Program;
pub use ray::{Ray, RaySettings};
pub use resources::Resources;
pub use shell::Shell;
pub use slurm::{Slurm, SlurmRest, SlurmSettings};
pub use ssh::{Ssh, SshHost, SshSettings};
pub use state::{End, State, States};
