//! Other content under the same size and modification time is noticed all the same.

use std::fs::{self, File, FileTimes};

use crate::support::Project;

/// Writes other content of the same length in place and puts the old times back.
fn replace_secretly(project: &Project, path: &str, content: &str) {
    let data = fs::metadata(project.path(path)).unwrap();
    assert_eq!(data.len(), content.len() as u64);
    fs::write(project.path(path), content).unwrap();
    let times =
        FileTimes::new().set_modified(data.modified().unwrap()).set_accessed(data.accessed().unwrap());
    File::options().write(true).open(project.path(path)).unwrap().set_times(times).unwrap();
    let now = fs::metadata(project.path(path)).unwrap();
    assert_eq!(now.modified().unwrap(), data.modified().unwrap());
}

#[test]
fn in_an_input() {
    let project = Project::with(
        r#"
        [steps.copy]
        run = "cat ${inputs.a} ${inputs.folder}/x > ${outputs.b}"
        inputs = { a = "a.txt", folder = "folder" }
        outputs.b = { path = "b.txt", publish = "b.txt" }
        "#,
    );
    project.file("a.txt", "old").file("folder/x", "old");
    project.run_executes(1);
    // The second look has every chance to trust what the first one remembered.
    project.run_executes(0);
    replace_secretly(&project, "a.txt", "new");
    project.run_executes(1);
    assert_eq!(project.read("b.txt"), "newold");
    replace_secretly(&project, "folder/x", "neW");
    project.run_executes(1);
    assert_eq!(project.read("b.txt"), "newneW");
}

#[test]
fn in_quick_succession() {
    let project = Project::with(
        r#"
        [steps.copy]
        run = "cat ${inputs.a} > ${outputs.b}"
        inputs.a = "a.txt"
        outputs.b = { path = "b.txt", publish = "b.txt" }
        "#,
    );
    for round in 0..10 {
        let content = format!("round {round}");
        project.file("a.txt", &content);
        project.run_executes(1);
        assert_eq!(project.read("b.txt"), content);
    }
}

#[test]
fn in_a_published_output() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); printf made > ${outputs.b}"
        outputs.b = { path = "b.txt", publish = "b.txt" }
        "#,
    );
    project.run_executes(1);
    project.run_executes(0);
    replace_secretly(&project, "b.txt", "fake");
    project.run_executes(0);
    assert_eq!(project.read("b.txt"), "made");
    assert_eq!(project.displaced("b.txt"), "fake");
}
