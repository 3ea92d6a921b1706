//! Fan-out and fan-in: one step per combination, one per file, and all of them collected again.

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.train]
run = "COUNT(train); echo model ${matrix.fold} ${matrix.alpha} > ${outputs.model}"
matrix = { fold = [1, 2], alpha = [0.1, 1.0] }
outputs.model = "model.txt"

[steps.score]
run = "COUNT(score); tr a-z A-Z < ${inputs.model} > ${outputs.score}"
matrix = { fold = [1, 2], alpha = [0.1, 1.0] }
inputs.model = "${train.model}"
outputs.score = "score.txt"

[steps.best]
run = "COUNT(best); ls ${inputs.scores} > ${outputs.names}; cat ${inputs.scores}/* > ${outputs.all}"
inputs.scores = { collect = "${score.score}" }
outputs.names = { path = "names.txt", publish = "names.txt" }
outputs.all = { path = "all.txt", publish = "all.txt" }
"#;

#[test]
fn one_step_per_combination() {
    let project = Project::with(PIPELINE);
    let run = project.run_executes(9);
    drop(run);
    let all = project.read("all.txt");
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["MODEL 1 0.1", "MODEL 1 1.0", "MODEL 2 0.1", "MODEL 2 1.0"]);
    let names = project.read("names.txt");
    assert_eq!(names.lines().count(), 4);
    assert!(names.lines().all(|name| name.contains("score")), "{names}");
    project.tidemill(&["graph", "--json"]).ok().says("train[alpha=0.1,fold=1]");
    project.run_executes(0);
}

#[test]
fn another_value_runs_only_what_is_new() {
    let project = Project::with(PIPELINE);
    project.run_executes(9);
    let text = project.read("pipeline.toml");
    project.file("pipeline.toml", text.replace("[1, 2]", "[1, 2, 3]"));
    project.run_executes(5);
    assert_eq!(project.counts(), "best 2, score 6, train 6");
    project.file("pipeline.toml", text.replace("[1, 2]", "[2]"));
    project.run_executes(1);
    assert_eq!(project.read("all.txt").lines().count(), 2);
}

#[test]
fn a_combination_has_its_own_name() {
    let project = Project::with(PIPELINE);
    project.run(&["--until", "train[alpha=0.1,fold=2]"]).ok().executed(1);
    project.tidemill(&["get", "train[alpha=0.1,fold=2].model", "--output", "model"]).ok();
    assert_eq!(project.read("model"), "model 2 0.1\n");
    project.run(&["--force", "train", "--until", "train"]).ok().executed(4);
    assert_eq!(project.counts(), "train 5");
}

#[test]
fn a_bare_reference_to_a_matrix_proposes_to_collect() {
    let project = Project::with(PIPELINE);
    project.edit("pipeline.toml", "{ collect = \"${score.score}\" }", "\"${score.score}\"");
    project.tidemill(&["check"]).exits(2).says("collect");
}

#[test]
fn one_step_per_file() {
    let project = Project::with(
        r#"
        [steps.clean]
        run = "COUNT(clean); sort ${inputs.part} > ${outputs.part}"
        matrix.file = { glob = "data/*.txt" }
        inputs.part = "${matrix.file}"
        outputs.part = "part.txt"

        [steps.all]
        run = "COUNT(all); cat ${inputs.parts}/* > ${outputs.all}"
        inputs.parts = { collect = "${clean.part}" }
        outputs.all = { path = "all.txt", publish = "all.txt" }
        "#,
    );
    project.file("data/a.txt", "2\n1\n").file("data/b.txt", "4\n3\n");
    project.run_executes(3);
    assert_eq!(project.read("all.txt"), "1\n2\n3\n4\n");
    project.file("data/c.txt", "6\n5\n");
    project.run_executes(2);
    assert_eq!(project.counts(), "all 2, clean 3");
    assert_eq!(project.read("all.txt"), "1\n2\n3\n4\n5\n6\n");
}

#[test]
fn one_key_runs_once_however_many_steps_share_it() {
    let project = Project::with(
        r#"
        [steps.a]
        run = "COUNT(same); echo same > ${outputs.out}"
        outputs.out = "out"

        [steps.b]
        run = "COUNT(same); echo same > ${outputs.out}"
        outputs.out = "out"
        "#,
    );
    project.run(&["--jobs", "2"]).ok();
    assert_eq!(project.counts(), "same 1");
}
