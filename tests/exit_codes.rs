//! What a script sees: a step failed 1, the file or the command line is wrong 2, the gate said no 3.

use crate::support::Project;

#[test]
fn a_step_that_fails_gives_1_and_shows_the_end_of_its_log() {
    let project = Project::with(
        r#"
        [steps.broken]
        run = "echo first; echo the reason >&2; exit 7"
        "#,
    );
    project.tidemill(&["run"]).exits(1).says("broken").says("the reason").says("7").says(".log");
    assert_eq!(project.tidemill(&["log", "broken"]).ok().stdout, "first\nthe reason\n");
}

#[test]
fn a_declared_output_that_is_not_written_is_a_failure() {
    let project = Project::with(
        r#"
        [steps.lazy]
        run = "COUNT(lazy); echo done > elsewhere.txt"
        outputs.text = "text.txt"

        [steps.next]
        run = "COUNT(next); cat ${inputs.text}"
        inputs.text = "${lazy.text}"
        "#,
    );
    project.tidemill(&["run"]).exits(1).says("text.txt").says("lazy");
    assert_eq!(project.counts(), "lazy 1");
    // The failure is no result.
    project.tidemill(&["run"]).exits(1);
    assert_eq!(project.counts(), "lazy 2");
}

#[test]
fn an_optional_output_may_be_absent() {
    let project = Project::with(
        r#"
        [steps.lazy]
        run = "COUNT(lazy); true"
        outputs.text = { path = "text.txt", optional = true }
        "#,
    );
    project.run_executes(1);
    project.run_executes(0);
    assert_eq!(project.counts(), "lazy 1");
}

#[test]
fn a_wrong_file_gives_2_and_shows_all_that_is_wrong() {
    let project = Project::with(
        r#"
        [steps.one]
        rum = "true"

        [steps.two]
        run = "true"
        inputs.data = "${oen.data}"
        "#,
    );
    for command in ["run", "check", "plan"] {
        project.tidemill(&[command]).exits(2).says("rum").says("run").says("oen").says("one");
    }
    assert_eq!(project.counts(), "");
}

#[test]
fn a_cycle_gives_2() {
    let project = Project::with(
        r#"
        [steps.a]
        run = "true"
        inputs.x = "${b.out}"
        outputs.out = "out"

        [steps.b]
        run = "true"
        inputs.x = "${a.out}"
        outputs.out = "out"
        "#,
    );
    project.tidemill(&["check"]).exits(2).says("cycle");
}

#[test]
fn an_input_that_is_missing_gives_2() {
    let project = Project::with(
        r#"
        [steps.read]
        run = "cat ${inputs.data}"
        inputs.data = "data.csv"
        "#,
    );
    project.tidemill(&["run"]).exits(2).says("data.csv").says("read");
}

#[test]
fn a_wrong_command_line_gives_2() {
    let project = Project::with("[steps.a]\nrun = \"true\"\n");
    project.tidemill(&["rnu"]).exits(2).says("run");
    project.tidemill(&["run", "--only", "b"]).exits(2).says("b");
    project.tidemill(&["check"]).ok();
}

#[test]
fn nobody_listening_is_no_reason_to_fail() {
    use std::process::Command;
    let project = Project::with("[steps.a]\nrun = \"COUNT(a); echo a > ${outputs.o}\"\noutputs.o = \"o\"\n");
    let script = format!(
        "cd '{}' && {{ {} run; echo $? > status; }} 2>&1 | :",
        project.root().display(),
        env!("CARGO_BIN_EXE_tidemill")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(project.counts(), "a 1");
    assert_ne!(project.read("status").trim(), "101", "it did not panic");
    project.run_executes(0);
}

#[test]
fn a_program_that_does_not_exist_is_the_steps_fault() {
    let project = Project::with("[steps.a]\nrun = [\"no-such-program\"]\n");
    project.tidemill(&["run"]).exits(1).says("no-such-program");
}

#[test]
fn what_the_machine_refuses_gives_4() {
    let project = Project::with(
        r#"
        [steps.a]
        run = "COUNT(a); echo a > ${outputs.o}"
        outputs.o = { path = "o", publish = "out/in-the-way/o" }
        "#,
    );
    project.file(".tidemill", "a file where the state belongs");
    project.tidemill(&["run"]).exits(4).says(".tidemill");
    std::fs::remove_file(project.state()).unwrap();
    project.file("out/in-the-way", "a file where a folder belongs");
    project.tidemill(&["run"]).exits(4).says("out/in-the-way");
    std::fs::remove_file(project.path("out/in-the-way")).unwrap();
    project.run_executes(0);
    assert_eq!(project.read("out/in-the-way/o"), "a\n");
    assert_eq!(project.counts(), "a 1", "the result was kept");
}
