//! Ray: a head and another node on this machine.

use std::time::{Duration, Instant};

use tidemill_executors::{
    Batch, BatchId, End, Executor as _, ExecutorError, Job, Ray, RaySettings, Resources, State, Ticket,
};

use crate::contract::{self, batch, end, printed, shell, until};
use crate::programs;
use crate::several;
use crate::support::Engine;

/// It takes long to start: one is for all.
#[tokio::test]
async fn it_keeps_its_promise() {
    let mut engine = Engine::start("ray");
    let ray = ray(&engine);
    contract::all(&ray).await;
    programs::all(&ray).await;
    several::all(&ray).await;
    several::they_meet(&ray).await;
    what_is_not_there_is_told().await;
    another_client_finds_it(&engine, &ray).await;
    secrets_are_not_shown(&engine, &ray).await;
    a_log_need_be_no_text(&ray).await;
    what_hears_no_signal_is_killed(&ray).await;
    what_waits_can_be_cancelled(&ray).await;
    a_lost_machine_is_told(&mut engine, &ray).await;
}

fn ray(engine: &Engine) -> Ray {
    Ray::new(&RaySettings { address: engine.text("address"), ..RaySettings::default() }).unwrap()
}

fn first(batch: &Batch) -> Ticket {
    batch.tickets().next().unwrap()
}

async fn what_is_not_there_is_told() {
    let nobody = RaySettings { address: "http://127.0.0.1:9".to_owned(), ..RaySettings::default() };
    let asked = Ray::new(&nobody).unwrap().status(&[BatchId::generate()]).await;
    assert!(matches!(asked, Err(ExecutorError::Unreachable { .. })), "{asked:?}");
}

async fn another_client_finds_it(engine: &Engine, one: &Ray) {
    let file = format!("{}/go-on", engine.folder());
    let batch = batch(vec![shell(&format!("while [ ! -e {file} ]; do sleep 0.05; done; exit 3"))]);
    one.submit(&batch).await.unwrap();
    let another = ray(engine);
    until(&another, &first(&batch), |state| matches!(state, State::Running { .. })).await;
    another.submit(&batch).await.unwrap();
    std::fs::write(&file, "").unwrap();
    assert_eq!(end(&another, &first(&batch)).await, End::Exited { code: 3 });
    another.forget(std::slice::from_ref(&batch.id)).await.unwrap();
    assert!(one.status(&[batch.id]).await.unwrap().is_empty());
}

async fn secrets_are_not_shown(engine: &Engine, ray: &Ray) {
    let secret = "the-secret-of-a-story";
    // It tells what else it sees of itself, but not the secret.
    let script =
        "ls -A; echo ${PYTHONPATH-none}; env | grep -c '^TOKEN='; echo \"$RAY_JOB_CONFIG_JSON_ENV_VAR\"";
    let env = [("TOKEN".to_owned(), secret.to_owned())].into();
    let batch = batch(vec![Job { env, ..shell(script) }]);
    ray.submit(&batch).await.unwrap();
    assert_eq!(end(ray, &first(&batch)).await, End::Exited { code: 0 });
    let said = printed(ray, &first(&batch)).await;
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[..3], ["life", "none", "1"]);
    assert!(!said[3].contains("gcs://"), "{said:?}");
    let logs = std::process::Command::new("grep")
        .args(["-rlF", secret])
        .arg(engine.folder().join("ray/session_latest/"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(logs.stdout).unwrap(), "");
}

async fn a_log_need_be_no_text(ray: &Ray) {
    let batch = batch(vec![shell("printf '\\377\\000end'")]);
    ray.submit(&batch).await.unwrap();
    assert_eq!(end(ray, &first(&batch)).await, End::Exited { code: 0 });
    assert_eq!(ray.log(&first(&batch), 0).await.unwrap(), b"\xff\0end");
}

async fn what_hears_no_signal_is_killed(ray: &Ray) {
    let batch = batch(vec![shell("trap '' TERM; echo $$; while :; do sleep 1; done")]);
    ray.submit(&batch).await.unwrap();
    let began = Instant::now();
    let process = loop {
        let log = printed(ray, &first(&batch)).await;
        if let Some(line) = log.strip_suffix('\n') {
            break std::path::Path::new("/proc").join(line);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it has not begun");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(process.exists());
    ray.cancel(&[first(&batch)]).await.unwrap();
    assert_eq!(end(ray, &first(&batch)).await, End::Cancelled);
    assert!(!process.exists());
}

/// More than any machine has, and what has not had the time to begin.
async fn what_waits_can_be_cancelled(ray: &Ray) {
    let never =
        Batch { resources: Resources { gpus: 9, ..Resources::default() }, ..batch(vec![shell("true")]) };
    let several = Resources { nodes: 3, ..Resources::default() };
    let several = Batch { resources: several, ..batch(vec![shell("true")]) };
    ray.submit(&several).await.unwrap();
    until(
        ray,
        &first(&several),
        |state| matches!(state, State::Queued { reason: Some(why) } if why.contains("3 nodes")),
    )
    .await;
    ray.cancel(&[first(&several)]).await.unwrap();
    assert_eq!(end(ray, &first(&several)).await, End::Cancelled);
    let soon = batch(vec![shell("sleep 600")]);
    ray.submit(&never).await.unwrap();
    ray.submit(&soon).await.unwrap();
    let waits = until(ray, &first(&never), |state| matches!(state, State::Queued { .. })).await;
    assert!(matches!(&waits, State::Queued { reason: Some(why) } if why.contains("resources")), "{waits:?}");
    ray.cancel(&[first(&never), first(&soon)]).await.unwrap();
    assert_eq!(end(ray, &first(&never)).await, End::Cancelled);
    assert_eq!(end(ray, &first(&soon)).await, End::Cancelled);
}

async fn a_lost_machine_is_told(engine: &mut Engine, ray: &Ray) {
    let kind = engine.said["gpu_types"]["worker"].as_str().unwrap().to_owned();
    let resources = Resources { gpus: 2, gpu_type: Some(kind), ..Resources::default() };
    let batch = Batch { resources, ..batch(vec![shell("echo $CUDA_VISIBLE_DEVICES; sleep 600")]) };
    ray.submit(&batch).await.unwrap();
    until(ray, &first(&batch), |state| matches!(state, State::Running { .. })).await;
    let began = Instant::now();
    while ray.log(&first(&batch), 0).await.unwrap() != b"0,1\n" {
        assert!(began.elapsed() < Duration::from_secs(60), "it has not said its GPUs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.order("lose worker");
    assert_eq!(end(ray, &first(&batch)).await, End::NodeLost);
    assert!(matches!(ray.log(&first(&batch), 0).await, Err(ExecutorError::Refused { .. })));
}
