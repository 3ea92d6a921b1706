//! Quarantine: a bad result goes with all that was derived from it, what rests on it is told, and the next run makes it again.

use std::fs;

use serde_json::Value;

use crate::diabetes;
use crate::support::{Answer, Project};

/// Two sources, a training on one of them, its score, and a report on the other.
const PIPELINE: &str = r#"
[params]
noise = "none"

[steps.clean]
run = "COUNT(clean); cat ${inputs.raw} > ${outputs.table}; echo noise ${params.noise} >> ${outputs.table}"
inputs.raw = "raw.csv"
outputs.table = "table.csv"

[steps.train]
run = "COUNT(train); mkdir ${outputs.model}; cat ${inputs.table} > ${outputs.model}/weights; : > ${outputs.model}/empty"
inputs.table = "${clean.table}"
outputs.model = { path = "model", kind = "dir" }

[steps.score]
run = "COUNT(score); wc -c < ${inputs.model}/weights > ${outputs.metrics}"
inputs.model = "${train.model}"
outputs.metrics = "score.txt"

[steps.other]
run = "COUNT(other); cat ${inputs.raw} > ${outputs.table}"
inputs.raw = "other.csv"
outputs.table = { path = "table.csv", publish = "out.csv" }
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("raw.csv", "1\n").file("other.csv", "2\n");
    project.run_executes(4);
    project
}

fn quarantine(project: &Project, arguments: &[&str]) -> Answer {
    project.tidemill(&[&["cache", "quarantine"], arguments].concat())
}

/// The steps whose results a quarantine takes out, with `*` behind those that were named.
fn taken(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let results = json["results"].as_array().unwrap().iter();
    let mut steps: Vec<String> = results
        .map(|result| {
            let named = if result["why"]["is"] == "named" { "*" } else { "" };
            format!("{}{named}", result["step"].as_str().unwrap())
        })
        .collect();
    steps.sort();
    steps
}

/// What the last run knew of a step.
fn step(project: &Project, step: &str) -> Value {
    let shown = project.tidemill(&["show", "--json"]).ok().json();
    let steps = shown["steps"].as_array().unwrap();
    steps.iter().find(|known| known["step"] == step).unwrap().clone()
}

