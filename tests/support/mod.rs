//! What every story stands on: a project in a closed world, a command's whole answer, waiting for conditions, processes.

mod answer;
mod clusters;
#[path = "../../engine/executors/tests/support.rs"]
mod engines;
mod faults;
mod gpus;
pub(crate) mod http;
mod processes;
mod project;
#[path = "../../engine/notify/tests/support/receiver.rs"]
mod receiver;
mod stores;
mod terminal;
mod wait;

pub(crate) use answer::{Answer, with_narrow_columns};
pub(crate) use clusters::{Cluster, RayCluster, Remote, SlurmCluster};
pub(crate) use faults::Faults;
pub(crate) use http::ask;
pub(crate) use processes::{Started, children_of, kill_with_descendants, processes_of, signal};
pub(crate) use project::Project;
pub(crate) use receiver::{Receiver, Script};
pub(crate) use stores::ObjectStore;
pub(crate) use terminal::Terminal;
pub(crate) use wait::{until, until_equal};
