//! SSH, to the account of another user on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_executors::{End, Executor as _, ExecutorError, Resources, Shell, Ssh, State};

use crate::contract::{self, batch, end, shell, until};
use crate::support::Engine;

/// Its two hosts are one machine: each job is found on both, and is the same there.
fn hosts(engine: &Engine) -> Ssh {
    let host = |name: &str| Shell::Ssh {
        host: name.to_owned(),
        config: Some(engine.text("config").into()),
        sockets: Some(engine.folder()),
    };
    Ssh::new(vec![host("remote"), host("remote2")], Some(&engine.text("remote_folder"))).unwrap()
}

#[tokio::test]
async fn it_keeps_its_promise() {
    let engine = Engine::start("ssh");
    contract::all(&hosts(&engine)).await;
}

#[tokio::test]
async fn without_a_connection_too() {
    let folder = tempfile::tempdir().unwrap();
    let here = Shell::Here { variables: BTreeMap::new() };
    contract::all(&Ssh::new(vec![here], folder.path().to_str()).unwrap()).await;
}

#[tokio::test]
async fn what_runs_outlives_the_connection() {
    let mut engine = Engine::start("ssh");
    let hosts = hosts(&engine);
    let resources = Resources { time: Some(Duration::from_secs(300)), ..Resources::default() };
    let file = format!("{}/go-on", engine.text("remote_folder"));
    let job = shell(&format!("while [ ! -e {file} ]; do sleep 0.05; done; exit 3"));
    let batch = tidemill_executors::Batch { resources, ..batch(vec![job]) };
    let ticket = batch.tickets().next().unwrap();
    hosts.submit(&batch).await.unwrap();
    until(&hosts, &ticket, |state| matches!(state, State::Running { .. })).await;
    engine.order("drop");
    std::fs::write(&file, "").unwrap();
    assert_eq!(end(&hosts, &ticket).await, End::Exited { code: 3 });
}

#[tokio::test]
async fn a_lost_machine_is_told() {
    let mut engine = Engine::start("ssh");
    let hosts = hosts(&engine);
    let batch = batch(vec![shell("sleep 600")]);
    let ticket = batch.tickets().next().unwrap();
    hosts.submit(&batch).await.unwrap();
    until(&hosts, &ticket, |state| matches!(state, State::Running { .. })).await;
    engine.order("lose");
    let asked = hosts.status(std::slice::from_ref(&batch.id)).await;
    assert!(matches!(asked, Err(ExecutorError::Unreachable { .. })), "{asked:?}");
    engine.order("start");
    assert_eq!(end(&hosts, &ticket).await, End::NodeLost);
}
