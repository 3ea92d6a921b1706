//! Only what a step refers to enters its key: another parameter runs only the steps that depend on it.

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [params]
        seed = 7
        train.alpha = 0.5
        note = "unused"

        [steps.split]
        run = "COUNT(split); echo seed ${params.seed} > ${outputs.part}"
        outputs.part = "part.txt"

        [steps.train]
        run = "COUNT(train); cat ${inputs.part} > ${outputs.model}; echo alpha ${params.train.alpha} >> ${outputs.model}"
        inputs.part = "${split.part}"
        outputs.model = { path = "model.txt", publish = "model.txt" }

        [steps.count]
        run = "COUNT(count); wc -l < ${inputs.part} > ${outputs.lines}"
        inputs.part = "${split.part}"
        outputs.lines = { path = "lines.txt", publish = "lines.txt" }
        "#,
    );
    project.run_executes(3);
    assert_eq!(project.read("model.txt"), "seed 7\nalpha 0.5\n");
    project
}

#[test]
fn only_dependents_run() {
    let project = project();
    project.edit("pipeline.toml", "alpha = 0.5", "alpha = 0.25");
    project.run_executes(1);
    assert_eq!(project.counts(), "count 1, split 1, train 2");
    assert_eq!(project.read("model.txt"), "seed 7\nalpha 0.25\n");
    project.edit("pipeline.toml", "unused", "still unused");
    project.run_executes(0);
}

#[test]
fn a_value_can_be_set_on_the_command_line() {
    let project = project();
    project.run(&["--set", "train.alpha=2.5"]).ok().executed(1);
    assert_eq!(project.read("model.txt"), "seed 7\nalpha 2.5\n");
    // Without it the old value counts again, and its result is still known.
    project.run_executes(0);
    assert_eq!(project.read("model.txt"), "seed 7\nalpha 0.5\n");
    project.run(&["--set", "train.aplha=2"]).exits(2).says("train.alpha");
    assert_eq!(project.counts(), "count 1, split 1, train 2");
}

#[test]
fn values_can_come_from_a_file() {
    let project = project();
    project.file("other.toml", "seed = 8\n\n[train]\nalpha = 3.5\n");
    project.run(&["--params", "other.toml"]).ok().executed(3);
    assert_eq!(project.read("model.txt"), "seed 8\nalpha 3.5\n");
    project.run(&["--params", "other.toml", "--set", "train.alpha=4.5"]).ok().executed(1);
    assert_eq!(project.read("model.txt"), "seed 8\nalpha 4.5\n", "--set is the last word");
    project.run_executes(0);
}
