//! Two `tidemill run` at once: each key is executed once, both succeed, and nothing ever needs unlocking.

use rustix::process::Signal;

use crate::support::{Project, signal};

const PIPELINE: &str = r#"
[steps.wait]
run = "COUNT(wait); touch OUTSIDE/waits; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done; echo waited > ${outputs.out}"
outputs.out = "out"

[steps.left]
run = "COUNT(left); cat ${inputs.in} > ${outputs.out}"
inputs.in = "${wait.out}"
outputs.out = "out"

[steps.right]
run = "COUNT(right); sed s/w/W/ ${inputs.in} > ${outputs.out}"
inputs.in = "${wait.out}"
outputs.out = "out"

[steps.both]
run = "COUNT(both); cat ${inputs.left} ${inputs.right} > ${outputs.out}"
inputs = { left = "${left.out}", right = "${right.out}" }
outputs.out = { path = "out", publish = "both.txt" }
"#;

/// How many runs the history has.
fn runs(project: &Project) -> usize {
    project.state_files("runs/").iter().filter(|path| path.ends_with("journal.jsonl")).count()
}

#[test]
fn each_key_once() {
    let project = Project::with(PIPELINE);
    let mut first = project.start(&["run", "--json"]);
    first.until("the first run waits", || project.outside("waits").exists().then_some(()));
    let mut second = project.start(&["run", "--json"]);
    second.until("the second run began", || (runs(&project) == 2).then_some(()));
    project.outside_file("go", "");
    let first = project.answer_of(first).ok();
    let second = project.answer_of(second).ok();
    assert_eq!(project.counts(), "both 1, left 1, right 1, wait 1");
    let executed = first.counted("executed") + second.counted("executed");
    let cached = first.counted("cached") + second.counted("cached");
    assert_eq!((executed, cached), (4, 4), "{}{}", first.transcript(), second.transcript());
    assert_eq!(project.read("both.txt"), "waited\nWaited\n");
    assert!(!project.has(".tidemill/displaced"));
}

#[test]
fn many_at_once_from_the_start() {
    let project = Project::with(PIPELINE);
    project.outside_file("go", "");
    let started: Vec<_> = (0..6).map(|_| project.start(&["run", "--json"])).collect();
    for started in started {
        project.answer_of(started).ok();
    }
    assert_eq!(project.counts(), "both 1, left 1, right 1, wait 1");
    assert_eq!(project.read("both.txt"), "waited\nWaited\n");
    assert!(!project.has(".tidemill/displaced"), "no run took another's file for the user's");
}

#[test]
fn who_waited_takes_over_when_the_other_is_killed() {
    let project = Project::with(PIPELINE);
    let mut first = project.start(&["run"]);
    first.until("the first run waits", || project.outside("waits").exists().then_some(()));
    let mut second = project.start(&["run"]);
    second.until("the second run began", || (runs(&project) == 2).then_some(()));
    signal(first.pid(), Signal::KILL);
    project.outside_file("go", "");
    drop(first);
    project.answer_of(second).ok();
    assert_eq!(project.counts(), "both 1, left 1, right 1, wait 2");
    project.run_executes(0);
}

#[test]
fn two_with_different_parameters_do_not_meet() {
    let project = Project::with(
        r#"
        [params]
        word = "none"

        [steps.say]
        run = "echo ${params.word} > said; until [ $(ls OUTSIDE | wc -l) = 2 ]; do touch OUTSIDE/${params.word}; sleep 0.01; done; cat said > ${outputs.out}"
        outputs.out = "out"
        "#,
    );
    let words = ["one", "two"];
    let started = words.map(|word| project.start(&["run", "--set", &format!("word={word}")]));
    for started in started {
        project.answer_of(started).ok();
    }
    for word in words {
        project.tidemill(&["get", "say.out", "--set", &format!("word={word}"), "--output", word]).ok();
        assert_eq!(project.read(word), format!("{word}\n"));
    }
}
