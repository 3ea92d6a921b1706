//! What every engine promises, tried on it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_executors::{Batch, BatchId, End, Executor, Job, Resources, State, Ticket};
use tokio::time::Instant;

/// All of it, for an engine that runs commands.
pub(crate) async fn all(engine: &impl Executor) {
    of_any_job(engine, in_shell).await;
    variables_reach_it_as_they_are(engine).await;
    submitted_twice_runs_once(engine).await;
    cancelled_is_asked_before_it_is_killed(engine).await;
    what_it_leaves_behind_goes_too(engine).await;
    a_log_grows(engine).await;
}

/// What does not depend on how a job does what it does.
pub(crate) async fn of_any_job(engine: &impl Executor, job: impl Fn(Does) -> Job) {
    ends_are_told_apart(engine, &job).await;
    cancelled_ends(engine, &job).await;
    time_is_kept(engine, &job).await;
    a_log_is_told_in_pieces(engine, &job).await;
    what_is_not_there_is_not_told(engine).await;
}

/// What a job does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// It prints "said" and exits.
    Exit(i32),
    /// It is killed by a signal.
    Die(i32),
    /// It sleeps for ten minutes.
    Sleep,
    /// It prints so many numbers, of nine digits each, a line for each.
    Count(usize),
}

/// What it prints if it counts.
pub(crate) fn counted(to: usize) -> String {
    (1..=to).map(|line| format!("{line:09}\n")).collect()
}

fn in_shell(does: Does) -> Job {
    shell(&match does {
        Does::Exit(code) => format!("echo said; exit {code}"),
        Does::Die(signal) => format!("kill -{signal} $$"),
        Does::Sleep => "sleep 600".to_owned(),
        Does::Count(to) => format!("seq -f %09.0f {to}"),
    })
}

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lines of a log that is not told in one piece.
const LINES: usize = 20_000;

/// A job that is a script.
pub(crate) fn shell(script: &str) -> Job {
    Job { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), env: BTreeMap::new() }
}

/// Jobs that need little.
pub(crate) fn batch(jobs: Vec<Job>) -> Batch {
    Batch { id: BatchId::generate(), name: "story".to_owned(), resources: Resources::default(), jobs }
}

/// Waits until a job is what is wanted of it.
pub(crate) async fn until(engine: &impl Executor, ticket: &Ticket, wanted: impl Fn(&State) -> bool) -> State {
    let began = Instant::now();
    loop {
        let states = engine.status(std::slice::from_ref(&ticket.batch)).await.unwrap();
        let state = states.get(ticket);
        if let Some(state) = state.filter(|state| wanted(state)) {
            return state.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{ticket} is {state:?} still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a job has ended.
pub(crate) async fn end(engine: &impl Executor, ticket: &Ticket) -> End {
    match until(engine, ticket, State::is_ended).await {
        State::Ended { end } => end,
        state => panic!("{state:?}"),
    }
}

/// What a job has printed from this byte on, piece by piece.
pub(crate) async fn printed_from(engine: &impl Executor, ticket: &Ticket, from: u64) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let piece = engine.log(ticket, from + whole.len() as u64).await.unwrap();
        assert!(piece.len() <= 1 << 16, "a piece of {} bytes", piece.len());
        if piece.is_empty() {
            return whole;
        }
        whole.extend(piece);
    }
}

pub(crate) async fn printed(engine: &impl Executor, ticket: &Ticket) -> String {
    String::from_utf8(printed_from(engine, ticket, 0).await).unwrap()
}

fn tickets(batch: &Batch) -> Vec<Ticket> {
    batch.tickets().collect()
}

async fn ends_are_told_apart(engine: &impl Executor, job: &impl Fn(Does) -> Job) {
    let batch = batch([Does::Exit(0), Does::Exit(7), Does::Die(11)].map(job).to_vec());
    engine.submit(&batch).await.unwrap();
    let tickets = tickets(&batch);
    let mut ends = Vec::new();
    for ticket in &tickets {
        ends.push(end(engine, ticket).await);
    }
    assert_eq!(ends, [End::Exited { code: 0 }, End::Exited { code: 7 }, End::Killed { signal: 11 }]);
    assert_eq!(printed(engine, &tickets[0]).await.trim(), "said");
    // Once ended, always ended in the same way.
    assert_eq!(end(engine, &tickets[1]).await, ends[1]);
    engine.forget(std::slice::from_ref(&batch.id)).await.unwrap();
}

async fn variables_reach_it_as_they_are(engine: &impl Executor) {
    let value = "it's \"$HOME\" `id` \\ \n two lines ü %";
    let env = BTreeMap::from([("STORY_VALUE".to_owned(), value.to_owned())]);
    let argv =
        ["sh", "-c", "printf '%s|%s' \"$STORY_VALUE\" \"$1\"", "sh", value].map(str::to_owned).to_vec();
    let batch = batch(vec![Job { argv, env }]);
    engine.submit(&batch).await.unwrap();
    let ticket = &tickets(&batch)[0];
    assert_eq!(end(engine, ticket).await, End::Exited { code: 0 });
    assert_eq!(printed(engine, ticket).await, format!("{value}|{value}"));
}

async fn submitted_twice_runs_once(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let counter = folder.path().join("counter");
    std::fs::write(&counter, "").unwrap();
    open_to_all(folder.path());
    open_to_all(&counter);
    let count = format!("echo once >> {}; sleep 0.3", counter.display());
    let batch = batch(vec![shell(&count), shell(&count)]);
    for _ in 0..3 {
        engine.submit(&batch).await.unwrap();
    }
    for ticket in tickets(&batch) {
        assert_eq!(end(engine, &ticket).await, End::Exited { code: 0 });
    }
    engine.submit(&batch).await.unwrap();
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "once\nonce\n");
}

