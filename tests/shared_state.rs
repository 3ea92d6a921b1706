//! One state folder for several checkouts: named in the project file or by a variable, and what happens if it is named wrongly.

use std::fs;

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.make]
run = "COUNT(make); cat ${inputs.in} > ${outputs.out}"
inputs.in = "in.txt"
outputs.out = { path = "out", publish = "out.txt" }
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("in.txt", "one");
    project
}

#[test]
fn a_result_serves_every_checkout() {
    let first = project();
    first.file("tidemill.toml", "[project]\nstate = \"../state\"\n");
    let second = first.checkout("second");
    first.run_executes(1);
    second.run_executes(0);
    assert_eq!((second.read("out.txt"), first.counts()), ("one".to_owned(), "make 1".to_owned()));
    for project in [&first, &second] {
        assert!(!project.has(".tidemill"), "the state is elsewhere");
        let runs = project.tidemill(&["runs", "--json"]).ok().json();
        assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "one history");
    }
    // What one has published, and the other too, is nobody's displaced file.
    second.file("in.txt", "two");
    second.run_executes(1);
    first.file("in.txt", "two");
    first.run_executes(0);
    assert_eq!(first.read("out.txt"), "two");
    assert!(!first.has("../state/displaced"));
    second.tidemill(&["cache", "gc", "--keep-runs", "1"]).ok();
    first.run_executes(0);
    first.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn a_variable_is_stronger_than_the_file() {
    let mut project = project();
    project.file("tidemill.toml", "[project]\nstate = \"../state\"\n");
    project.variable("TIDEMILL_STATE", "~/states/one");
    project.run_executes(1);
    assert!(project.path("../home/states/one/version").exists());
    assert!(!project.path("../state").exists());
    project.variable("TIDEMILL_STATE", "");
    project.run_executes(1);
    assert!(project.path("../state/version").exists());
}

#[test]
fn a_displaced_file_reaches_another_file_system() {
    use std::os::unix::fs::MetadataExt as _;
    let mut project = project();
    let device = |path: &std::path::Path| fs::metadata(path).map(|data| data.dev()).ok();
    let memory = std::path::Path::new("/dev/shm");
    if device(memory).is_none_or(|other| Some(other) == device(&project.root())) {
        return;
    }
    let state = tempfile::Builder::new().prefix("tidemill-story-").tempdir_in(memory).unwrap();
    project.variable("TIDEMILL_STATE", state.path().join("state").to_str().unwrap());
    project.file("out.txt/mine/a", "mine");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "one");
    let run = fs::read_dir(state.path().join("state/displaced")).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read_to_string(run.path().join("out.txt/mine/a")).unwrap(), "mine");
    project.run_executes(0);
}

#[test]
fn a_state_folder_that_cannot_be_one() {
    let project = project();
    project.file("other/file", "other");
    let said = |state: &str| {
        project.file("tidemill.toml", format!("[project]\nstate = \"{state}\"\n"));
        let answer = project.tidemill(&["run"]).exits(2);
        answer.stderr.replace(project.root().to_str().unwrap(), "[project]")
    };
    insta::assert_snapshot!(
        ["", "~other/x", ".", "..", "state", "in.txt", "in.txt/x"].map(said).concat(), @r#"
    error: the state folder "" of tidemill.toml cannot be used: it is empty
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder "~other/x" of tidemill.toml cannot be used: only `~/` is understood at its beginning
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder "." of tidemill.toml cannot be used: the project lies in it
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder ".." of tidemill.toml cannot be used: the project lies in it
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder "state" of tidemill.toml cannot be used: within the project it must have the name .tidemill, so that no input holds it
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder "in.txt" of tidemill.toml cannot be used: within the project it must have the name .tidemill, so that no input holds it
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    error: the state folder "in.txt/x" of tidemill.toml cannot be used: it is no folder
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    "#);
    project.file("../filled/file", "other");
    insta::assert_snapshot!(said("../filled"), @r#"
    error: the state folder "../filled" of tidemill.toml cannot be used: it is no state folder and holds other files, such as file
    hint: name a folder of its own: absolute, relative to the project's root, or below `~/`
    "#);
    project.file("tidemill.toml", "[project]\nstaet = \"x\"\n");
    project.tidemill(&["run"]).exits(2).says("tidemill.toml").says("state");
    project.file("tidemill.toml", "[project]\nstate = \"deep/.tidemill\"\n");
    project.run_executes(1);
    assert!(project.has("deep/.tidemill/version"));
}
