//! Records that a crash or a full disk cut short do no harm: what cannot be read counts as missing and is made again.

use std::fs::{self, File};
use std::path::Path;

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [steps.one]
        run = "COUNT(one); echo one > ${outputs.out}"
        outputs.out = "out"

        [steps.two]
        run = "COUNT(two); cat ${inputs.in} > ${outputs.out}"
        inputs.in = "${one.out}"
        outputs.out = { path = "out", publish = "two.txt" }
        "#,
    );
    project.run_executes(2);
    project
}

fn cut(path: &Path, by: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size.saturating_sub(by)).unwrap();
}

fn make_writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_result_that_was_cut_short() {
    let project = project();
    for path in project.state_files("results/") {
        make_writable(&path);
        cut(&path, 10);
    }
    project.run_executes(2);
    assert_eq!(project.read("two.txt"), "one\n");
    project.run_executes(0);
}

#[test]
fn a_result_that_is_empty() {
    let project = project();
    for path in project.state_files("results/") {
        make_writable(&path);
        cut(&path, u64::MAX);
    }
    project.run_executes(2);
    project.run_executes(0);
}

#[test]
fn a_recipe_that_was_cut_short() {
    let project = project();
    // The recipe of a step that failed has no result that could hold it.
    project.edit("pipeline.toml", "echo one", "exit 7");
    project.tidemill(&["run"]).exits(1);
    let recipes = project.state_files("recipes/");
    assert_eq!(recipes.len(), 1);
    for path in recipes {
        make_writable(&path);
        cut(&path, 5);
    }
    project.tidemill(&["explain", "one"]).ok();
    project.edit("pipeline.toml", "exit 7", "echo uno");
    project.run_executes(2);
}

#[test]
fn a_journal_that_was_cut_in_the_middle_of_a_line() {
    let project = project();
    let journal =
        project.state_files("runs/").into_iter().find(|path| path.ends_with("journal.jsonl")).unwrap();
    let length = fs::metadata(&journal).unwrap().len();
    for _ in 0..length.div_ceil(97) {
        cut(&journal, 97);
        project.tidemill(&["runs"]).ok();
    }
    assert_eq!(fs::metadata(&journal).unwrap().len(), 0);
    project.run_executes(0);
    project.tidemill(&["show", "--json"]).ok();
    project.tidemill(&["cache", "gc"]).ok();
}

#[test]
fn garbage_in_a_journal() {
    let project = project();
    let journal =
        project.state_files("runs/").into_iter().find(|path| path.ends_with("journal.jsonl")).unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend(b"\x00\xff\xfe not json\n{\"at\":1}\n");
    fs::write(&journal, bytes).unwrap();
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    assert_eq!(runs["runs"][0]["outcome"], "succeeded");
    project.run_executes(0);
}

#[test]
fn temporary_files_of_a_crash() {
    let project = project();
    for path in project.state_files("results/") {
        fs::write(path.with_file_name(".tmp-abc"), "half").unwrap();
    }
    fs::write(project.state().join("tmp/half"), "half").unwrap();
    fs::create_dir_all(project.state().join("work/20200101-000000-aaaaaa.1/folder")).unwrap();
    project.run_executes(0);
    project.edit("pipeline.toml", "echo one", "echo uno");
    project.run_executes(2);
    assert!(project.state_files("work/").is_empty());
}
