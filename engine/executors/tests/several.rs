//! What engines promise that give a job several machines, tried on them.

use std::path::Path;
use std::time::Duration;

use tidemill_executors::{Batch, End, Executor, Job, Resources, State, Ticket};

use crate::contract::{batch, end, printed, shell, until};

/// All of it.
pub(crate) async fn all(engine: &impl Executor) {
    each_knows_its_rank(engine).await;
    all_have_ended_when_the_job_has(engine).await;
    one_that_fails_ends_the_others(engine).await;
    all_are_asked_to_end(engine).await;
    time_is_kept(engine).await;
}

/// A job for two machines.
fn two(script: &str) -> (Batch, Ticket) {
    let resources = Resources { nodes: 2, ..Resources::default() };
    let batch = Batch { resources, ..batch(vec![shell(script)]) };
    let ticket = batch.tickets().next().unwrap();
    (batch, ticket)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

async fn until_there(folder: &Path, names: [&str; 2]) {
    for _ in 0..1200 {
        if names.iter().all(|name| folder.join(name).exists()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not all of {names:?} came");
}

async fn each_knows_its_rank(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let script = format!(
        "echo \"I am $TIDEMILL_NODE_RANK\"; echo \"$TIDEMILL_NODES $NNODES $NODE_RANK $MASTER_ADDR $MASTER_PORT $TOKEN\" > {place}/$TIDEMILL_NODE_RANK"
    );
    let (mut batch, ticket) = two(&script);
    let env = [("TOKEN".to_owned(), "it's\na secret".to_owned())].into();
    batch.jobs = vec![Job { env, ..batch.jobs.remove(0) }];
    engine.submit(&batch).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::Exited { code: 0 });
    assert_eq!(printed(engine, &ticket).await, "I am 0\n");
    let said = ["0", "1"].map(|rank| read(folder.path(), rank));
    let place: Vec<&str> = said[0].split(' ').collect();
    assert!(!place[3].is_empty(), "{said:?}");
    assert!((20_000..30_000).contains(&place[4].parse::<u32>().unwrap()), "{said:?}");
    for (rank, said) in said.iter().enumerate() {
        assert_eq!(*said, format!("2 2 {rank} {} {} it's\na secret\n", place[3], place[4]));
    }
}

async fn all_have_ended_when_the_job_has(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late");
    let script = format!("[ $TIDEMILL_NODE_RANK = 0 ] || {{ sleep 2; echo > {}; }}", late.display());
    let (batch, ticket) = two(&script);
    engine.submit(&batch).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::Exited { code: 0 });
    assert!(late.exists(), "the first one has ended, and the other one has not");
}

async fn one_that_fails_ends_the_others(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let script = format!(
        "echo $$ > {place}/$TIDEMILL_NODE_RANK; [ $TIDEMILL_NODE_RANK = 0 ] && exec sleep 600; \
         while [ ! -s {place}/0 ]; do sleep 0.05; done; exit 7"
    );
    let (batch, ticket) = two(&script);
    engine.submit(&batch).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::Exited { code: 7 });
    let process = Path::new("/proc").join(read(folder.path(), "0").trim()).join("cmdline");
    assert!(!std::fs::read_to_string(process).is_ok_and(|line| line.contains("sleep")));
}

/// A command that marks that it began and that it heard SIGTERM, and ends then.
fn listens(folder: &Path) -> String {
    let place = folder.display();
    format!(
        "trap 'echo > {place}/heard-$TIDEMILL_NODE_RANK; exit 0' TERM; echo > {place}/began-$TIDEMILL_NODE_RANK; while :; do sleep 0.1; done"
    )
}

async fn all_are_asked_to_end(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let (batch, ticket) = two(&listens(folder.path()));
    engine.submit(&batch).await.unwrap();
    until(engine, &ticket, |state| matches!(state, State::Running { .. })).await;
    until_there(folder.path(), ["began-0", "began-1"]).await;
    engine.cancel(std::slice::from_ref(&ticket)).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::Cancelled);
    until_there(folder.path(), ["heard-0", "heard-1"]).await;
}

async fn time_is_kept(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let (mut batch, ticket) = two(&listens(folder.path()));
    batch.resources.time = Some(Duration::from_secs(3));
    engine.submit(&batch).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::TimedOut);
    until_there(folder.path(), ["heard-0", "heard-1"]).await;
}

/// The first one is where it is said to be.
pub(crate) async fn they_meet(engine: &impl Executor) {
    let meet = "import os, socket, time\n\
        place = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])\n\
        if os.environ['NODE_RANK'] == '0':\n\
        \x20   connection, _ = socket.create_server(('', place[1])).accept()\n\
        \x20   print(connection.recv(100).decode())\n\
        else:\n\
        \x20   for _ in range(600):\n\
        \x20       try:\n\
        \x20           socket.create_connection(place, 1).sendall(b'well met')\n\
        \x20           break\n\
        \x20       except OSError:\n\
        \x20           time.sleep(0.1)\n";
    let (mut batch, ticket) = two("");
    batch.jobs = vec![Job { argv: ["python3", "-c", meet].map(str::to_owned).to_vec(), env: [].into() }];
    engine.submit(&batch).await.unwrap();
    assert_eq!(end(engine, &ticket).await, End::Exited { code: 0 });
    assert_eq!(printed(engine, &ticket).await, "well met\n");
}
