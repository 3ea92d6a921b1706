//! Slurm: a controller and two nodes on this machine.

use tidemill_executors::{End, Executor as _, Shell, Slurm, SlurmSettings};

use crate::contract::{self, batch, end, shell};
use crate::programs;
use crate::support::Engine;

fn cluster(engine: &Engine, settings: &SlurmSettings) -> Slurm {
    let shell = Shell::Here { variables: [("SLURM_CONF".to_owned(), engine.text("SLURM_CONF"))].into() };
    Slurm::new(shell, settings).unwrap()
}

#[tokio::test]
async fn it_keeps_its_promise() {
    let engine = Engine::start("slurm");
    let folder = tempfile::tempdir().unwrap();
    let settings =
        SlurmSettings { folder: folder.path().to_str().map(str::to_owned), ..SlurmSettings::default() };
    let cluster = cluster(&engine, &settings);
    contract::all(&cluster).await;
    programs::all(&cluster).await;
}

#[tokio::test]
async fn why_a_job_did_not_come_to_its_command_is_told() {
    let engine = Engine::start("slurm");
    let folder = tempfile::tempdir().unwrap();
    let settings = SlurmSettings {
        folder: folder.path().to_str().map(str::to_owned),
        modules: vec!["no-such-module".to_owned()],
        ..SlurmSettings::default()
    };
    let cluster = cluster(&engine, &settings);
    let batch = batch(vec![shell("echo it began")]);
    cluster.submit(&batch).await.unwrap();
    let ticket = batch.tickets().next().unwrap();
    let end = end(&cluster, &ticket).await;
    assert!(matches!(end, End::NotStarted { .. }), "{end:?}");
    let log = String::from_utf8(cluster.log(&ticket, 0).await.unwrap()).unwrap();
    assert!(log.contains("module") && !log.contains("it began"), "{log}");
}
