//! SSH, to the account of another user on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_executors::{
    Batch, End, Executor as _, ExecutorError, Program, Resources, Shell, Ssh, SshHost, SshSettings, State,
};

use crate::contract::{self, batch, end, printed, shell, until};
use crate::programs;
use crate::support::Engine;

/// Its two hosts are one machine: each job is found on both, and is the same there.
fn hosts(engine: &Engine) -> Ssh {
    let host = |name: &str| {
        SshHost::new(Shell::Ssh {
            host: name.to_owned(),
            config: Some(engine.text("config").into()),
            sockets: Some(engine.folder()),
        })
    };
    let hosts = vec![host("remote"), host("remote2")];
    let folder = Some(engine.text("remote_folder"));
    Ssh::new(&SshSettings { hosts, folder, ..SshSettings::default() }).unwrap()
}

#[tokio::test]
async fn it_keeps_its_promise() {
    let engine = Engine::start("ssh");
    let hosts = hosts(&engine);
    contract::all(&hosts).await;
    programs::all(&hosts).await;
}

#[tokio::test]
async fn without_a_connection_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SshSettings {
        hosts: vec![SshHost::new(Shell::Here { variables: BTreeMap::new() })],
        folder: folder.path().to_str().map(str::to_owned),
        ..SshSettings::default()
    };
    let here = Ssh::new(&settings).unwrap();
    contract::all(&here).await;
    programs::all(&here).await;
    a_program_that_is_there_is_tried(settings).await;
}

#[tokio::test]
async fn what_runs_outlives_the_connection() {
    let mut engine = Engine::start("ssh");
    let hosts = hosts(&engine);
    let resources = Resources { time: Some(Duration::from_secs(300)), ..Resources::default() };
    let file = format!("{}/go-on", engine.text("remote_folder"));
    let job = shell(&format!("while [ ! -e {file} ]; do sleep 0.05; done; exit 3"));
    let batch = Batch { resources, ..batch(vec![job]) };
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

async fn a_program_that_is_there_is_tried(settings: SshSettings) {
    let ours = Program { path: "/no/such/file".into(), digest: "1f".to_owned(), version: "1.0".to_owned() };
    for (program, why) in
        [("/no/such/program", "/no/such/program does not run"), ("/bin/true", "1.0 is wanted")]
    {
        let settings = SshSettings { program: Some(program.to_owned()), ..settings.clone() };
        let asked = Ssh::new(&settings).unwrap().install(&ours).await;
        assert!(
            matches!(&asked, Err(ExecutorError::Refused { reason, .. }) if reason.contains(why)),
            "{asked:?}"
        );
    }
}

/// Each of its hosts is this machine with another cache folder.
#[tokio::test]
async fn jobs_go_where_gpus_are() {
    let folder = tempfile::tempdir().unwrap();
    let host = |name: &str, gpus: u32| {
        let cache = folder.path().join(name).to_str().unwrap().to_owned();
        let shell = Shell::Here { variables: [("XDG_CACHE_HOME".to_owned(), cache)].into() };
        SshHost { gpus, gpu_type: Some(format!("of-{name}")), ..SshHost::new(shell) }
    };
    let hosts = vec![host("none", 0), host("one", 1), host("two", 2)];
    let hosts = Ssh::new(&SshSettings { hosts, ..SshSettings::default() }).unwrap();
    let go_on = folder.path().join("go-on");
    let script =
        format!("echo ${{XDG_CACHE_HOME##*/}}; while [ ! -e {} ]; do sleep 0.05; done", go_on.display());
    let needs = |gpus: u32, kind: Option<&str>| Batch {
        resources: Resources { gpus, gpu_type: kind.map(str::to_owned), ..Resources::default() },
        ..batch(vec![shell(&script)])
    };
    let mut several = needs(0, None);
    several.resources.nodes = 2;
    for wrong in [needs(3, None), needs(2, Some("of-one")), several] {
        let asked = hosts.submit(&wrong).await;
        assert!(matches!(asked, Err(ExecutorError::Refused { .. })), "{asked:?}");
    }
    let jobs = [(2, None, "two"), (1, None, "one"), (1, Some("of-two"), "two"), (0, None, "none")];
    let mut began = Vec::new();
    for (gpus, kind, place) in jobs {
        let batch = needs(gpus, kind);
        hosts.submit(&batch).await.unwrap();
        began.push((batch.tickets().next().unwrap(), place));
    }
    std::fs::write(&go_on, "").unwrap();
    for (ticket, place) in began {
        assert_eq!(end(&hosts, &ticket).await, End::Exited { code: 0 });
        assert_eq!(printed(&hosts, &ticket).await.trim(), place);
    }
}
