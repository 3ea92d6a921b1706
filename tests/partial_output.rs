//! A step that fails in the middle of its output leaves nothing behind that a later run could take for a result.

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.write]
run = "COUNT(write); test ! -e ${outputs.rows}; echo first half > ${outputs.rows}; sh ${inputs.rest} >> ${outputs.rows}"
inputs.rest = "rest.sh"
outputs.rows = { path = "rows.txt", publish = "rows.txt" }

[steps.read]
run = "COUNT(read); wc -l < ${inputs.rows} > ${outputs.lines}"
inputs.rows = "${write.rows}"
outputs.lines = { path = "lines.txt", publish = "lines.txt" }
"#;

#[test]
fn the_next_run_does_not_see_it() {
    let project = Project::with(PIPELINE);
    project.file("rest.sh", "exit 1\n");
    project.run(&[]).exits(1);
    project.run(&[]).exits(1);
    assert_eq!(project.counts(), "write 2", "a failure is no result");
    assert!(!project.has("rows.txt"));
    assert!(project.state_files("work/").is_empty(), "the step's folder is gone");
    project.file("rest.sh", "echo second half\n");
    project.run_executes(2);
    assert_eq!(project.read("rows.txt"), "first half\nsecond half\n");
    assert_eq!(project.counts(), "read 1, write 3");
}

#[test]
fn what_was_right_before_stays() {
    let project = Project::with(PIPELINE);
    project.file("rest.sh", "echo good\n");
    project.run_executes(2);
    project.file("rest.sh", "echo bad; exit 1\n");
    project.run(&[]).exits(1);
    assert_eq!(project.read("rows.txt"), "first half\ngood\n");
    project.file("rest.sh", "echo good\n");
    project.run_executes(0);
}

#[test]
fn one_output_of_two_is_no_result() {
    let project = Project::with(
        r#"
        [steps.two]
        run = "COUNT(two); echo one > ${outputs.one}; sh ${inputs.rest} > ${outputs.log}"
        inputs.rest = "rest.sh"
        outputs.one = { path = "one.txt", publish = "one.txt" }
        outputs.two = { path = "two.txt", publish = "two.txt" }
        outputs.log = "log.txt"
        "#,
    );
    project.file("rest.sh", "true\n");
    project.run(&[]).exits(1);
    assert!(!project.has("one.txt") && !project.has("two.txt"));
    project.file("rest.sh", "echo two > two.txt\n");
    project.run_executes(1);
    assert_eq!(project.read("one.txt") + &project.read("two.txt"), "one\ntwo\n");
}
