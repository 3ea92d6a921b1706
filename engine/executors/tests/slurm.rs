//! Slurm: a controller and two nodes on this machine.

use tidemill_executors::{Shell, Slurm, SlurmSettings};

use crate::contract;
use crate::support::Engine;

#[tokio::test]
async fn it_keeps_its_promise() {
    let engine = Engine::start("slurm");
    let folder = tempfile::tempdir().unwrap();
    let settings =
        SlurmSettings { folder: folder.path().to_str().map(str::to_owned), ..SlurmSettings::default() };
    let shell = Shell::Here { variables: [("SLURM_CONF".to_owned(), engine.text("SLURM_CONF"))].into() };
    contract::all(&Slurm::new(shell, &settings).unwrap()).await;
}
