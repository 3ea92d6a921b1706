//! SSH, to the account of another user on this machine.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tidemill_executors::{Shell, Ssh};

use crate::contract;
use crate::support::Engine;

static SSHD: LazyLock<Engine> = LazyLock::new(|| Engine::start("ssh"));

fn hosts() -> Ssh {
    let config = SSHD.text("config");
    let host = |name: &str| Shell::Ssh { host: name.to_owned(), config: Some(config.clone().into()) };
    // The second is the same machine under another name: each job is found on both, and is the same there.
    Ssh::new(vec![host("remote"), host("remote2")], None).unwrap()
}

#[tokio::test]
async fn it_keeps_its_promise() {
    contract::all(&hosts()).await;
}

#[tokio::test]
async fn without_a_connection_too() {
    let folder = tempfile::tempdir().unwrap();
    contract::all(
        &Ssh::new(vec![Shell::Here { variables: BTreeMap::new() }], folder.path().to_str()).unwrap(),
    )
    .await;
}
