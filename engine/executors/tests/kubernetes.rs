//! Kubernetes: a real control plane on this machine, with two nodes that are played.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_executors::{
    Batch, End, Executor as _, ExecutorError, Job, Kubernetes, KubernetesSettings, Program, Resources, State,
    Ticket,
};

use crate::contract::{self, batch, end, printed_from, shell, until};
use crate::several;
use crate::support::Engine;

async fn cluster(engine: &Engine, image: &str) -> Kubernetes {
    let kubeconfig = Some(engine.text("kubeconfig").into());
    let settings = KubernetesSettings { kubeconfig, ..KubernetesSettings::of_image(image.to_owned()) };
    Kubernetes::new(settings).await.unwrap()
}

fn one(resources: Resources, job: Job) -> (Batch, Ticket) {
    let batch = Batch { resources, ..batch(vec![job]) };
    let ticket = batch.tickets().next().unwrap();
    (batch, ticket)
}

#[tokio::test]
#[ignore = "builds a control plane for ten minutes, once; tests/campaign plays it"]
async fn it_keeps_its_promise() {
    let mut engine = Engine::start("kubernetes");
    let cluster = cluster(&engine, "here").await;
    contract::all(&cluster).await;
    several::all(&cluster).await;
    its_image_has_the_program(&cluster).await;
    what_cannot_be_placed_says_why(&cluster).await;
    an_image_that_is_not_there_is_told(&engine).await;
    memory_is_kept(&cluster).await;
    a_log_need_be_no_text(&cluster).await;
    a_quota_is_told(&mut engine, &cluster).await;
    what_is_forgotten_is_gone(&cluster).await;
    the_control_plane_may_go_and_come(&mut engine, &cluster).await;
    a_lost_machine_is_told(&mut engine, &cluster).await;
}

async fn its_image_has_the_program(cluster: &Kubernetes) {
    let ours = Program { path: "/no/such/file".into(), digest: "1f".to_owned(), version: "1.0".to_owned() };
    assert_eq!(cluster.install(&ours).await.unwrap(), "tidemill");
}

async fn what_cannot_be_placed_says_why(cluster: &Kubernetes) {
    let (batch, ticket) = one(Resources { gpus: 3, ..Resources::default() }, shell("exit 0"));
    cluster.submit(&batch).await.unwrap();
    until(cluster, &ticket, |state| {
        matches!(state, State::Queued { reason: Some(reason) } if reason.contains("Insufficient nvidia.com/gpu"))
    })
    .await;
    cluster.cancel(std::slice::from_ref(&ticket)).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Cancelled);
    // A time limit counts from the start, so what waits does not time out.
    let wants = Resources { gpus: 3, time: Some(Duration::from_secs(1)), ..Resources::default() };
    let (batch, ticket) = one(wants, shell("exit 0"));
    cluster.submit(&batch).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    until(cluster, &ticket, |state| matches!(state, State::Queued { .. })).await;
    cluster.forget(&[batch.id]).await.unwrap();
    let wants = Resources { gpus: 2, gpu_type: Some("NVIDIA-None".to_owned()), ..Resources::default() };
    let (batch, ticket) = one(wants, shell("exit 0"));
    cluster.submit(&batch).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Exited { code: 0 });
}

async fn an_image_that_is_not_there_is_told(engine: &Engine) {
    let cluster = cluster(engine, "missing/image:1").await;
    let (batch, ticket) = one(Resources::default(), shell("exit 0"));
    cluster.submit(&batch).await.unwrap();
    let end = end(&cluster, &ticket).await;
    assert!(matches!(&end, End::NotStarted { reason } if reason.contains("not found")), "{end:?}");
}

async fn memory_is_kept(cluster: &Kubernetes) {
    let resources = Resources { memory: Some(64 << 20), ..Resources::default() };
    let (batch, ticket) = one(resources, shell("head -c 400000000 /dev/zero | tail"));
    cluster.submit(&batch).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::OutOfMemory);
}

async fn a_log_need_be_no_text(cluster: &Kubernetes) {
    let (batch, ticket) = one(Resources::default(), shell("seq 1 200000; printf '\\377 end'"));
    cluster.submit(&batch).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Exited { code: 0 });
    assert!(printed_from(cluster, &ticket, 0).await.ends_with(b"200000\n\xff end"));
}

async fn a_quota_is_told(engine: &mut Engine, cluster: &Kubernetes) {
    engine.order("quota requests.cpu=1");
    let (large, ticket) = one(Resources { cpus: 2, ..Resources::default() }, shell("exit 0"));
    cluster.submit(&large).await.unwrap();
    until(
        cluster,
        &ticket,
        |state| matches!(state, State::Queued { reason: Some(reason) } if reason.contains("exceeded quota")),
    )
    .await;
    cluster.cancel(std::slice::from_ref(&ticket)).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Cancelled);
    engine.order("quota count/jobs.batch=1");
    let full = cluster.submit(&one(Resources::default(), shell("exit 0")).0).await;
    assert!(matches!(full, Err(ExecutorError::Full { .. })), "{full:?}");
    engine.order("quota");
}

async fn what_is_forgotten_is_gone(cluster: &Kubernetes) {
    let env = BTreeMap::from([("TOKEN".to_owned(), "the-secret".to_owned())]);
    let job = Job { env, ..shell("exit 3") };
    let (batch, ticket) = one(Resources::default(), job);
    cluster.submit(&batch).await.unwrap();
    assert_eq!(end(cluster, &ticket).await, End::Exited { code: 3 });
    cluster.forget(std::slice::from_ref(&batch.id)).await.unwrap();
    assert!(cluster.status(&[batch.id]).await.unwrap().is_empty());
}

async fn the_control_plane_may_go_and_come(engine: &mut Engine, cluster: &Kubernetes) {
    let folder = engine.folder();
    let job = shell(&format!("while [ ! -e {folder}/go-on ]; do sleep 0.05; done; exit 3"));
    let (batch, ticket) = one(Resources::default(), job);
    cluster.submit(&batch).await.unwrap();
    until(cluster, &ticket, |state| matches!(state, State::Running { .. })).await;
    engine.order("kill server");
    for asked in
        [cluster.status(std::slice::from_ref(&batch.id)).await.map(drop), cluster.submit(&batch).await]
    {
        assert!(matches!(asked, Err(ExecutorError::Unreachable { .. })), "{asked:?}");
    }
    std::fs::write(folder.join("go-on"), "").unwrap();
    engine.order("start server");
    assert_eq!(end(cluster, &ticket).await, End::Exited { code: 3 });
}

async fn a_lost_machine_is_told(engine: &mut Engine, cluster: &Kubernetes) {
    let (batch, ticket) = one(Resources::default(), shell("sleep 600"));
    cluster.submit(&batch).await.unwrap();
    let state = until(cluster, &ticket, |state| matches!(state, State::Running { .. })).await;
    let State::Running { host: Some(host) } = state else { panic!("{state:?}") };
    engine.order(&format!("lose {host}"));
    engine.order(&format!("start {host}"));
    assert_eq!(end(cluster, &ticket).await, End::NodeLost);
}
