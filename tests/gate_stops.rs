//! A gate is asked in every run, on cached metrics too; "no" stops what follows and gives its own exit code each time.

use crate::support::Project;

const PIPELINE: &str = r#"
[params]
accuracy = 0.7
least = 0.9

[steps.evaluate]
run = "COUNT(evaluate); echo '{\"accuracy\": '${params.accuracy}', \"rows\": {\"test\": 40}}' > ${outputs.metrics}"
outputs.metrics = { path = "metrics.json", kind = "metrics", publish = "metrics.json" }
gate = ["accuracy >= ${params.least}", "rows.test > 10"]

[steps.deploy]
run = "COUNT(deploy); cat ${inputs.metrics} > ${outputs.out}"
inputs.metrics = "${evaluate.metrics}"
outputs.out = "out"

[steps.notify]
run = "COUNT(notify); true"
needs = ["deploy"]

[steps.aside]
run = "COUNT(aside); echo aside > ${outputs.out}"
outputs.out = "out"
"#;

#[test]
fn it_says_no_each_time() {
    let project = Project::with(PIPELINE);
    for executed in [2, 0, 0] {
        let answer = project.run(&[]).exits(3).executed(executed);
        assert_eq!(answer.counted("blocked"), 2);
    }
    project.tidemill(&["run"]).exits(3).says("accuracy").says("0.7").says("evaluate");
    assert_eq!(project.counts(), "aside 1, evaluate 1");
    assert!(project.has("metrics.json"), "what led to the no can be looked at");
    let show = project.tidemill(&["show", "--json"]).ok().json();
    assert_eq!(show["outcome"], "gate-closed");
}

#[test]
fn the_gate_is_not_in_the_key() {
    let project = Project::with(PIPELINE);
    project.run(&[]).exits(3);
    project.run(&["--set", "least=0.6"]).ok().executed(2);
    assert_eq!(project.counts(), "aside 1, deploy 1, evaluate 1, notify 1");
    project.run(&[]).exits(3).executed(0);
    project.run(&["--set", "least=0.6"]).ok().executed(0);
    project.run(&["--set", "accuracy=0.95"]).ok();
    assert_eq!(project.counts(), "aside 1, deploy 2, evaluate 2, notify 1");
}

#[test]
fn a_metric_that_does_not_exist_is_named() {
    let project = Project::with(PIPELINE);
    project.edit("pipeline.toml", "\"accuracy >=", "\"acuracy >=");
    project.tidemill(&["run"]).exits(1).says("acuracy").says("rows.test");
    assert_eq!(project.counts(), "aside 1, evaluate 1");
}

#[test]
fn the_plan_knows() {
    let project = Project::with(PIPELINE);
    project.run(&[]).exits(3);
    let plan = project.tidemill(&["plan", "--json"]).ok().json();
    let verdict = |step: &str| {
        let steps = plan["steps"].as_array().unwrap();
        steps.iter().find(|planned| planned["step"] == step).unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("deploy"), "blocked");
    assert_eq!(verdict("evaluate"), "cached");
}

#[test]
fn metrics_that_are_no_numbers_are_a_failure() {
    let project = Project::with(
        r#"
        [steps.evaluate]
        run = "echo not json > ${outputs.metrics}"
        outputs.metrics = { path = "metrics.json", kind = "metrics" }
        "#,
    );
    project.tidemill(&["run"]).exits(1).says("metrics.json");
}
