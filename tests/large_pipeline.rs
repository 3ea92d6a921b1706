//! Of a pipeline with hundreds of steps, what a run knew is kept for the next, which must not believe more than is true.

use std::fmt::Write as _;
use std::fs;

use crate::support::Project;

/// A pipeline with these steps and so many others that what is known of it is kept.
fn large(steps: &str) -> Project {
    let mut text = steps.to_owned();
    let parts: Vec<String> = (0..256).map(|part| part.to_string()).collect();
    let _ = write!(
        text,
        "\n[steps.filler]\nrun = [\"true\", \"${{matrix.part}}\"]\nmatrix.part = [{}]\n",
        parts.join(", ")
    );
    Project::with(&text)
}

#[test]
fn a_step_that_is_made_again_and_gives_other_bytes_is_not_mixed_up_with_what_was_known() {
    let project = large(
        r#"
        [steps.make]
        run = "cat OUTSIDE/side > ${outputs.data}"
        outputs.data = { path = "data.txt", publish = "data.txt" }

        [steps.copy]
        run = "cat ${inputs.data} > ${outputs.copy}"
        inputs.data = "${make.data}"
        outputs.copy = { path = "copy.txt", publish = "copy.txt" }

        [steps.word]
        run = "echo the > ${outputs.word}"
        outputs.word = "word.txt"

        [steps.other]
        run = "cat ${inputs.word} ${inputs.data} > ${outputs.other}"
        inputs = { data = "${make.data}", word = "${word.word}" }
        outputs.other = { path = "other.txt", publish = "other.txt" }
        "#,
    );
    project.outside_file("side", "one\n");
    project.run_executes(260);
    project.outside_file("side", "two\n");
    project.run(&["--force", "make"]).executed(3);
    project.outside_file("side", "one\n");
    project.run(&["--force", "make"]).executed(1);
    assert_eq!(project.read("copy.txt"), "one\n");
    project.run_executes(0);
    // What `make` gave is gone, and turns out to be needed after `word` has run: it runs again and gives `two`. By then `copy`
    // was settled with `one`; now it is found in the cache for `two`.
    fs::remove_file(project.blob("one\n")).unwrap();
    project.outside_file("side", "two\n");
    project.edit("pipeline.toml", "echo the", "echo a");
    project.run(&[]).ok();
    let files = ["data.txt", "copy.txt", "other.txt"].map(|path| project.read(path));
    assert_eq!(files, ["two\n", "two\n", "a\ntwo\n"]);
    for _ in 0..2 {
        project.run_executes(0);
        let files = ["data.txt", "copy.txt", "other.txt"].map(|path| project.read(path));
        assert_eq!(files, ["two\n", "two\n", "a\ntwo\n"], "the next runs say the same");
    }
}
