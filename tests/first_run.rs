//! A pipeline of two steps runs for the first time: the order comes from the references, the outputs appear in the project.

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.shout]
run = "COUNT(shout); tr a-z A-Z < ${inputs.words} > ${outputs.loud}"
inputs.words = "${clean.words}"
outputs.loud = { path = "loud.txt", publish = "results/loud.txt" }

[steps.clean]
run = "COUNT(clean); sort -u ${inputs.raw} > ${outputs.words}"
inputs.raw = "data/raw.txt"
outputs.words = "words.txt"
"#;

#[test]
fn steps_run_in_the_order_of_their_references() {
    let project = Project::with(PIPELINE);
    project.file("data/raw.txt", "b\na\nb\n");
    project.run_executes(2);
    assert_eq!(project.read("results/loud.txt"), "A\nB\n");
    assert_eq!(project.counts(), "clean 1, shout 1");
}

#[test]
fn a_step_finds_only_what_it_declared() {
    let project = Project::with(
        r#"
        [steps.look]
        run = "found=$(find . -type f | sort); echo \"$found\" > ${outputs.found}"
        inputs = { table = "data/a.csv", shelf = "shelf", far = "OUTSIDE/far.txt", all = "notes/*.md" }
        outputs.found = { path = "deep/er/found.txt", publish = "found.txt" }
        "#,
    );
    project.file("data/a.csv", "a").file("data/b.csv", "b").file("shelf/x/y", "y").file("shelf/z", "z");
    project.file("notes/2.md", "2").file("notes/1.md", "1").file("notes/no.txt", "no");
    project.outside_file("far.txt", "far");
    project.run_executes(1);
    let expected = ["data/a.csv", "inputs/far/far.txt", "notes/1.md", "notes/2.md", "shelf/x/y", "shelf/z"];
    let expected: String = expected.iter().map(|path| format!("./{path}\n")).collect();
    assert_eq!(project.read("found.txt"), expected);
}

#[test]
fn a_glob_gives_its_paths_in_order() {
    let project = Project::with(
        r#"
        [steps.join]
        run = "cat ${inputs.parts} > ${outputs.whole}"
        inputs.parts = "parts/*.txt"
        outputs.whole = { path = "whole.txt", publish = "whole.txt" }
        "#,
    );
    project
        .file("parts/b b.txt", "2")
        .file("parts/a.txt", "1")
        .file("parts/c.txt", "3")
        .file("parts/d/e.txt", "no");
    project.run_executes(1);
    assert_eq!(project.read("whole.txt"), "123");
    project.file("parts/aa.txt", "x");
    project.run_executes(1);
    assert_eq!(project.read("whole.txt"), "1x23");
}

#[test]
fn folders_are_artifacts_too() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "mkdir -p ${outputs.tree}/empty ${outputs.tree}/bin; echo 'echo hello' > ${outputs.tree}/bin/tool; chmod +x ${outputs.tree}/bin/tool; ln -s bin/tool ${outputs.tree}/link"
        outputs.tree = { path = "tree", kind = "dir", publish = "tree" }

        [steps.use]
        run = "test -d ${inputs.tree}/empty; sh ${inputs.tree}/link > ${outputs.said}; test -x ${inputs.tree}/bin/tool"
        inputs.tree = "${make.tree}"
        outputs.said = { path = "said.txt", publish = "said.txt" }
        "#,
    );
    project.run_executes(2);
    assert_eq!(project.read("said.txt"), "hello\n");
    assert!(project.path("tree/empty").is_dir());
    assert!(project.path("tree/link").is_symlink());
    project.run_executes(0);
}

#[test]
fn needs_orders_without_data() {
    let project = Project::with(
        r#"
        [steps.second]
        run = "cat OUTSIDE/trace > ${outputs.seen}"
        needs = ["first"]
        outputs.seen = { path = "seen", publish = "seen" }

        [steps.first]
        run = "echo first > OUTSIDE/trace"
        "#,
    );
    project.run_executes(2);
    assert_eq!(project.read("seen"), "first\n");
}

#[test]
fn the_state_stays_out_of_the_way() {
    let project = Project::with(PIPELINE);
    project.file("data/raw.txt", "a\n");
    project.run_executes(2);
    let files: Vec<_> = project.files("").into_keys().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["data/raw.txt", "pipeline.toml", "results/loud.txt"]);
    assert_eq!(project.read(".tidemill/.gitignore").trim(), "*");
    assert!(project.state_files("work/").is_empty(), "step folders are removed");
}