fn key(project: &Project, name: &str) -> String {
    step(project, name)["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_bad_result_goes_with_what_was_derived_from_it() {
    let project = project();
    let key = key(&project, "clean");
    let planned = quarantine(&project, &["--key", &key[..12], "--dry-run", "--json"]).ok();
    assert_eq!(taken(&planned), ["clean*", "score", "train"]);
    quarantine(&project, &["--key", &key, "--dry-run"]).ok().says("would quarantine 3 results").says("train");
    project.run_executes(0);

    let done = quarantine(&project, &["--key", &key, "--reason", "the sensor was wet"]).ok();
    done.says("quarantined 3 results").says("--undo 1");
    let plan = project.tidemill(&["plan"]).ok();
    plan.says("its result was quarantined: the sensor was wet").says("2 more may have to").says("1 cached");
    project
        .tidemill(&["explain", "clean"])
        .ok()
        .says("would run: its result was quarantined")
        .says("quarantined by");
    let explained = project.tidemill(&["explain", "clean", "--json"]).ok().json();
    assert_eq!(explained["steps"][0]["quarantined"]["reason"], "the sensor was wet");
    // It makes the same bytes, and what was derived from the old ones runs all the same: that was taken out too.
    project.run_executes(3);
    project.run_executes(0);
    assert_eq!(project.counts(), "clean 2, other 1, score 2, train 2");
}

#[test]
fn the_whole_answer() {
    let project = project();
    let key = key(&project, "clean");
    let arguments = |rest: &[&str]| quarantine(&project, &[&["--key", &key[..12]], rest].concat());
    insta::assert_snapshot!(arguments(&["--dry-run"]).snapshot(), @r"
    $ tidemill cache quarantine --key [digest] --dry-run
    would quarantine 3 results: 1 of key [digest], 2 derived from that
      STEP   PIPELINE  KEY           MADE                  RUN                      WHY
      clean  story     [digest]  [time]  [run]  named
      train  story     [digest]  [time]  [run]  read [digest] of clean
      score  story     [digest]  [time]  [run]  read [digest] of train

    nothing was changed: without --dry-run it is done
    -- exit code 0
    ");
    insta::assert_snapshot!(arguments(&["--reason", "the sensor was wet"]).snapshot(), @r"
    $ tidemill cache quarantine --key [digest] --reason the sensor was wet
    quarantined 3 results: 1 of key [digest], 2 derived from that
      STEP   PIPELINE  KEY           MADE                  RUN                      WHY
      clean  story     [digest]  [time]  [run]  named
      train  story     [digest]  [time]  [run]  read [digest] of clean
      score  story     [digest]  [time]  [run]  read [digest] of train

    the next run makes them again; `tidemill cache quarantine --undo 1` gives them back
    -- exit code 0
    ");
    insta::assert_snapshot!(project.tidemill(&["explain", "clean"]).snapshot(), @r"
    $ tidemill explain clean
    clean would run: its result was quarantined: the sensor was wet
      note its result was quarantined by [user] on [time]: the sensor was wet
      now  key [digest]
    -- exit code 0
    ");
    insta::assert_snapshot!(quarantine(&project, &["--undo", "1"]).snapshot(), @r"
    $ tidemill cache quarantine --undo 1
    quarantine 1 is undone: 3 results count again
    -- exit code 0
    ");
}

#[test]
fn what_a_run_made_goes_and_what_it_found_stays() {
    let project = project();
    project.run(&["--set", "noise=much"]).ok().executed(3);
    let taken_of = |run: &str| taken(&quarantine(&project, &["--run", run, "--dry-run", "--json"]).ok());
    assert_eq!(
        taken_of("last"),
        ["clean*", "score*", "train*"],
        "what it took from the cache was made by another run"
    );
    quarantine(&project, &["--run", "last"]).ok();
    project.run(&["--set", "noise=much"]).ok().executed(3);
    // The run before it is another one's business.
    project.run_executes(0);
    // A run that made nothing has nothing to take out.
    quarantine(&project, &["--run", "last"]).ok().says("made by others");
}

#[test]
fn it_is_done_once_and_can_be_undone() {
    let project = project();
    let key = key(&project, "train");
    quarantine(&project, &["--key", &key]).ok().says("quarantined 2 results");
    quarantine(&project, &["--key", &key]).ok().says("quarantined already").says_nothing_of("--undo");
    quarantine(&project, &["--list"]).ok().says(&key[..12]);
    quarantine(&project, &["--undo", "1"]).ok().says("2 results count again");
    project.run_executes(0);
    quarantine(&project, &["--undo", "1"]).exits(2).says("undone before");
    quarantine(&project, &["--undo", "7"]).exits(2).says("--list");
    let listed = quarantine(&project, &["--list", "--json"]).ok().json();
    assert_eq!(listed["quarantines"].as_array().unwrap().len(), 1);
    assert!(listed["quarantines"][0]["given_back"]["at"].is_string(), "{listed}");
}

#[test]
fn what_two_quarantines_took_out_takes_both_to_come_back() {
    let project = project();
    let [clean, train] = ["clean", "train"].map(|name| key(&project, name));
    quarantine(&project, &["--key", &train]).ok();
    quarantine(&project, &["--key", &clean]).ok().says("quarantined 1 result");
    quarantine(&project, &["--undo", "1"]).ok().says("2 stay withdrawn");
    project.run(&[]).ok().executed(3);
    let project = self::project();
    quarantine(&project, &["--key", &key(&project, "train")]).ok();
    quarantine(&project, &["--key", &key(&project, "clean")]).ok();
    quarantine(&project, &["--undo", "2"]).ok().says("1 result counts again").says("2 stay");
    quarantine(&project, &["--undo", "1"]).ok().says("2 results count again");
    project.run_executes(0);
}

#[test]
fn a_bad_data_file_is_named_by_its_digest() {
    let project = project();
    let digest = tidemill_cache::Digest::of(b"1\n").to_string();
    let done = quarantine(&project, &["--digest", &digest[..16], "--json"]).ok();
    assert_eq!(taken(&done), ["clean*", "score", "train"]);
    let weights = tidemill_cache::Digest::of(b"2\n").to_string();
    let of_other = quarantine(&project, &["--digest", &weights, "--dry-run", "--json"]).ok();
    assert_eq!(taken(&of_other), ["other*"]);
    project.run_executes(3);
}

#[test]
fn content_in_a_folder_is_found() {
    let project = project();
    let weights = tidemill_cache::Digest::of(b"1\nnoise none\n").to_string();
    let taken = taken(&quarantine(&project, &["--digest", &weights, "--dry-run", "--json"]).ok());
    assert_eq!(
        taken,
        ["clean*", "score*", "train*"],
        "it is an output of two, in a folder of one, and read by two"
    );
}

#[test]
fn what_is_not_known_is_told() {
    let project = project();
    quarantine(&project, &["--run", "19990101-000000-abcdef"]).exits(2).says("no such run");
    quarantine(&project, &["--key", "0123456789abcdef"]).exits(2).says("no result of such a key");
    quarantine(&project, &["--digest", "0123456789abcdef"]).exits(2).says("no result");
    quarantine(&project, &["--key", "ab"]).exits(2).says("too short");
    quarantine(&project, &[]).exits(2).says("--run");
    project.run_executes(0);
}

#[test]
fn gc_removes_the_content_of_what_was_taken_out() {
    let project = project();
    project.blob("1\nnoise none\n");
    quarantine(&project, &["--key", &key(&project, "clean")]).ok();
    project.tidemill(&["cache", "gc"]).ok();
    let blobs = project.state_files("objects/");
    assert!(blobs.iter().all(|path| fs::read(path).unwrap() != b"1\nnoise none\n"), "{blobs:?}");
    quarantine(&project, &["--undo", "1"]).ok();
    project.tidemill(&["cache", "verify"]).ok();
    project.run_executes(0);
    project.tidemill(&["get", "clean.table"]).exits(2).says("gone from the cache");
}

#[test]
fn what_is_remembered_of_a_large_pipeline_is_not_believed() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "echo ${matrix.part} > ${outputs.out}"
        matrix.part = [PARTS]
        outputs.out = "out"

        [steps.use]
        run = "cat ${inputs.in} > ${outputs.out}"
        matrix.part = [PARTS]
        inputs.in = "${make.out}"
        outputs.out = "out"
        "#,
    );
    let parts: Vec<String> = (0..150).map(|part| part.to_string()).collect();
    project.edit("pipeline.toml", "PARTS", &parts.join(", "));
    project.run_executes(300);
    project.run_executes(0);
    let key = key(&project, "make[part=7]");
    quarantine(&project, &["--key", &key]).ok().says("quarantined 2 results");
    project.run_executes(2);
    project.run_executes(0);
    quarantine(&project, &["--undo", "1"]).ok();
    project.run_executes(0);
}

#[test]
fn a_step_that_reads_what_is_taken_out_meanwhile_keeps_nothing() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); echo made > ${outputs.out}"
        outputs.out = "out"

        [steps.wait]
        run = "COUNT(wait); cat ${inputs.in} > ${outputs.out}; touch OUTSIDE/waits; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done"
        inputs.in = "${make.out}"
        outputs.out = "out"
        "#,
    );
    let mut run = project.start(&["run"]);
    run.until("the step waits", || project.outside("waits").exists().then_some(()));
    quarantine(
        &project,
        &["--digest", &tidemill_cache::Digest::of(b"made\n").to_string(), "--reason", "bad luck"],
    )
    .ok();
    project.outside_file("go", "");
    project
        .answer_of(run)
        .exits(1)
        .says("its input `in` was quarantined meanwhile (bad luck)")
        .says("run again");
    project.run_executes(2);
    assert_eq!(project.counts(), "make 2, wait 2");
    project.run_executes(0);
}

