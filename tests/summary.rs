//! What is said after a run: what ran and why, what was saved, metrics with their change, the gate, what failed and what to do.

use crate::support::Project;

const PIPELINE: &str = r#"[pipeline]
name = "scores"

[params]
alpha = 2
limit = 10

[steps.clean]
run = "sort -u ${inputs.raw} > ${outputs.words}"
inputs.raw = "data/raw.txt"
outputs.words = "words.txt"

[steps.train]
run = "echo '{\"loss\": '${params.alpha}'.5, \"rows\": 3}' > ${outputs.metrics}"
inputs.words = "${clean.words}"
outputs.metrics = { path = "metrics.json", kind = "metrics", publish = "metrics.json" }
gate = ["loss < ${params.limit}", "rows > 0"]

[steps.deploy]
run = "cat ${inputs.words} > ${outputs.live}"
inputs.words = "${clean.words}"
outputs.live = "live.txt"
needs = ["train"]
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("data/raw.txt", "b\na\nb\n");
    project
}

#[test]
fn a_first_run_and_one_with_nothing_to_do() {
    let project = project();
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r"
    $ tidemill run

      ran       clean  [duration]  has not run yet
                train  [duration]  has not run yet
                deploy  [duration]  has not run yet
      metrics   train: loss 2.5, rows 3
      gate      train: open
                  yes  loss < 10  (loss = 2.5)
                  yes  rows > 0  (rows = 3)
      published metrics.json  (train.metrics)

    done: 3 steps executed, 0 cached, [duration]  [run]
    -- stderr
    run [run] of scores, 3 steps
      run      clean   has not run yet
      done     clean   [duration]
      run      train   has not run yet
      done     train   [duration]
      publish  train   metrics to metrics.json
      gate     train   open
      run      deploy  has not run yet
      done     deploy  [duration]
    -- exit code 0
    ");
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r"
    $ tidemill run

      saved     [duration] and 33 B by the cache, for 3 steps
      metrics   train: loss 2.5, rows 3
                all the same as in run [run]
      gate      train: open
                  yes  loss < 10  (loss = 2.5)
                  yes  rows > 0  (rows = 3)

    done: 0 steps executed, 3 cached, [duration]  [run]
    -- stderr
    run [run] of scores, 3 steps
      cached   clean
      cached   train
      gate     train   open
      cached   deploy
    -- exit code 0
    ");
}