async fn cancelled_ends(engine: &impl Executor, job: &impl Fn(Does) -> Job) {
    let batch = batch([Does::Sleep, Does::Exit(0)].map(job).to_vec());
    engine.submit(&batch).await.unwrap();
    let tickets = tickets(&batch);
    assert_eq!(end(engine, &tickets[1]).await, End::Exited { code: 0 });
    // What has ended cannot be cancelled any more, and that is no mistake.
    engine.cancel(&tickets).await.unwrap();
    assert_eq!(end(engine, &tickets[0]).await, End::Cancelled);
    assert_eq!(end(engine, &tickets[1]).await, End::Exited { code: 0 });
}

async fn cancelled_is_asked_before_it_is_killed(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    let mark = folder.path().join("heard");
    let script =
        format!("trap 'echo > {}; exit 0' TERM; echo ready; while :; do sleep 0.1; done", mark.display());
    let batch = batch(vec![shell(&script), shell("sleep 600")]);
    engine.submit(&batch).await.unwrap();
    let tickets = tickets(&batch);
    until(engine, &tickets[0], |state| matches!(state, State::Running { .. })).await;
    let began = Instant::now();
    while printed(engine, &tickets[0]).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "it has not begun");
    }
    engine.cancel(&tickets).await.unwrap();
    for ticket in &tickets {
        assert_eq!(end(engine, ticket).await, End::Cancelled);
    }
    assert!(mark.exists(), "it was asked before it was killed");
}

async fn what_it_leaves_behind_goes_too(engine: &impl Executor) {
    let batch = batch(vec![shell("sleep 987654 & echo $!")]);
    engine.submit(&batch).await.unwrap();
    let ticket = &tickets(&batch)[0];
    assert_eq!(end(engine, ticket).await, End::Exited { code: 0 });
    let child = printed(engine, ticket).await;
    let child = std::path::Path::new("/proc").join(child.trim());
    let began = Instant::now();
    while std::fs::read_to_string(child.join("cmdline")).is_ok_and(|line| line.contains("987654")) {
        assert!(began.elapsed() < Duration::from_secs(5), "its child lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn time_is_kept(engine: &impl Executor, job: &impl Fn(Does) -> Job) {
    let resources = Resources { time: Some(Duration::from_secs(1)), ..Resources::default() };
    let batch = Batch { resources, ..batch(vec![job(Does::Sleep)]) };
    engine.submit(&batch).await.unwrap();
    let ticket = &tickets(&batch)[0];
    assert_eq!(end(engine, ticket).await, End::TimedOut);
}

async fn a_log_is_told_in_pieces(engine: &impl Executor, job: &impl Fn(Does) -> Job) {
    let batch = batch(vec![job(Does::Count(LINES))]);
    engine.submit(&batch).await.unwrap();
    let ticket = &tickets(&batch)[0];
    assert_eq!(end(engine, ticket).await, End::Exited { code: 0 });
    assert_eq!(printed(engine, ticket).await, counted(LINES));
    let last = printed_from(engine, ticket, LINES as u64 * 10 - 3).await;
    assert_eq!(last, b"00\n");
    assert!(engine.log(ticket, 1 << 40).await.unwrap().is_empty());
}

async fn a_log_grows(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    let go_on = folder.path().join("go-on");
    let script = format!(
        "seq -f %09.0f {LINES}; while [ ! -e {} ]; do sleep 0.05; done; echo the end",
        go_on.display()
    );
    let batch = batch(vec![shell(&script)]);
    engine.submit(&batch).await.unwrap();
    let ticket = &tickets(&batch)[0];
    let (began, mut whole) = (Instant::now(), Vec::new());
    // It is told while the job runs,
    while whole.len() < LINES * 10 {
        assert!(began.elapsed() < PATIENCE, "{} bytes", whole.len());
        whole.extend(printed_from(engine, ticket, whole.len() as u64).await);
    }
    std::fs::write(&go_on, "").unwrap();
    assert_eq!(end(engine, ticket).await, End::Exited { code: 0 });
    // and what comes later is told later.
    whole.extend(printed_from(engine, ticket, whole.len() as u64).await);
    assert_eq!(String::from_utf8(whole).unwrap(), counted(LINES) + "the end\n");
}

async fn what_is_not_there_is_not_told(engine: &impl Executor) {
    let stranger = BatchId::generate();
    assert!(engine.status(std::slice::from_ref(&stranger)).await.unwrap().is_empty());
    let ticket = Ticket { batch: stranger.clone(), job: 0 };
    engine.cancel(std::slice::from_ref(&ticket)).await.unwrap();
    assert!(engine.log(&ticket, 0).await.unwrap().is_empty());
    engine.forget(&[stranger]).await.unwrap();
}

/// The other account writes there.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}
