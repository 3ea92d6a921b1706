//! What was tampered with is noticed, never served, and made again.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [params]
        end = "one"

        [steps.first]
        run = "COUNT(first); echo 'first words' > ${outputs.b}"
        outputs.b = { path = "b.txt", publish = "b.txt" }

        [steps.second]
        run = "COUNT(second); cat ${inputs.b} > ${outputs.c}; echo ${params.end} >> ${outputs.c}"
        inputs.b = "${first.b}"
        outputs.c = { path = "c.txt", publish = "c.txt" }
        "#,
    );
    project.run_executes(2);
    project
}

/// Writes into a blob whatever its mode says.
fn write_into(path: &Path, content: &str) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn an_output_in_the_project() {
    let project = project();
    project.file("b.txt", "my own words");
    project.run_executes(0);
    assert_eq!(project.read("b.txt"), "first words\n");
    assert_eq!(project.displaced("b.txt"), "my own words", "nothing of the user's is ever lost");
    assert_eq!(project.counts(), "first 1, second 1");
}

#[test]
fn an_output_appended_to_in_the_project_does_not_reach_the_cache() {
    use std::io::Write as _;
    let project = project();
    let mut file = fs::File::options().append(true).open(project.path("b.txt")).unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    project.run(&["--set", "end=two"]).ok().executed(1);
    assert_eq!(project.read("b.txt"), "first words\n");
    assert_eq!(project.read("c.txt"), "first words\ntwo\n");
}

#[test]
fn a_blob_in_the_cache_that_a_step_needs() {
    let project = project();
    write_into(&project.blob("first words\n"), "false words\n");
    project.run(&["--set", "end=two"]).ok().executed(2);
    assert_eq!(project.read("c.txt"), "first words\ntwo\n");
    assert_eq!(project.counts(), "first 2, second 2");
    project.run(&["--set", "end=two"]).ok().executed(0);
}

#[test]
fn a_blob_in_the_cache_that_the_project_needs() {
    let project = project();
    write_into(&project.blob("first words\n"), "false words\n");
    fs::remove_file(project.path("b.txt")).unwrap();
    project.run_executes(1);
    assert_eq!(project.read("b.txt"), "first words\n");
    assert_eq!(project.counts(), "first 2, second 1");
}

#[test]
fn a_blob_in_the_cache_that_the_user_asks_for() {
    let project = project();
    write_into(&project.blob("first words\n"), "false words\n");
    let answer = project.tidemill(&["get", "first.b", "--output", "copy.txt"]);
    assert_ne!(answer.status, 0, "{}", answer.transcript());
    assert!(!project.has("copy.txt"));
    project.run(&[]).ok();
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn a_step_that_writes_into_its_input_does_no_harm() {
    let project = Project::with(
        r#"
        [steps.first]
        run = "echo words > ${outputs.b}"
        outputs.b = { path = "b.txt", publish = "b.txt" }

        [steps.second]
        run = "chmod u+w ${inputs.b}; echo mine >> ${inputs.b} || true; echo done > ${outputs.c}"
        inputs.b = "${first.b}"
        outputs.c = "c.txt"

        [steps.third]
        run = "cat ${inputs.b} > ${outputs.d}"
        inputs.b = "${first.b}"
        outputs.d = { path = "d.txt", publish = "d.txt" }
        needs = ["second"]
        "#,
    );
    project.run(&[]).ok();
    assert_eq!(project.read("b.txt"), "words\n");
    assert_eq!(project.read("d.txt"), "words\n");
}
