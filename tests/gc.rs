//! Collecting garbage as a team lives with it: beside runs, by age and size, with pins, and settings that say so once.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Project, until};

/// Each word makes results of its own, of some size.
const WORDS: &str = r#"
[params]
word = "one"

[steps.make]
run = "COUNT(make); { echo ${params.word}; head -c 100000 /dev/zero; } > ${outputs.out}"
outputs.out = "out"

[steps.use]
run = "COUNT(use); head -n 1 ${inputs.in} > ${outputs.out}"
inputs.in = "${make.out}"
outputs.out = { path = "out", publish = "out.txt" }
"#;

fn run(project: &Project, word: &str) -> crate::support::Answer {
    project.run(&["--set", &format!("word={word}")]).ok()
}

#[test]
fn what_goes_is_set_aside_while_a_run_goes_on() {
    let project = Project::with(WORDS);
    run(&project, "one").executed(2);
    run(&project, "two").executed(2);
    project.pipeline_file(
        "slow.pipeline.toml",
        r#"
        [pipeline]
        name = "slow"

        [steps.wait]
        run = "touch OUTSIDE/waits; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done; echo > ${outputs.out}"
        outputs.out = "out"
        "#,
    );
    let mut slow = project.start(&["run", "slow"]);
    slow.until("the step waits", || project.outside("waits").exists().then_some(()));
    project.tidemill(&["cache", "gc", "--keep-runs", "2", "--dry-run"]).ok().says("would be set aside");
    project.tidemill(&["cache", "gc", "--keep-runs", "2"]).ok().says("set aside for runs that are going on");
    assert!(!project.state_files("trash/").is_empty());
    // Who needs it gets it back, and runs nothing.
    run(&project, "one").executed(0);
    fs::remove_file(project.path("out.txt")).unwrap();
    run(&project, "one").executed(0);
    assert_eq!(project.read("out.txt"), "one\n");
    project.outside_file("go", "");
    project.answer_of(slow).ok();
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok().says_nothing_of("set aside");
    assert!(project.state_files("trash/").is_empty());
    run(&project, "one").executed(2);
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn runs_and_collections_side_by_side_for_some_rounds() {
    let project = Project::with(WORDS);
    project.file("tidemill.toml", "[project]\nstate = \"../state\"\n");
    let checkouts = [project.checkout("first"), project.checkout("second"), project.checkout("third")];
    let (collected, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
                collected.store(true, Ordering::Relaxed);
            }
        });
        let users: Vec<_> = checkouts
            .iter()
            .enumerate()
            .map(|(place, checkout)| {
                let collected = &collected;
                scope.spawn(move || {
                    until("a collection", || collected.load(Ordering::Relaxed).then_some(()));
                    for round in 0..8 {
                        let word = ["red", "green", "blue"][(place + round) % 3];
                        run(checkout, word);
                        assert_eq!(checkout.read("out.txt"), format!("{word}\n"));
                    }
                })
            })
            .collect();
        let ended: Vec<_> = users.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        collector.join().unwrap();
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    project.tidemill(&["cache", "verify"]).ok().says("all as they should be");
}

#[test]
fn a_pin_keeps_what_gc_would_remove() {
    let project = Project::with(WORDS);
    run(&project, "one");
    project.tidemill(&["cache", "pin", "paper", "make"]).ok().says("paper keeps make of story");
    project.tidemill(&["cache", "pin", "paper", "use"]).exits(2).says("there is a pin paper already");
    project.tidemill(&["cache", "pin", "line", "use.out"]).ok();
    project.tidemill(&["cache", "pin", "nothing", "train"]).exits(2).says("train");
    run(&project, "two");
    let pins = project.tidemill(&["cache", "pins", "--json"]).ok().json();
    assert_eq!(pins["pins"].as_array().unwrap().len(), 2);
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
    // The result of `make` is there; of `use` only the bytes of its output.
    run(&project, "one").executed(1);
    project.tidemill(&["cache", "unpin", "paper"]).ok();
    project.tidemill(&["cache", "unpin", "paper"]).exits(2).says("there is no pin paper").says("line");
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
    run(&project, "one").executed(2);
    project.tidemill(&["cache", "pin", "demo", "last"]).ok();
    run(&project, "two").executed(2);
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
    run(&project, "one").executed(0);
    project.tidemill(&["cache", "unpin", "line"]).ok();
    project.tidemill(&["cache", "unpin", "demo"]).ok();
    project.tidemill(&["cache", "pins"]).ok().says("nothing is pinned");
}

#[test]
fn results_stay_by_age_and_by_size() {
    let project = Project::with(WORDS);
    for word in ["one", "two", "three"] {
        run(&project, word).executed(2);
    }
    project.tidemill(&["cache", "gc", "--keep-runs", "0", "--keep-for", "1h"]).ok();
    // They were used in this order: three, one, two.
    for word in ["one", "two"] {
        run(&project, word).executed(0);
    }
    let plan =
        project.tidemill(&["cache", "gc", "--keep-runs", "0", "--max-size", "250 kB", "--dry-run"]).ok();
    plan.says("what was used later fills the cache").says("make of story");
    project.tidemill(&["cache", "gc", "--keep-runs", "0", "--max-size", "250 kB"]).ok();
    for word in ["one", "two"] {
        run(&project, word).executed(0);
    }
    // The few bytes of its other step may have had room.
    assert!(run(&project, "three").counted("executed") > 0);
    project
        .tidemill(&["cache", "gc", "--keep-runs", "3", "--max-size", "1 kB"])
        .ok()
        .says("what must stay has")
        .says("alone, more than");
    project.tidemill(&["cache", "gc", "--keep-runs", "0", "--keep-for", "0s"]).ok();
    run(&project, "one").executed(2);
}

#[test]
fn the_project_file_says_what_is_kept() {
    let project = Project::with(WORDS);
    project.file("tidemill.toml", "[cache]\nkeep_runs = 1\n");
    run(&project, "one");
    run(&project, "two");
    project.tidemill(&["cache", "gc"]).ok();
    run(&project, "two").executed(0);
    run(&project, "one").executed(2);
    // The command line is stronger.
    project.tidemill(&["cache", "gc", "--keep-runs", "20"]).ok();
    run(&project, "two").executed(0);
    project.file("tidemill.toml", "[cache]\nkeep_for = \"1h\"\nkeep_runs = 0\nmax_size = \"1 GiB\"\n");
    project.tidemill(&["cache", "gc"]).ok();
    run(&project, "one").executed(0);
    for wrong in ["keep_for = \"soon\"", "max_size = 5", "keep = 1"] {
        project.file("tidemill.toml", format!("[cache]\n{wrong}\n"));
        project.tidemill(&["cache", "gc"]).exits(2).says("tidemill.toml");
    }
}
