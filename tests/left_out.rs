//! `when` leaves a step out, and its consumers with it, unless their input is optional.

use crate::support::Project;

const PIPELINE: &str = r#"
[params]
extra = false

[steps.maybe]
run = "COUNT(maybe); echo extra > ${outputs.out}"
when = "params.extra"
outputs.out = "out"

[steps.needs-it]
run = "COUNT(needs-it); cat ${inputs.in}"
inputs.in = "${maybe.out}"

[steps.can-do-without]
run = "COUNT(can-do-without); if [ -n ${inputs.in} ]; then cat ${inputs.in}; else echo none; fi > ${outputs.out}"
inputs.in = { path = "${maybe.out}", optional = true }
outputs.out = { path = "out", publish = "out.txt" }
"#;

#[test]
fn consumers_are_left_out_unless_the_input_is_optional() {
    let project = Project::with(PIPELINE);
    let answer = project.run(&[]).ok().executed(1);
    assert_eq!(answer.counted("skipped"), 2);
    assert_eq!(project.counts(), "can-do-without 1");
    assert_eq!(project.read("out.txt"), "none\n");
    project.run(&["--set", "extra=true"]).ok().executed(3);
    assert_eq!(project.read("out.txt"), "extra\n");
    project.run_executes(0);
    assert_eq!(project.read("out.txt"), "none\n");
}

#[test]
fn an_optional_file_may_come_and_go() {
    let project = Project::with(
        r#"
        [steps.read]
        run = "COUNT(read); if [ -n ${inputs.notes} ]; then cat ${inputs.notes}; else echo none; fi > ${outputs.out}"
        inputs.notes = { path = "notes.txt", optional = true }
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "none\n");
    project.file("notes.txt", "notes");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "notes");
    std::fs::remove_file(project.path("notes.txt")).unwrap();
    project.run_executes(0);
    assert_eq!(project.read("out.txt"), "none\n");
}

#[test]
fn an_optional_output_that_is_absent_reaches_its_consumer_as_absent() {
    let project = Project::with(
        r#"
        [params]
        write = false

        [steps.maybe]
        run = "if ${params.write}; then echo text > ${outputs.out}; fi"
        outputs.out = { path = "out", optional = true }

        [steps.read]
        run = "if [ -n ${inputs.in} ]; then cat ${inputs.in}; else echo none; fi > ${outputs.out}"
        inputs.in = { path = "${maybe.out}", optional = true }
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    project.run(&[]).ok();
    assert_eq!(project.read("out.txt"), "none\n");
    project.run(&["--set", "write=true"]).ok();
    assert_eq!(project.read("out.txt"), "text\n");
}
