//! An input that is edited while the step runs: it is noticed, and the result is not kept.

use std::fs;

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.read]
run = "COUNT(read); cat ${inputs.data} > ${outputs.copy}; touch OUTSIDE/reading; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done"
inputs.data = "data.txt"
outputs.copy = { path = "copy.txt", publish = "copy.txt" }
"#;

fn edited(before: &[u8], after: &[u8]) {
    let project = Project::with(PIPELINE);
    project.file("data.txt", before);
    let mut started = project.start(&["run"]);
    started.until("the step reads", || project.outside("reading").exists().then_some(()));
    project.file("data.txt", after);
    project.outside_file("go", "");
    project.answer_of(started).exits(1).says("data.txt").says("changed");
    assert!(!project.has("copy.txt"));
    assert_eq!(project.counts(), "read 1");
    project.run_executes(1);
    assert_eq!(fs::read(project.path("copy.txt")).unwrap(), after);
    // The half-read content is no result of the old input either.
    project.file("data.txt", before);
    project.run_executes(1);
    assert_eq!(fs::read(project.path("copy.txt")).unwrap(), before);
}

#[test]
fn a_small_file() {
    edited(b"old", b"new");
}

/// Large files are not copied into the step's folder.
#[test]
fn a_large_file() {
    edited(&vec![b'o'; 3 << 20], &vec![b'n'; 3 << 20]);
}

#[test]
fn a_file_of_a_folder() {
    let project = Project::with(
        &PIPELINE.replace("cat ${inputs.data}", "cat ${inputs.data}/x").replace("data.txt", "data"),
    );
    project.file("data/x", "old").file("data/y", "y");
    let mut started = project.start(&["run"]);
    started.until("the step reads", || project.outside("reading").exists().then_some(()));
    project.file("data/x", "new");
    project.outside_file("go", "");
    project.answer_of(started).exits(1).says("data").says("changed");
    project.run_executes(1);
    assert_eq!(project.read("copy.txt"), "new");
}
