//! An effect changes the world once: again when its key changes, or when its target no longer says so.

use std::fs;

use crate::support::Project;

const PIPELINE: &str = r#"
[params]
version = 1

[steps.build]
run = "COUNT(build); echo app ${params.version} > ${outputs.app}"
outputs.app = "app.txt"

[steps.deploy]
run = "COUNT(deploy); cp ${inputs.app} OUTSIDE/deployed; echo ${run.id} > OUTSIDE/run"
inputs.app = "${build.app}"
effect = { target = "qa", probe = "test -e OUTSIDE/deployed" }
"#;

fn deployed(project: &Project) -> String {
    fs::read_to_string(project.outside("deployed")).unwrap()
}

#[test]
fn it_runs_once() {
    let project = Project::with(PIPELINE);
    project.run_executes(2);
    project.run_executes(0);
    project.run_executes(0);
    assert_eq!(project.counts(), "build 1, deploy 1");
    assert!(!fs::read_to_string(project.outside("run")).unwrap().trim().is_empty());
    project.tidemill(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn it_runs_again_when_its_key_changes_and_when_it_goes_back() {
    let project = Project::with(PIPELINE);
    project.run_executes(2);
    project.edit("pipeline.toml", "version = 1", "version = 2");
    project.run_executes(2);
    assert_eq!(deployed(&project), "app 2\n");
    project.edit("pipeline.toml", "version = 2", "version = 1");
    project.run_executes(1);
    assert_eq!(deployed(&project), "app 1\n", "what is deployed is what the pipeline says");
    assert_eq!(project.counts(), "build 2, deploy 3");
    project.run_executes(0);
}

#[test]
fn it_runs_again_when_the_probe_says_so() {
    let project = Project::with(PIPELINE);
    project.run_executes(2);
    fs::remove_file(project.outside("deployed")).unwrap();
    project.run_executes(1);
    assert_eq!(deployed(&project), "app 1\n");
    assert_eq!(project.counts(), "build 1, deploy 2");
}

#[test]
fn without_a_probe_the_record_counts() {
    let project = Project::with("[steps.notify]\nrun = \"COUNT(notify); true\"\neffect = true\n");
    project.run_executes(1);
    project.run_executes(0);
    project.run(&["--force", "notify"]).ok().executed(1);
    assert_eq!(project.counts(), "notify 2");
}

#[test]
fn one_that_fails_is_done_again() {
    let project =
        Project::with("[steps.notify]\nrun = \"COUNT(notify); test -e OUTSIDE/net\"\neffect = true\n");
    project.run(&[]).exits(1);
    project.outside_file("net", "");
    project.run_executes(1);
    project.run_executes(0);
    assert_eq!(project.counts(), "notify 2");
}

#[test]
fn a_step_without_a_cache_runs_each_time() {
    let project = Project::with(
        r#"
        [steps.now]
        run = "COUNT(now); echo same > ${outputs.out}"
        cache = false
        outputs.out = "out"

        [steps.next]
        run = "COUNT(next); cat ${inputs.in}"
        inputs.in = "${now.out}"
        "#,
    );
    project.run_executes(2);
    project.run_executes(1);
    assert_eq!(project.counts(), "next 1, now 2");
}

#[test]
fn a_fingerprint_is_part_of_the_key() {
    let project = Project::with(
        r#"
        [steps.query]
        run = "COUNT(query); cat OUTSIDE/table > ${outputs.rows}"
        fingerprint = "wc -c < OUTSIDE/table"
        outputs.rows = { path = "rows", publish = "rows" }
        "#,
    );
    project.outside_file("table", "1\n");
    project.run_executes(1);
    project.run_executes(0);
    project.outside_file("table", "1\n2\n");
    project.run_executes(1);
    assert_eq!(project.read("rows"), "1\n2\n");
    fs::remove_file(project.outside("table")).unwrap();
    project.tidemill(&["run"]).exits(2).says("fingerprint");
}

#[test]
fn a_fingerprint_may_be_used_again_while_it_is_young() {
    let project = Project::with(
        r#"
        [steps.query]
        run = "cat OUTSIDE/table > ${outputs.rows}"
        fingerprint = { command = "COUNT(asked); cat OUTSIDE/table", max_age = "1 h" }
        outputs.rows = "rows"
        "#,
    );
    project.outside_file("table", "1\n");
    project.run_executes(1);
    project.outside_file("table", "1\n2\n");
    project.run_executes(0);
    assert_eq!(project.counts(), "asked 1");
}