#[test]
fn a_parameter_that_changed_moves_the_metrics() {
    let project = project();
    project.run_executes(3);
    insta::assert_snapshot!(project.tidemill(&["run", "--set", "alpha=1"]).snapshot(), @r"
    $ tidemill run --set alpha=1

      ran       train  [duration]  parameter alpha changed: 2 → 1
      saved     [duration] and 8 B by the cache, for 2 steps
      metrics   train: loss 1.5 (-1), rows 3
                compared with run [run]
      gate      train: open
                  yes  loss < 10  (loss = 1.5)
                  yes  rows > 0  (rows = 3)
      published metrics.json  (train.metrics)

    done: 1 step executed, 2 cached, [duration]  [run]
    -- stderr
    run [run] of scores, 3 steps
      set      alpha = 1
      cached   clean
      run      train   parameter alpha changed: 2 → 1
      done     train   [duration]
      publish  train   metrics to metrics.json
      gate     train   open
      cached   deploy
    -- exit code 0
    ");
    let summary = project.run(&["--set", "alpha=4"]).ok().json();
    let loss = &summary["metrics"][0]["values"]["loss"];
    assert_eq!((loss["value"].as_f64(), loss["before"].as_f64()), (Some(4.5), Some(1.5)));
    assert_eq!(summary["ran"][0]["step"], "train");
    assert_eq!(summary["saved"]["steps"], 2);
    assert_eq!(summary["saved"]["bytes"], 8);
    assert_eq!(summary["published"][0]["path"], "metrics.json");
    let shown = project.tidemill(&["show", "--json"]).ok().json();
    assert_eq!(shown["summary"]["metrics"], summary["metrics"]);
    project.tidemill(&["show"]).ok().says("loss 4.5 (+3)");
    // A run whose metrics all come from the cache is one to compare with like any other.
    assert_eq!(project.run(&["--set", "alpha=1"]).ok().json()["ran"].as_array().map(Vec::len), Some(0));
    let loss = &project.run(&["--set", "alpha=6"]).ok().json()["metrics"][0]["values"]["loss"];
    assert_eq!((loss["value"].as_f64(), loss["before"].as_f64()), (Some(6.5), Some(1.5)));
}

#[test]
fn a_gate_that_says_no() {
    let project = project();
    project.run_executes(3);
    insta::assert_snapshot!(project.tidemill(&["run", "--set", "alpha=20"]).snapshot(), @r"
    $ tidemill run --set alpha=20

      ran       train  [duration]  parameter alpha changed: 2 → 20
      saved     [duration] and 4 B by the cache, for 1 step
      metrics   train: loss 20.5 (+18), rows 3
                compared with run [run]
      gate      train: closed, so what follows did not run
                  NO   loss < 10  (loss = 20.5)
                  yes  rows > 0  (rows = 3)
      published metrics.json  (train.metrics)

    stopped by the gate: 1 step executed, 1 cached, 1 blocked, [duration]  [run]
    -- stderr
    run [run] of scores, 3 steps
      set      alpha = 20
      cached   clean
      run      train   parameter alpha changed: 2 → 20
      done     train   [duration]
      publish  train   metrics to metrics.json
      gate     train   closed: loss < 10 is false
      blocked  deploy  by train
    -- exit code 3
    ");
}

#[test]
fn a_failure_and_what_it_blocks() {
    let project = project();
    project.run_executes(3);
    project.edit("pipeline.toml", "run = \"echo '", "run = \"echo training; cat helper.txt; echo '");
    insta::assert_snapshot!(project.tidemill(&["run", "--set", "alpha=3"]).snapshot(), @r#"
    $ tidemill run --set alpha=3

      ran       train  [duration]  parameter alpha changed: 2 → 3, and 1 more; FAILED
      saved     [duration] and 4 B by the cache, for 1 step

    failed: 0 steps executed, 1 cached, 1 failed, 1 blocked, [duration]  [run]
    -- stderr
    run [run] of scores, 3 steps
      set      alpha = 3
      cached   clean
      run      train   parameter alpha changed: 2 → 3, and 1 more
      failed   train   exit code 1
      blocked  deploy  by train

    train failed: exit code 1
      | training
      | cat: helper.txt: No such file or directory
      log:    .tidemill/runs/[run]/1.log
      debug:  `tidemill debug train --set alpha=3` opens its folder as it was left
      blocks: deploy
    -- exit code 1
    "#);
    let summary = project.run(&[]).exits(1).json();
    assert_eq!(summary["failures"][0]["report"]["failure"]["code"], 1);
    assert_eq!(summary["blocked"][0]["by"], "train");
    project.tidemill(&["show"]).ok().says("`tidemill debug train scores` opens its folder");
}

#[test]
fn only_runs_of_the_same_pipeline_are_compared() {
    let project = project();
    project.run_executes(3);
    project.pipeline_file("other.pipeline.toml", &PIPELINE.replace("name = \"scores\"", "name = \"other\""));
    let arguments = ["run", "other.pipeline.toml", "--json", "--set", "alpha=1", "--until", "train"];
    let other = project.tidemill(&arguments).ok().json();
    assert_eq!(other["against"], serde_json::Value::Null);
    let again = project.run(&["pipeline.toml"]).ok().json();
    assert_eq!(again["metrics"][0]["values"]["loss"]["before"], 2.5);
}

/// How many lines and columns the result has.
fn extent(text: &str) -> (usize, usize) {
    (text.lines().count(), text.lines().map(|line| line.chars().count()).max().unwrap_or(0))
}

#[test]
fn the_life_of_a_model_fits_a_screen() {
    let project = crate::diabetes::project();
    for set in ["ridge.alpha=10.0", "ridge.alpha=5.0", "ridge.alpha=500.0"] {
        let answer = project.tidemill(&["run", "diabetes", "--set", set]);
        let (lines, columns) = extent(&answer.stdout);
        assert!(lines <= 24 && columns <= 100, "{lines} lines, {columns} columns:\n{}", answer.transcript());
    }
}