#[test]
fn what_an_effect_did_is_told_and_done_again() {
    let project = Project::with(
        r#"
        [steps.build]
        run = "COUNT(build); echo app > ${outputs.app}"
        outputs.app = "app.txt"

        [steps.deploy]
        run = "COUNT(deploy); cp ${inputs.app} OUTSIDE/deployed"
        inputs.app = "${build.app}"
        effect = { target = "the shop/qa", probe = "test -e OUTSIDE/deployed" }
        "#,
    );
    project.run_executes(2);
    project.run_executes(0);
    let done = quarantine(&project, &["--run", "last"]).ok();
    done.says("made by others");
    let key = key(&project, "build");
    quarantine(&project, &["--key", &key]).ok().says("story.deploy in target the shop/qa");
    project.run_executes(2);
    assert_eq!(project.counts(), "build 2, deploy 2");
    project.run_executes(0);
}

#[test]
fn models_and_endpoints_that_rest_on_it_are_told_and_marked() {
    let project = diabetes::project();
    project.run(&["diabetes"]).ok();
    let ridge = key(&project, "train[algorithm=ridge]");
    let boosting = key(&project, "train[algorithm=boosting]");
    let served = |key: &str| {
        let planned = quarantine(&project, &["--key", key, "--dry-run", "--json"]).ok().json();
        let model = &planned["models"][0];
        (model["because"].clone(), model["aliases"][0].clone(), planned["endpoints"][0]["endpoint"].clone())
    };
    // One of the two was registered; the evaluation read both.
    let because = [&ridge, &boosting].map(|key| {
        let (because, alias, endpoint) = served(key);
        assert_eq!((alias, endpoint), ("champion".into(), "diabetes".into()));
        because.as_str().unwrap().to_owned()
    });
    let (bad, spared) = if because[0] == "model" { (ridge, boosting) } else { (boosting, ridge) };
    assert!(because.contains(&"model".to_owned()) && because.contains(&"report".to_owned()), "{because:?}");

    let done = quarantine(&project, &["--key", &bad, "--reason", "trained on a broken machine"]).ok();
    let done =
        done.says("diabetes version 1 (champion): its model").says("diabetes serves version 1 of diabetes");
    done.says("tidemill models rollback diabetes");
    let mark = || project.tidemill(&["models", "show", "diabetes", "1"]).ok();
    mark().says("its model was quarantined").says("trained on a broken machine");
    project.tidemill(&["models", "list"]).ok().says("champion 1 (quarantined)");
    project.tidemill(&["models", "show", "diabetes"]).ok().says("champion, (quarantined)");
    let shown = project.tidemill(&["models", "show", "diabetes", "--json"]).ok().json();
    assert_eq!(shown["quarantined"]["1"]["because"], "model");

    // The training is sound and gives the same bytes: all is as before, and nothing is marked any more.
    project.run(&["diabetes"]).ok().executed(4);
    assert_ne!(key(&project, "evaluate"), spared);
    project.run(&["diabetes"]).ok().executed(0);
    mark().says_nothing_of("quarantined");
    project.tidemill(&["models", "list"]).ok().says("champion 1").says_nothing_of("quarantined");
    assert_eq!(
        project.tidemill(&["models", "show", "diabetes", "--json"]).ok().json()["versions"][1],
        Value::Null
    );
}

#[test]
fn a_deployed_model_outlives_the_collection_of_its_content() {
    let project = diabetes::project();
    project.run(&["diabetes"]).ok();
    quarantine(&project, &["--run", "last"]).ok();
    project.tidemill(&["cache", "gc"]).ok();
    project.tidemill(&["models", "list"]).ok().says("champion 1 (quarantined)");
    project.run(&["diabetes"]).ok().executed(8);
    project.tidemill(&["models", "list"]).ok().says("champion 1").says_nothing_of("quarantined");
}
