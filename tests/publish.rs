//! Publishing places outputs in the project and never overwrites what is the user's.

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.make]
run = "COUNT(make); echo made > ${outputs.out}"
outputs.out = { path = "out", publish = "models/model.txt" }
"#;

#[test]
fn a_file_of_the_users_is_moved_aside() {
    let project = Project::with(PIPELINE);
    project.file("models/model.txt", "the user's own");
    project.tidemill(&["run"]).ok().says("displaced");
    assert_eq!(project.read("models/model.txt"), "made\n");
    assert_eq!(project.displaced("models/model.txt"), "the user's own");
}

#[test]
fn the_same_bytes_are_left_alone() {
    let project = Project::with(PIPELINE);
    project.file("models/model.txt", "made\n");
    project.run_executes(1);
    assert!(!project.has(".tidemill/displaced"));
}

#[test]
fn a_folder_of_the_users_is_moved_aside() {
    let project = Project::with(PIPELINE);
    project.file("models/model.txt/notes", "notes");
    project.run_executes(1);
    assert_eq!(project.read("models/model.txt"), "made\n");
    assert_eq!(project.displaced("models/model.txt/notes"), "notes");
}

#[test]
fn what_is_published_is_the_users_to_edit() {
    let project = Project::with(PIPELINE);
    project.run_executes(1);
    project.file("models/model.txt", "edited");
    project.run_executes(0);
    assert_eq!(project.read("models/model.txt"), "made\n");
    assert_eq!(project.displaced("models/model.txt"), "edited");
    project.edit("pipeline.toml", "echo made", "echo new");
    project.run_executes(1);
    assert_eq!(project.read("models/model.txt"), "new\n");
}

#[test]
fn a_link_is_replaced_and_what_it_shows_is_left_alone() {
    let project = Project::with(PIPELINE);
    project.file("real.txt", "real").file("models/x", "");
    std::os::unix::fs::symlink("../real.txt", project.path("models/model.txt")).unwrap();
    project.run_executes(1);
    assert_eq!(project.read("models/model.txt"), "made\n");
    assert_eq!(project.read("real.txt"), "real");
}

#[test]
fn two_publishes_to_one_place_are_an_error() {
    let project = Project::with(&format!("{PIPELINE}\n{}", PIPELINE.replace("steps.make", "steps.again")));
    project.tidemill(&["check"]).exits(2).says("models/model.txt");
}

#[test]
fn publishing_onto_an_input_is_an_error() {
    let project = Project::with(&format!("{PIPELINE}\ninputs.old = \"models/*.txt\"\n"));
    project.tidemill(&["check"]).exits(2).says("models/model.txt");
}
