//! Ctrl-C ends whole process trees, also what left the group, and gives 130; the next run goes on from there.

use rustix::process::Signal;

use crate::support::{Project, processes_of, signal, until, until_equal};

const PIPELINE: &str = r#"
[steps.first]
run = "COUNT(first); echo first > ${outputs.out}"
outputs.out = "out"

[steps.slow]
run = "COUNT(slow); cat ${inputs.in} > ${outputs.out}; if [ -e OUTSIDE/hang ]; then setsid sh -c 'sleep 600; :' & touch OUTSIDE/hangs; sleep 600; fi"
inputs.in = "${first.out}"
outputs.out = { path = "slow", publish = "slow.txt" }

[steps.last]
run = "COUNT(last); true"
inputs.in = "${slow.out}"
"#;

fn hanging() -> Project {
    let project = Project::with(PIPELINE);
    project.outside_file("hang", "");
    project
}

fn goes_on(project: &Project) {
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
    assert!(!project.has("slow.txt"));
    std::fs::remove_file(project.outside("hang")).unwrap();
    project.run_executes(2);
    assert_eq!(project.counts(), "first 1, last 1, slow 2");
    assert_eq!(project.read("slow.txt"), "first\n");
}

#[test]
fn with_ctrl_c() {
    let project = hanging();
    let mut started = project.start(&["run"]);
    started.until("the step hangs", || project.outside("hangs").exists().then_some(()));
    started.signal_group(Signal::INT);
    project.answer_of(started).exits(130);
    goes_on(&project);
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    assert_eq!(runs["runs"][1]["outcome"], "interrupted");
}

#[test]
fn with_sigterm_to_the_engine() {
    let project = hanging();
    let mut started = project.start(&["run"]);
    started.until("the step hangs", || project.outside("hangs").exists().then_some(()));
    signal(started.pid(), Signal::TERM);
    project.answer_of(started).exits(130);
    goes_on(&project);
}

/// As a service manager does it, or Slurm: all processes are told at once, and the steps obey before the engine has heard of it.
#[test]
fn with_sigterm_to_the_steps_and_the_engine() {
    let project = Project::with(
        r#"
[steps.slow]
matrix = { n = [1, 2, 3, 4, 5, 6] }
run = "touch OUTSIDE/${matrix.n}; exec sleep 600"
"#,
    );
    let mut started = project.start(&["run", "--jobs", "6", "--output", "plain"]);
    started
        .until("all have begun", || (1..=6).all(|n| project.outside(&n.to_string()).exists()).then_some(()));
    // Their ends are there before the order is, and it hears of both in one moment.
    signal(started.pid(), Signal::STOP);
    processes_of(&project.state()).into_iter().for_each(|step| signal(step, Signal::TERM));
    until_equal("processes of the steps", &Vec::<i32>::new(), || processes_of(&project.state()));
    signal(started.pid(), Signal::TERM);
    signal(started.pid(), Signal::CONT);
    let answer = project.answer_of(started).exits(130);
    let last = "interrupted: 0 steps executed, 0 cached, 6 stopped";
    assert!(answer.stdout.contains(last), "{}{}", answer.stderr, answer.stdout);
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let project = Project::with(
        r#"
        [steps.stubborn]
        run = "trap '' TERM INT; touch OUTSIDE/hangs; while :; do sleep 1; done"
        "#,
    );
    let mut started = project.start(&["run"]);
    started.until("the step hangs", || project.outside("hangs").exists().then_some(()));
    let began = std::time::Instant::now();
    until("the run ends", || {
        if !started.has_ended() {
            started.signal_group(Signal::INT);
        }
        started.has_ended().then_some(())
    });
    assert!(
        began.elapsed() < std::time::Duration::from_secs(8),
        "it did not wait for the ten seconds of grace"
    );
    project.answer_of(started).exits(130);
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
}
