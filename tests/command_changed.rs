//! Another command, another variable, another output path is another key.

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [steps.one]
        run = "COUNT(one); cat ${inputs.a} > ${outputs.b}"
        inputs.a = "a.txt"
        outputs.b = "b.txt"
        env.MODE = "fast"

        [steps.two]
        run = "COUNT(two); sed s/a/b/ ${inputs.b} > ${outputs.c}"
        inputs.b = "${one.b}"
        outputs.c = { path = "c.txt", publish = "c.txt" }
        "#,
    );
    project.file("a.txt", "a\n");
    project.run_executes(2);
    project
}

#[test]
fn a_changed_command_runs() {
    let project = project();
    project.edit("pipeline.toml", "s/a/b/", "s/a/c/");
    project.run_executes(1);
    assert_eq!(project.read("c.txt"), "c\n");
    assert_eq!(project.counts(), "one 1, two 2");
}

#[test]
fn a_changed_variable_runs() {
    let project = project();
    project.edit("pipeline.toml", "fast", "slow");
    project.run_executes(1);
    assert_eq!(project.counts(), "one 2, two 1", "the same bytes leave the next step alone");
}

#[test]
fn a_changed_output_path_runs() {
    let project = project();
    project.edit("pipeline.toml", "\"b.txt\"", "\"sub/b.txt\"");
    project.run_executes(1);
    assert_eq!(project.counts(), "one 2, two 1", "the next step sees the same bytes at the same place");
}

#[test]
fn what_says_nothing_of_the_content_does_not_run() {
    let project = project();
    project.edit(
        "pipeline.toml",
        "env.MODE",
        "description = \"copies\"\nretries = 3\ntimeout = \"1 h\"\nenv.MODE",
    );
    project.edit("pipeline.toml", "publish = \"c.txt\"", "publish = \"other/c.txt\"");
    project.run_executes(0);
    assert_eq!(project.read("other/c.txt"), "b\n");
}

#[test]
fn a_program_named_as_a_tool_is_part_of_the_key() {
    let mut project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); mytool > ${outputs.made}"
        tools = ["mytool"]
        outputs.made = { path = "made", publish = "made" }
        "#,
    );
    let path = std::env::var("PATH").unwrap();
    project.variable("PATH", &format!("{}:{path}", project.outside("bin").display()));
    let tool = |text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        project.outside_file("bin/mytool", format!("#!/bin/sh\necho {text}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(project.outside("bin/mytool"), mode).unwrap();
    };
    tool("one");
    project.run_executes(1);
    project.run_executes(0);
    tool("two");
    project.run_executes(1);
    assert_eq!(project.read("made"), "two\n");
}
