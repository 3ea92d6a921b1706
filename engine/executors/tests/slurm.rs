//! Slurm: a controller and two nodes on this machine.

use std::time::Duration;

use tidemill_executors::{
    Batch, End, Executor as _, ExecutorError, Resources, Shell, Slurm, SlurmRest, SlurmSettings, State,
};

use crate::contract::{self, batch, end, shell, until};
use crate::programs;
use crate::several;
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
    several::all(&cluster).await;
    several::they_meet(&cluster).await;
    places_in_line_are_told(&cluster).await;
}

/// The same, by its REST server: the shell knows no Slurm.
#[tokio::test]
async fn it_keeps_its_promise_by_its_rest_server() {
    let engine = Engine::start("slurm");
    let folder = tempfile::tempdir().unwrap();
    let server =
        SlurmRest { address: engine.text("rest"), user: engine.text("user"), token: engine.text("token") };
    let of = |rest: &SlurmRest, partition: Option<&str>| {
        let settings = SlurmSettings {
            folder: folder.path().to_str().map(str::to_owned),
            partition: partition.map(str::to_owned),
            rest: Some(rest.clone()),
            ..SlurmSettings::default()
        };
        let no_slurm = [("SLURM_CONF".to_owned(), "/nowhere".to_owned())].into();
        Slurm::new(Shell::Here { variables: no_slurm }, &settings)
    };
    let cluster = of(&server, None).unwrap();
    contract::all(&cluster).await;
    programs::all(&cluster).await;
    several::all(&cluster).await;
    several::they_meet(&cluster).await;
    gpus_are_asked_for(&cluster).await;
    places_in_line_are_told(&cluster).await;
    let nowhere = of(&server, Some("nowhere")).unwrap().submit(&batch(vec![shell("true")])).await;
    assert!(
        matches!(&nowhere, Err(ExecutorError::Refused { reason, .. }) if reason.contains("partition")),
        "{nowhere:?}"
    );
    let stranger = SlurmRest { token: "no-such-token".to_owned(), ..server.clone() };
    let asked = of(&stranger, None).unwrap().submit(&batch(vec![shell("true")])).await.unwrap_err();
    assert!(!format!("{asked:?} {stranger:?}").contains("no-such-token"), "{asked:?}");
    let gone = SlurmRest { address: "http://127.0.0.1:9".to_owned(), ..server };
    let asked = of(&gone, None).unwrap().status(&[batch(Vec::new()).id]).await;
    assert!(matches!(asked, Err(ExecutorError::Unreachable { .. })), "{asked:?}");
}

/// One job has all the cluster, and two wait for it.
async fn places_in_line_are_told(cluster: &Slurm) {
    let place = tempfile::tempdir().unwrap();
    let go = place.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    let resources = Resources { nodes: 2, cpus: 4, ..Resources::default() };
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let batch = Batch { resources: resources.clone(), ..batch(vec![shell(&script)]) };
        cluster.submit(&batch).await.unwrap();
        let ticket = batch.tickets().next().unwrap();
        if tickets.is_empty() {
            until(cluster, &ticket, |state| matches!(state, State::Running { .. })).await;
        }
        tickets.push(ticket);
    }
    for (ticket, place) in tickets[1..].iter().zip(["next in line", "fewer than 2 before it"]) {
        let waits = |state: &State| match state {
            State::Queued { reason } => reason.as_deref().is_some_and(|reason| reason.ends_with(place)),
            _ => false,
        };
        until(cluster, ticket, waits).await;
    }
    std::fs::write(go, "").unwrap();
    for ticket in &tickets {
        assert_eq!(end(cluster, ticket).await, End::Exited { code: 0 });
    }
}

async fn gpus_are_asked_for(cluster: &Slurm) {
    let resources = Resources { gpus: 2, memory: Some(50 << 20), ..Resources::default() };
    let batch = Batch { resources, ..batch(vec![shell("echo $CUDA_VISIBLE_DEVICES")]) };
    let ticket = batch.tickets().next().unwrap();
    cluster.submit(&batch).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Exited { code: 0 });
    assert_eq!(contract::printed(cluster, &ticket).await, "0,1\n");
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

