//! A second run does nothing: nothing changed, a file was only touched, the index is gone.

use std::fs::{self, File};
use std::time::SystemTime;

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [steps.one]
        run = "COUNT(one); cat ${inputs.a} > ${outputs.b}"
        inputs.a = "a.txt"
        outputs.b = "b.txt"

        [steps.two]
        run = "COUNT(two); cat ${inputs.b} ${inputs.folder}/* > ${outputs.c}"
        inputs = { b = "${one.b}", folder = "folder" }
        outputs.c = { path = "c.txt", publish = "c.txt" }
        "#,
    );
    project.file("a.txt", "a\n").file("folder/x", "x\n").file("folder/y", "y\n");
    project.run_executes(2);
    project
}

#[test]
fn a_second_run_executes_nothing() {
    let project = project();
    project.run_executes(0);
    project.run_executes(0);
    assert_eq!(project.counts(), "one 1, two 1");
    project.tidemill(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_touched_file_runs_nothing() {
    let project = project();
    for path in ["a.txt", "folder/x"] {
        let file = File::options().write(true).open(project.path(path)).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
    }
    project.run_executes(0);
    // The same bytes, written anew.
    fs::remove_file(project.path("a.txt")).unwrap();
    project.file("a.txt", "a\n").file("folder/y", "y\n");
    project.run_executes(0);
    assert_eq!(project.counts(), "one 1, two 1");
}

#[test]
fn what_is_not_declared_runs_nothing() {
    let project = project();
    project.file("other.txt", "other").file(".tidemillignore", "*.bak\n");
    project.file("folder/__pycache__/x.pyc", "x").file("folder/.DS_Store", "x").file("folder/x.bak", "x");
    project.run_executes(0);
    let text = project.read("pipeline.toml");
    project.file("pipeline.toml", format!("# a comment\n{text}\n"));
    project.run_executes(0);
}

#[test]
fn the_index_can_be_deleted() {
    let project = project();
    for path in project.state_files("index.db") {
        fs::remove_file(path).unwrap();
    }
    project.run_executes(0);
    assert_eq!(project.counts(), "one 1, two 1");
    fs::write(project.state().join("index.db"), "this is no database").unwrap();
    project.run_executes(0);
    assert_eq!(project.counts(), "one 1, two 1");
    assert!(!project.has(".tidemill/displaced"), "no file was taken for another's");
}

#[test]
fn the_project_can_be_moved() {
    let project = project();
    let elsewhere = project.root().with_file_name("moved");
    fs::rename(project.root(), &elsewhere).unwrap();
    fs::rename(&elsewhere, project.root()).unwrap();
    project.run_executes(0);
}
