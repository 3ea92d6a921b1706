//! Commands whose reads are told. These tests need Linux 5.5.

use std::fs;

use tidemill_engine::process::{Command, ProcessError, Reads, Status, Trace, Warden};

use super::{World, leader, refusal, run, until_exists, until_gone};

/// A traced command; everything is told but what is installed.
fn traced(command: Command) -> Command {
    let system = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/dev", "/bin"];
    let system = system.map(camino::Utf8PathBuf::from).to_vec();
    Command { trace: Some(Trace { system, ..Trace::default() }), ..command }
}

/// How it ended, and what it read.
async fn ran(warden: &Warden, command: Command) -> (Status, Option<Reads>) {
    let mut child = warden.spawn(command).await.unwrap();
    let status = child.wait().await.unwrap().status;
    (status, child.reads().cloned())
}

fn told(reads: Option<Reads>) -> Vec<String> {
    let Reads { files, complete } = reads.unwrap();
    assert!(complete);
    files
}

#[test]
fn what_is_read_is_told_and_only_when_it_is_asked_for() {
    let world = World::new();
    fs::write(world.path("a"), "").unwrap();
    fs::write(world.path("b"), "").unwrap();
    run(async {
        let warden = world.warden().await;
        let command = |id: &str| world.shell(id, "cat a none; cat < b >> new; exit 3");
        assert_eq!(ran(&warden, command("x.1")).await, (Status::Code(1), None));
        let command = |id: &str| world.shell(id, "cat a none || cat < b >> new; exit 3");
        let (status, reads) = ran(&warden, traced(command("x.2"))).await;
        assert_eq!(status, Status::Code(3));
        assert_eq!(told(reads), [world.path("a"), world.path("b")]);
    });
}

#[test]
fn what_cannot_be_executed_is_refused_as_always() {
    let world = World::new();
    fs::write(world.path("no-program"), "\u{0}\u{1}").unwrap();
    run(async {
        let warden = world.warden().await;
        for _ in 0..20 {
            let message = refusal(&warden, traced(world.command("x.1", &["no-such-program"]))).await;
            assert!(message.contains("no such program in PATH"), "{message}");
            let message = refusal(&warden, traced(world.command("x.1", &["./no-program"]))).await;
            assert!(message.contains("not executable"), "{message}");
            let away = Command { folder: world.path("gone"), ..world.shell("x.1", "true") };
            assert!(matches!(warden.spawn(traced(away)).await, Err(ProcessError::Machine { .. })));
        }
        let (status, reads) = ran(&warden, traced(world.shell("x.2", "true"))).await;
        assert_eq!((status, told(reads).len()), (Status::Code(0), 0));
    });
}

#[test]
fn a_hundred_at_once_are_not_mixed_up() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut children = Vec::new();
        for number in 0..100 {
            fs::write(world.path(&format!("in.{number}")), "").unwrap();
            let script = format!("for n in 1 2 3; do (cat in.{number} &); done; cat in.{number}");
            let id = format!("x.{number}");
            children.push(warden.spawn(traced(world.shell(&id, &script))).await.unwrap());
        }
        for (number, mut child) in children.into_iter().enumerate() {
            assert_eq!(child.wait().await.unwrap().status, Status::Code(0));
            assert_eq!(told(child.reads().cloned()), [world.path(&format!("in.{number}"))]);
        }
    });
}

#[test]
fn a_tree_that_is_killed_tells_what_it_read() {
    let world = World::new();
    fs::write(world.path("a"), "").unwrap();
    run(async {
        let warden = world.warden().await;
        let script = "cat a; touch begun; (while true; do cat a; done) & while true; do sh -c :; done";
        let mut child = warden.spawn(traced(world.shell("x.1", script))).await.unwrap();
        until_exists(&world.path("begun"));
        let leader = leader(&child);
        child.kill();
        assert_eq!(child.wait().await.unwrap().status, Status::Signal(9));
        until_gone(leader);
        assert_eq!(told(child.reads().cloned()), [world.path("a")]);
    });
}
