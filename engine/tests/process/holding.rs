//! Commands that are handed to the warden before it is their turn.

use std::fs;

use tidemill_engine::process::{Command, Status, Warden};

use super::{World, run, status, until_exists};

/// A command of a kind.
fn of_kind(kind: u64, command: Command) -> Command {
    Command { kind: Some(kind), ..command }
}

/// Waits until the warden has read all that it was asked before: it answers in order.
async fn in_order(world: &World, warden: &Warden) {
    assert_eq!(status(warden, world.shell("between", "exit 0")).await, Status::Code(0));
}

#[test]
fn one_of_its_kind_takes_the_place_of_what_ended_well_the_highest_first() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut first =
            warden.spawn(of_kind(1, world.shell("first", "until [ -e go ]; do :; done"))).await.unwrap();
        let low = warden.hold(of_kind(1, world.shell("low", "touch low")), (1, 9));
        let high = warden.hold(of_kind(1, world.shell("high", "touch high; exit 3")), (2, 1));
        let other = warden.hold(of_kind(2, world.shell("other", "touch other")), (9, 9));
        assert_eq!(first.follower(), None);
        in_order(&world, &warden).await;
        fs::write(world.path("go"), "").unwrap();
        assert_eq!(first.wait().await.unwrap().status, Status::Code(0));
        assert_eq!(first.follower(), Some("high"));
        until_exists(&world.path("high"));
        // It runs already; this asks for what is so. It ends badly, and nothing takes its place.
        let mut high = high.start().await.unwrap();
        assert_eq!(high.wait().await.unwrap().status, Status::Code(3));
        assert_eq!(high.follower(), None);
        assert!(!low.withdraw().await, "it never ran");
        assert!(!world.path("low").exists() && !world.path("other").exists());
        let mut other = other.start().await.unwrap();
        assert_eq!(other.wait().await.unwrap().status, Status::Code(0));
        assert!(world.path("other").exists());
        warden.shutdown().await;
    });
}

#[test]
fn what_is_recalled_waits_until_it_is_told() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut first =
            warden.spawn(of_kind(1, world.shell("first", "until [ -e go ]; do :; done"))).await.unwrap();
        let held = warden.hold(of_kind(1, world.shell("held", "touch held")), (1, 1));
        warden.recall();
        in_order(&world, &warden).await;
        fs::write(world.path("go"), "").unwrap();
        first.wait().await.unwrap();
        assert_eq!(first.follower(), None);
        assert!(!world.path("held").exists());
        assert_eq!(held.start().await.unwrap().wait().await.unwrap().status, Status::Code(0));
        assert!(world.path("held").exists());
        warden.shutdown().await;
    });
}

#[test]
fn what_was_asked_to_end_is_not_followed_and_what_began_too_early_is_gone_when_it_is_taken_back() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let patient = "trap 'exit 0' TERM; touch ready; until [ -e go ]; do :; done";
        let mut first = warden.spawn(of_kind(1, world.shell("first", patient))).await.unwrap();
        until_exists(&world.path("ready"));
        let held = warden.hold(of_kind(1, world.shell("held", "touch began; sleep 1000")), (1, 1));
        first.terminate();
        assert_eq!(first.wait().await.unwrap().status, Status::Code(0));
        assert_eq!(first.follower(), None);
        let mut second = warden.spawn(of_kind(1, world.shell("second", "exit 0"))).await.unwrap();
        second.wait().await.unwrap();
        assert_eq!(second.follower(), Some("held"));
        until_exists(&world.path("began"));
        assert!(held.withdraw().await, "it ran");
        assert!(warden.loads().is_empty(), "nothing of it is left");
        warden.shutdown().await;
    });
}

#[test]
fn what_cannot_be_started_follows_nobody() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut first =
            warden.spawn(of_kind(1, world.shell("first", "until [ -e go ]; do :; done"))).await.unwrap();
        let held = warden.hold(of_kind(1, world.command("held", &["no-such-program"])), (1, 1));
        in_order(&world, &warden).await;
        fs::write(world.path("go"), "").unwrap();
        first.wait().await.unwrap();
        assert_eq!(first.follower(), None);
        assert!(held.start().await.is_err());
        warden.shutdown().await;
    });
}
