//! The whole life of a model, on real data: seven stages from ingest to deploy, in a copy of `pipelines/diabetes`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Answer, Project};

/// A project with a copy of the example.
pub(crate) fn project() -> Project {
    let project = Project::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/diabetes");
    for path in ["pipeline.toml", "data/diabetes.csv"] {
        project.file(&format!("pipelines/diabetes/{path}"), fs::read(example.join(path)).unwrap());
    }
    project.file("tidemill.toml", "");
    project
}

/// Parameters that nobody would choose: neither candidate learns anything.
const WORSE: [&str; 6] =
    ["--set", "ridge.alpha=1e9", "--set", "boosting.rounds=1", "--set", "boosting.max_depth=1"];

/// A ridge that is a little worse than the one of the file.
pub(crate) const A_LITTLE_WORSE: [&str; 2] = ["--set", "ridge.alpha=1.0"];

fn champion(project: &Project) -> u64 {
    let shown = project.tidemill(&["models", "show", "diabetes", "--json"]).ok().json();
    shown["aliases"]["champion"].as_u64().unwrap()
}

fn versions(project: &Project) -> usize {
    let shown = project.tidemill(&["models", "show", "diabetes", "--json"]).ok().json();
    shown["versions"].as_array().unwrap().len()
}

/// How each step of the last run ended, such as `ingest cached`; combinations of a matrix in the order of their names.
fn states(project: &Project) -> Vec<String> {
    let shown = project.tidemill(&["show", "--json"]).ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = shown["steps"].as_array().unwrap().iter();
    let mut states: Vec<String> =
        steps.map(|step| format!("{} {}", text(&step["step"]), text(&step["state"]))).collect();
    states.sort();
    states
}

fn run(project: &Project, arguments: &[&str]) -> Answer {
    project.run(&[&["diabetes"], arguments].concat())
}

#[test]
fn the_first_run_deploys_and_the_second_does_nothing() {
    let project = project();
    let answer = project.tidemill(&["run", "diabetes"]).ok();
    answer.says("8 steps executed").says("deployed in this run").says("tidemill serve");
    assert!(project.has("pipelines/diabetes/out/metrics.json"));
    let metrics: Value = serde_json::from_str(&project.read("pipelines/diabetes/out/metrics.json")).unwrap();
    assert!(metrics["rmse"].as_f64().unwrap() < 60.0, "{metrics}");
    let history = project.tidemill(&["models", "history", "diabetes", "--json"]).ok().json();
    let deployed = &history["history"][2];
    assert_eq!(deployed["what"], "deployed");
    assert!(deployed["record"]["smoke"]["rows"].as_u64().unwrap() > 0, "the smoke test was made: {deployed}");
    run(&project, &[]).ok().executed(0);
    project.tidemill(&["plan", "diabetes", "--detailed-exitcode"]).exits(0);
    assert_eq!((champion(&project), versions(&project)), (1, 1));
}

#[test]
fn a_parameter_of_training_runs_training_and_what_follows() {
    let project = project();
    run(&project, &A_LITTLE_WORSE).ok().executed(8);
    // The file's own value gives a better model: it is promoted.
    run(&project, &[]).ok().executed(5);
    let expected = [
        "deploy executed",
        "evaluate executed",
        "ingest cached",
        "preprocess cached",
        "register executed",
        "train[algorithm=boosting] executed",
        "train[algorithm=ridge] executed",
        "validate cached",
    ];
    assert_eq!(states(&project), expected);
    assert_eq!((champion(&project), versions(&project)), (2, 2));
    run(&project, &[]).ok().executed(0);
}

#[test]
fn a_worse_model_does_not_replace_the_champion() {
    let project = project();
    run(&project, &[]).ok();
    let first = project.tidemill(&[&["run", "diabetes"], &WORSE[..]].concat());
    first.exits(3).says("rival.rmse").says("stopped by the gate");
    assert_eq!((champion(&project), versions(&project)), (1, 1));
    // It says so again, without running anything.
    run(&project, &WORSE).exits(3).executed(0);
    // Back to the old values.
    run(&project, &[]).ok().executed(0);
    assert_eq!((champion(&project), versions(&project)), (1, 1));
}

#[test]
fn an_old_model_is_measured_against_the_present_champion() {
    let project = project();
    run(&project, &A_LITTLE_WORSE).ok();
    run(&project, &[]).ok();
    assert_eq!(champion(&project), 2);
    run(&project, &A_LITTLE_WORSE).exits(3);
    assert_eq!(champion(&project), 2, "going back to old parameters is no way round the gate");
    run(&project, &[]).ok().executed(0);
}

#[test]
fn a_rollback_is_left_alone() {
    let project = project();
    run(&project, &A_LITTLE_WORSE).ok();
    run(&project, &[]).ok();
    project.tidemill(&["models", "rollback", "diabetes"]).ok().says("version 1").says("unhold");
    assert_eq!(champion(&project), 1);
    for _ in 0..2 {
        run(&project, &[]).ok().executed(0);
        assert_eq!((champion(&project), versions(&project)), (1, 2));
    }
    project.tidemill(&["run", "diabetes"]).ok().says("held");
    project.tidemill(&["models", "unhold", "diabetes", "2"]).ok();
    run(&project, &[]).ok().executed(2);
    assert_eq!(
        (champion(&project), versions(&project)),
        (2, 2),
        "the known version is promoted, no new one made"
    );
    run(&project, &[]).ok().executed(0);
}

#[test]
fn bad_data_stop_the_pipeline() {
    let project = project();
    run(&project, &[]).ok();
    let data = project.read("pipelines/diabetes/data/diabetes.csv");
    let mut lines: Vec<String> = data.lines().map(str::to_owned).collect();
    let (_, rest) = lines[1].split_once(',').unwrap();
    lines[1] = format!("999,{rest}");
    project.file("pipelines/diabetes/data/diabetes.csv", lines.join("\n") + "\n");
    project.tidemill(&["run", "diabetes"]).exits(1).says("validate").says("age").says("999");
    assert_eq!(champion(&project), 1);
    project.file("pipelines/diabetes/data/diabetes.csv", data);
    run(&project, &[]).ok().executed(0);
}

#[test]
fn training_is_reproducible_to_the_bit() {
    let models: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let project = project();
            run(&project, &["--until", "train"]).ok();
            for algorithm in ["ridge", "boosting"] {
                let output = format!("train[algorithm={algorithm}].model");
                project.tidemill(&["get", &output, "diabetes", "--output", algorithm]).ok();
            }
            [fs::read(project.path("ridge")).unwrap(), fs::read(project.path("boosting")).unwrap()].concat()
        })
        .collect();
    assert!(models[0] == models[1], "two trainings gave different bytes");
}

#[test]
fn a_registry_that_was_deleted_is_made_again() {
    let project = project();
    run(&project, &[]).ok();
    fs::remove_dir_all(project.state().join("registry")).unwrap();
    fs::remove_dir_all(project.state().join("endpoints")).unwrap();
    run(&project, &[]).ok();
    assert_eq!((champion(&project), versions(&project)), (1, 1));
    run(&project, &[]).ok().executed(0);
}

#[test]
fn a_champion_that_a_person_moved_is_respected() {
    let project = project();
    run(&project, &A_LITTLE_WORSE).ok();
    run(&project, &[]).ok();
    project.tidemill(&["models", "alias", "diabetes", "champion", "1"]).ok();
    let answer = project.tidemill(&["run", "diabetes"]).exits(1);
    answer.says("champion").says("version 1");
    assert_eq!(champion(&project), 1);
}