#[tokio::test]
async fn a_batch_over_the_limit_of_jobs_goes_in_parts() {
    let mut engine = Engine::start_with("slurm", &["JobSubmitPlugins=lua"]);
    let folder = tempfile::tempdir().unwrap();
    let commands =
        SlurmSettings { folder: folder.path().to_str().map(str::to_owned), ..SlurmSettings::default() };
    let server =
        SlurmRest { address: engine.text("rest"), user: engine.text("user"), token: engine.text("token") };
    for settings in [commands.clone(), SlurmSettings { rest: Some(server), ..commands }] {
        let cluster = cluster(&engine, &settings);
        let counts = folder.path().join("counts");
        std::fs::write(&counts, "").unwrap();
        let script = format!("echo $SLURM_ARRAY_TASK_ID >> {}", counts.display());
        let batch = batch((0..7).map(|_| shell(&script)).collect());
        let tickets: Vec<_> = batch.tickets().collect();
        for known in [3, 6] {
            engine.order("room 3");
            let full = cluster.submit(&batch).await;
            assert!(
                matches!(&full, Err(ExecutorError::Full { reason, .. }) if reason.contains("limit")),
                "{full:?}"
            );
            let states = cluster.status(std::slice::from_ref(&batch.id)).await.unwrap();
            assert!(states.keys().eq(&tickets[..known]), "{states:?}");
        }
        engine.order("room 3");
        cluster.submit(&batch).await.unwrap();
        for ticket in &tickets {
            assert_eq!(end(&cluster, ticket).await, End::Exited { code: 0 });
        }
        let counts = std::fs::read_to_string(counts).unwrap();
        let mut counts: Vec<&str> = counts.lines().collect();
        counts.sort_unstable();
        assert_eq!(counts, ["0", "1", "2", "3", "4", "5", "6"]);
    }
}

#[tokio::test]
async fn what_makes_room_is_asked_before_it_is_killed() {
    // A machine that is silent for so long is lost.
    let mut engine = Engine::start_with("slurm", &["SlurmdTimeout=5"]);
    let folder = tempfile::tempdir().unwrap();
    let of = |partition: &str| SlurmSettings {
        partition: Some(partition.to_owned()),
        folder: folder.path().to_str().map(str::to_owned),
        ..SlurmSettings::default()
    };
    let large = Resources { nodes: 2, cpus: 4, ..Resources::default() };
    // From `spot` Slurm cancels jobs, and from `low` it would put them into the queue again, which is ours to do.
    for partition in ["spot", "low"] {
        let small = cluster(&engine, &of(partition));
        let place = folder.path().join(partition);
        // It waits for no child: Slurm asks all at once, and that one may end first.
        let checkpoint = format!(
            "trap 'sleep 0.5; echo > {0}.saved; exit 0' TERM; echo > {0}.began; while :; do sleep 0.1; done",
            place.display()
        );
        let batch = batch(vec![shell(&checkpoint)]);
        let ticket = batch.tickets().next().unwrap();
        small.submit(&batch).await.unwrap();
        while !place.with_extension("began").exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let rival = Batch { resources: large.clone(), ..contract::batch(vec![shell("exit 3")]) };
        let main = cluster(&engine, &of("main"));
        main.submit(&rival).await.unwrap();
        assert_eq!(end(&small, &ticket).await, End::Preempted, "{partition}");
        assert!(place.with_extension("saved").exists(), "{partition}: it was asked before it was killed");
        assert_eq!(end(&main, &rival.tickets().next().unwrap()).await, End::Exited { code: 3 });
    }
    a_lost_machine_is_told(&mut engine, &of("main")).await;
}

async fn a_lost_machine_is_told(engine: &mut Engine, settings: &SlurmSettings) {
    let cluster = cluster(engine, settings);
    // One job has one node, and the other one has both: one of these is lost.
    for nodes in [1, 2] {
        let resources = Resources { nodes, ..Resources::default() };
        let batch = Batch { resources, ..contract::batch(vec![shell("sleep 600")]) };
        let ticket = batch.tickets().next().unwrap();
        cluster.submit(&batch).await.unwrap();
        let state = until(&cluster, &ticket, |state| matches!(state, State::Running { .. })).await;
        let State::Running { host: Some(host) } = state else { panic!("{state:?}") };
        let host = if nodes == 1 { &host } else { "n2" };
        engine.order(&format!("lose {host}"));
        assert_eq!(end(&cluster, &ticket).await, End::NodeLost, "{nodes} nodes");
        engine.order(&format!("start {host}"));
    }
}
