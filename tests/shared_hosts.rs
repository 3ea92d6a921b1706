//! Several hosts share one state folder: a host that goes silent keeps nobody waiting for ever, and does no harm when it comes back.

use rustix::process::Signal;

use crate::support::{Answer, Project, Started, signal, until};

const PIPELINE: &str = r#"
[steps.wait]
run = "COUNT(wait); touch OUTSIDE/waits-$$; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done; echo made by $$ > ${outputs.out}"
outputs.out = "out"

[steps.use]
run = "COUNT(use); cat ${inputs.in} > ${outputs.out}"
inputs.in = "${wait.out}"
outputs.out = { path = "out", publish = "out.txt" }
"#;

/// A project whose state folder hosts share, with a beat that a story can wait for.
fn project() -> Project {
    let mut project = Project::with(PIPELINE);
    project.file("tidemill.toml", "[cache]\nshared = true\n");
    project.variable("TIDEMILL_BEAT", "100ms");
    project
}

fn start(project: &mut Project, host: &str) -> Started {
    project.variable("TIDEMILL_HOST", host);
    project.start(&["run", "--json"])
}

/// How many attempts wait, or waited.
fn waiting(project: &Project) -> usize {
    let listing = std::fs::read_dir(project.outside("")).unwrap();
    listing
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("waits-")))
        .count()
}

#[test]
fn a_host_that_lives_is_waited_for() {
    let mut project = project();
    let mut first = start(&mut project, "first");
    first.until("the first one's step waits", || (waiting(&project) == 1).then_some(()));
    let mut second = start(&mut project, "second");
    let runs = |project: &Project| {
        project.state_files("runs/").iter().filter(|path| path.ends_with("journal.jsonl")).count()
    };
    second.until("the second one began", || (runs(&project) == 2).then_some(()));
    project.outside_file("go", "");
    let answers: Vec<Answer> = [first, second].map(|run| project.answer_of(run).ok()).into();
    assert_eq!(project.counts(), "use 1, wait 1", "{}{}", answers[0].transcript(), answers[1].transcript());
    for folder in ["presence/", "claims/"] {
        assert!(project.state_files(folder).is_empty(), "{folder} holds what nobody needs");
    }
}

#[test]
fn a_silent_host_is_taken_over_from_and_its_late_result_does_no_harm() {
    let mut project = project();
    let mut first = start(&mut project, "first");
    first.until("the first one's step waits", || (waiting(&project) == 1).then_some(()));
    signal(first.pid(), Signal::STOP);
    let mut second = start(&mut project, "second");
    second.until("the second one makes it itself", || (waiting(&project) == 2).then_some(()));
    project.outside_file("go", "");
    project.answer_of(second).ok().executed(2);
    let made = project.read("out.txt");
    signal(first.pid(), Signal::CONT);
    project.answer_of(first).ok();
    assert_eq!(project.read("out.txt"), made, "the first result counts");
    assert_eq!(project.counts(), "use 1, wait 2");
    project.run(&[]).ok().executed(0);
    project.tidemill(&["cache", "verify"]).ok();
    assert!(project.state_files("presence/").is_empty() && project.state_files("claims/").is_empty());
}

#[test]
fn on_one_host_a_dead_process_is_known_at_once() {
    let mut project = project();
    // A beat that no story waits for.
    project.variable("TIDEMILL_BEAT", "1h");
    let mut first = start(&mut project, "here");
    first.until("its step waits", || (waiting(&project) == 1).then_some(()));
    signal(first.pid(), Signal::KILL);
    drop(first);
    project.outside_file("go", "");
    let second = start(&mut project, "here");
    project.answer_of(second).ok().executed(2);
    assert!(project.state_files("presence/").is_empty());
}

#[test]
fn a_collection_waits_for_certainty_and_takes_nothing_from_another_host() {
    let mut project = project();
    let mut first = start(&mut project, "first");
    first.until("its step waits", || (waiting(&project) == 1).then_some(()));
    project.variable("TIDEMILL_HOST", "second");
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
    project.outside_file("go", "");
    project.answer_of(first).ok().executed(2);
    project.tidemill(&["cache", "gc"]).ok();
    project.run(&[]).ok().executed(0);
    // One that was killed is known by its silence.
    let dead = project.path(".tidemill/presence/0123456789abcdef");
    std::fs::create_dir_all(dead.parent().unwrap()).unwrap();
    std::fs::write(&dead, "third\n1\n100\n").unwrap();
    project.tidemill(&["cache", "gc"]).ok();
    until("its sign is gone", || (!dead.exists()).then_some(()));
}

#[test]
fn a_beat_that_makes_no_sense_is_refused() {
    let mut project = project();
    for wrong in ["often", "0s"] {
        project.variable("TIDEMILL_BEAT", wrong);
        project.run(&[]).exits(2).says("TIDEMILL_BEAT");
    }
}
