//! `tidemill doctor`: what is well, what is worth knowing, what is wrong, and what to do about it.

use std::fs;

use crate::support::Project;

/// The findings about a subject, each as how it stands and what was said.
fn findings(project: &Project, exit: i32, subject: &str) -> Vec<(String, String)> {
    let report = project.tidemill(&["doctor", "--json"]).exits(exit).json();
    let of = |finding: &&serde_json::Value| finding["subject"] == subject;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter().filter(of);
    findings.map(|finding| (text(&finding["standing"]), text(&finding["said"]))).collect()
}

fn project() -> Project {
    let project = Project::with("[steps.one]\nrun = \"echo 1 > one\"\noutputs.one = \"one\"\n");
    project.run_executes(1);
    project
}

#[test]
fn a_healthy_project_has_no_problem() {
    let project = project();
    let answer = project.tidemill(&["doctor"]).ok();
    let answer = answer.says("ok      pipeline  story (pipeline.toml), steps: 1");
    answer.says("ok      state     .tidemill, format ").says("ok      kernel").says_nothing_of("problem ");
    let one = |subject: &str| findings(&project, 0, subject).remove(0);
    let (standing, said) = one("cache");
    assert!(standing == "ok" && said.starts_with("results: 1, contents: "), "{said}");
    assert_eq!(one("shell").0, "ok");
    // It left nothing behind.
    assert_eq!(project.state_files("tmp/"), Vec::<std::path::PathBuf>::new());
    project.run_executes(0);
}

#[test]
fn the_whole_answer() {
    // What else is said depends on the machine.
    let answer = project().tidemill(&["doctor"]).snapshot();
    let own = ["$ ", "ok      pipeline", "-- exit"];
    let lines: Vec<&str> =
        answer.lines().filter(|line| own.iter().any(|own| line.starts_with(own))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    $ tidemill doctor
    ok      pipeline  story (pipeline.toml), steps: 1
    -- exit code 0
    "#);
}

#[test]
fn where_there_is_no_project_nothing_is_made() {
    let project = Project::new();
    project.tidemill(&["doctor"]).ok().says("note    project").says("tidemill init");
    assert!(!project.state().exists());
}

#[test]
fn a_wrong_file_of_the_project_is_the_users_turn() {
    let project = project();
    project
        .pipeline_file("second.pipeline.toml", "[pipeline]\nname = \"second\"\n[steps.x]\nrunn = \"true\"\n");
    let answer = project.tidemill(&["doctor"]).exits(2);
    answer
        .says("problem pipeline  second (second.pipeline.toml) has mistakes")
        .says("`tidemill check second.pipeline.toml` shows them");
    project.file("tidemill.toml", "[project]\nsandbox = \"lax\"\n");
    project.tidemill(&["doctor"]).exits(2).says("problem project").says("tidemill.toml");
}

#[test]
fn what_the_machine_lacks_is_told_with_the_step_that_needs_it() {
    let lacks = |fields: &str, said: &str| {
        let project = Project::with(&format!("[steps.one]\n{fields}\noutputs.one = \"one\"\n"));
        project.tidemill(&["doctor"]).exits(4).says(said);
    };
    lacks(
        "run = \"true\"\ntools = [\"no-such-tool\"]",
        "problem tool      no-such-tool, a tool of step one of story",
    );
    lacks("run = \"true\"\nresources = { gpus = 4000 }", "problem gpu       step one of story asks for 4000");
    lacks("run = \"python9.99 x.py\"", "problem python    step one of story");

    let mut project = project();
    project.variable("PATH", "/nowhere");
    project.tidemill(&["doctor"]).exits(4).says("problem shell");
}

#[test]
fn what_dead_processes_left_and_a_newer_state_are_told() {
    let project = project();
    project
        .file(".tidemill/tmp/blob-abc", "half")
        .file(".tidemill/work/20200101-000000-aaaaaa.1/folder/x", "");
    let told = findings(&project, 0, "cache");
    let notes: Vec<&str> =
        told.iter().filter(|(standing, _)| standing == "note").map(|(_, said)| said.as_str()).collect();
    assert_eq!(notes, ["step folders of runs that died: 1", "unfinished files that a process left: 1"]);
    project.tidemill(&["cache", "gc"]).ok();
    project.edit("pipeline.toml", "echo 1", "echo 2");
    project.run_executes(1);
    assert_eq!(findings(&project, 0, "cache").len(), 1);

    fs::write(project.state().join("version"), "999\n").unwrap();
    project.tidemill(&["doctor"]).exits(2).says("problem project").says("ok      kernel");
}
