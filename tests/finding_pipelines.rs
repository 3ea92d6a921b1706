//! A pipeline is named by its file, its folder or its name; where there is only one, it need not be named.

use crate::support::Project;

fn pipeline(name: &str) -> String {
    format!(
        "[pipeline]\nname = \"{name}\"\n\n[steps.say]\nrun = \"COUNT({name}); echo {name} > ${{outputs.said}}\"\noutputs.said = {{ path = \"said\", publish = \"said-{name}\" }}\n"
    )
}

fn two_pipelines() -> Project {
    let project = Project::new();
    project.file("tidemill.toml", "");
    project.pipeline_file("pipelines/red/pipeline.toml", &pipeline("red"));
    project.pipeline_file("pipelines/blue.toml", &pipeline("blue"));
    project
}

#[test]
fn by_file_folder_and_name() {
    let project = two_pipelines();
    for name in ["pipelines/red/pipeline.toml", "pipelines/red", "red", "pipelines/blue.toml", "blue"] {
        project.run(&[name]).ok();
    }
    assert_eq!(project.counts(), "blue 1, red 1");
    assert_eq!(project.read("pipelines/red/said-red"), "red\n");
    assert_eq!(project.read("pipelines/said-blue"), "blue\n");
    assert!(!project.has("pipelines/.tidemill"), "there is one state folder, at the root");
}

#[test]
fn from_a_folder_inside() {
    let project = two_pipelines();
    project.tidemill_in("pipelines/red", &["run"]).ok();
    project.tidemill_in("pipelines/red", &["run", "blue"]).ok();
    project.tidemill_in("pipelines", &["run", "red"]).ok();
    assert_eq!(project.counts(), "blue 1, red 1");
}

#[test]
fn without_a_name_where_there_are_two() {
    let project = two_pipelines();
    project.tidemill(&["run"]).exits(2).says("red").says("blue");
    project.tidemill(&["run", "green"]).exits(2).says("green").says("red").says("blue");
}

#[test]
fn the_only_one_needs_no_name() {
    let project = Project::new();
    project.pipeline_file("pipelines/red/pipeline.toml", &pipeline("red"));
    project.run_executes(1);
    assert_eq!(project.counts(), "red 1");
}

#[test]
fn where_there_is_none() {
    Project::new().tidemill(&["run"]).exits(2).says("pipeline.toml");
}
