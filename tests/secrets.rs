//! Secrets reach the process and nothing else: no key, no log, no recipe, no history.

use std::fs;

use crate::support::Project;

const SECRET: &str = "hunter2-very-secret";

fn project() -> Project {
    let mut project = Project::with(
        r#"
        [steps.fetch]
        run = "COUNT(fetch); echo token is $TOKEN and $AUTH; echo $TOKEN | wc -c > ${outputs.length}; echo $TOKEN >&2"
        secrets = ["TOKEN"]
        env.AUTH = "Bearer ${secrets.TOKEN}"
        outputs.length = { path = "length", publish = "length" }
        "#,
    );
    project.variable("TOKEN", SECRET);
    project
}

/// The files of the state that contain the secret.
fn leaks(project: &Project) -> Vec<std::path::PathBuf> {
    let contains = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    project.state_files("").into_iter().filter(contains).collect()
}

#[test]
fn they_are_nowhere_in_the_state() {
    let project = project();
    project.tidemill(&["run"]).ok().says_nothing_of(SECRET);
    assert_eq!(project.read("length").trim(), (SECRET.len() + 1).to_string());
    assert_eq!(leaks(&project), Vec::<std::path::PathBuf>::new());
    project.tidemill(&["log", "fetch"]).ok().says("token is").says_nothing_of(SECRET);
}

#[test]
fn a_failure_does_not_show_them() {
    let project = project();
    project.edit("pipeline.toml", "echo $TOKEN >&2", "echo failed with $TOKEN >&2; exit 1");
    project.tidemill(&["run"]).exits(1).says("failed with").says_nothing_of(SECRET);
    assert_eq!(leaks(&project), Vec::<std::path::PathBuf>::new());
}

#[test]
fn another_secret_is_the_same_key() {
    let mut project = project();
    project.run_executes(1);
    project.variable("TOKEN", "changed");
    project.run_executes(0);
    assert_eq!(project.counts(), "fetch 1");
}

#[test]
fn one_that_is_not_set_is_named() {
    let project = Project::with("[steps.a]\nrun = \"true\"\nsecrets = [\"TOKEN\"]\n");
    project.tidemill(&["run"]).exits(1).says("TOKEN");
}
