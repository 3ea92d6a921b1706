//! Deleted outputs come back without a run.

use std::fs;

use crate::support::Project;

#[test]
fn published_files_and_folders_come_back() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); echo text > ${outputs.file}; mkdir ${outputs.tree}; echo a > ${outputs.tree}/a; echo b > ${outputs.tree}/b"
        outputs.file = { path = "file.txt", publish = "out/file.txt" }
        outputs.tree = { path = "tree", kind = "dir", publish = "out/tree" }
        "#,
    );
    project.run_executes(1);
    let before = project.files("out");
    fs::remove_file(project.path("out/file.txt")).unwrap();
    fs::remove_file(project.path("out/tree/a")).unwrap();
    project.run_executes(0);
    assert_eq!(project.files("out"), before);
    fs::remove_dir_all(project.path("out")).unwrap();
    project.run_executes(0);
    assert_eq!(project.files("out"), before);
    assert_eq!(project.counts(), "make 1");
}

#[test]
fn blobs_that_are_gone_are_made_again_only_when_they_are_needed() {
    let project = Project::with(
        r#"
        [steps.one]
        run = "COUNT(one); echo middle > ${outputs.b}"
        outputs.b = "b.txt"

        [steps.two]
        run = "COUNT(two); sed s/^/the/ ${inputs.b} > ${outputs.c}"
        inputs.b = "${one.b}"
        outputs.c = { path = "c.txt", publish = "c.txt" }
        "#,
    );
    project.run_executes(2);
    fs::remove_file(project.blob("middle\n")).unwrap();
    project.run_executes(0);
    project.edit("pipeline.toml", "s/^/the/", "s/^/a/");
    project.run_executes(2);
    assert_eq!(project.read("c.txt"), "amiddle\n");
    assert_eq!(project.counts(), "one 2, two 2");
    project.run_executes(0);
}

#[test]
fn the_whole_state_can_be_deleted() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); echo text > ${outputs.file}"
        outputs.file = { path = "file.txt", publish = "file.txt" }
        "#,
    );
    project.run_executes(1);
    fs::remove_dir_all(project.state()).unwrap();
    project.run_executes(1);
    assert_eq!(project.read("file.txt"), "text\n");
    project.run_executes(0);
}
