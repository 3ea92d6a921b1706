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

/// A large output in a project that wants links.
const LARGE: &str = r#"
[params]
letter = "a"

[steps.make]
run = "COUNT(make); head -c 20000000 /dev/zero | tr '\\000' ${params.letter} > ${outputs.out}"
outputs.out = { path = "out", publish = "models/model.bin" }

[steps.size]
run = "COUNT(size); wc -c < ${inputs.model} > ${outputs.size}"
inputs.model = "${make.out}"
outputs.size = { path = "size", publish = "size" }
"#;

fn linking() -> Project {
    let project = Project::with(LARGE);
    project.file("tidemill.toml", "[project]\npublish = \"link\"\n");
    project.run_executes(2);
    project
}

fn first_and_size(project: &Project) -> (u8, usize) {
    let bytes = std::fs::read(project.path("models/model.bin")).unwrap();
    (bytes[0], bytes.len())
}

#[test]
fn a_large_output_may_be_linked_and_goes_back_and_forth() {
    let project = linking();
    for (letter, executed) in [("b", 2), ("a", 0), ("b", 0)] {
        project.run(&["--set", &format!("letter={letter}")]).ok().executed(executed);
        assert_eq!(first_and_size(&project), (letter.as_bytes()[0], 20_000_000));
    }
    std::fs::remove_file(project.path("models/model.bin")).unwrap();
    project.run(&["--set", "letter=b"]).ok().executed(0);
    assert_eq!(first_and_size(&project), (b'b', 20_000_000));
    project.tidemill(&["cache", "verify"]).ok();
    assert_eq!(project.counts(), "make 2, size 2");
}

#[test]
fn who_writes_into_a_link_keeps_what_was_written_and_the_result_is_made_again() {
    use std::io::{Seek as _, Write as _};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let project = linking();
    let at = project.path("models/model.bin");
    let facts = std::fs::metadata(&at).unwrap();
    let (mode, modified) = (facts.permissions(), facts.modified().unwrap());
    // Where the file system has clones, it is one, and the cache is out of reach.
    let is_link = facts.nlink() > 1;
    assert_eq!(mode.mode() & 0o777, if is_link { 0o444 } else { 0o644 });
    // The same size and time afterwards: only the file system knows better.
    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = std::fs::File::options().write(true).open(&at).unwrap();
    file.seek(std::io::SeekFrom::Start(7)).unwrap();
    file.write_all(b"mine").unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    std::fs::set_permissions(&at, mode).unwrap();
    project.run(&[]).ok();
    assert_eq!(std::fs::read(&at).unwrap(), vec![b'a'; 20_000_000]);
    assert!(project.displaced("models/model.bin").contains("mine"));
    assert_eq!(project.counts(), format!("make {}, size 1", if is_link { 2 } else { 1 }));
    project.tidemill(&["cache", "verify"]).ok();
    project.run_executes(0);
}
