//! `tidemill verify`: cached steps run again, and what does not give the same bytes is found, told and remembered.

use std::fs;

use serde_json::Value;

use crate::support::Project;

/// One step that always gives the same, and some that do not.
const PIPELINE: &str = r#"
[steps.steady]
run = "COUNT(steady); cat ${inputs.raw} > ${outputs.out}"
inputs.raw = "raw.txt"
outputs.out = "out"

[steps.bytes]
run = "COUNT(bytes); printf same > ${outputs.out}; cat OUTSIDE/byte >> ${outputs.out}; cat ${inputs.in} >> ${outputs.out}"
inputs.in = "${steady.out}"
outputs.out = "out"

[steps.tree]
run = "COUNT(tree); mkdir -p ${outputs.tree}/a; echo leaf > ${outputs.tree}/a/leaf; cat OUTSIDE/leaf > ${outputs.tree}/other"
outputs.tree = { path = "tree", kind = "dir" }

[steps.score]
run = "COUNT(score); cat OUTSIDE/score > ${outputs.metrics}"
outputs.metrics = { path = "metrics.json", kind = "metrics" }

[steps.maybe]
run = "COUNT(maybe); cp OUTSIDE/maybe ${outputs.out} || true"
outputs.out = { path = "out", optional = true }

[steps.now]
run = "COUNT(now); cat ${inputs.in}"
inputs.in = "${steady.out}"
cache = false

[steps.tell]
run = "COUNT(tell); cat ${inputs.in}"
inputs.in = "${steady.out}"
effect = true
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project
        .file("raw.txt", "raw\n")
        .outside_file("byte", "x")
        .outside_file("leaf", "1\n")
        .outside_file("maybe", "1\n");
    project.outside_file("score", r#"{"rmse": 1.5, "folds": [1.0, 2.0]}"#);
    project.run_executes(7);
    project
}

/// What is known of a step after a verification.
fn of<'a>(report: &'a Value, step: &str) -> &'a Value {
    report["steps"].as_array().unwrap().iter().find(|known| known["step"] == step).unwrap()
}

fn objects(project: &Project) -> Vec<std::path::PathBuf> {
    project.state_files("objects/")
}

#[test]
fn steps_that_give_the_same_are_told_so_and_leave_no_trace() {
    let project = project();
    let before = (objects(&project), project.state_files("results/"), project.state_files("runs/"));
    let answer = project.tidemill(&["verify", "--repeat", "3"]).ok();
    let answer = answer
        .says("same     steady")
        .says("3 times")
        .says("steady 3 of 3: the same")
        .says("5 steps gave the same, 2 were passed over");
    answer.says("passed   tell").says("effect").says("passed   now").says("cache = false");
    assert_eq!(project.counts(), "bytes 4, maybe 4, now 1, score 4, steady 4, tell 1, tree 4");
    assert_eq!((objects(&project), project.state_files("results/"), project.state_files("runs/")), before);
    assert!(project.state_files("work/").is_empty());
    project.run(&[]).ok().executed(1);
    project.tidemill(&["explain", "steady"]).ok().says("gave the same when repeated (3 repeats");
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn the_whole_answer() {
    let project = project();
    project.outside_file("byte", "y");
    let answer = |arguments: &[&str]| project.tidemill(arguments).snapshot();
    insta::assert_snapshot!(answer(&["verify", "steady", "bytes", "tell", "--jobs", "1"]), @r"
    $ tidemill verify steady bytes tell --jobs 1
      same     steady  1 time
      differs  bytes   1 of 1 time: output `out` at byte 4
      passed   tell    it is an effect, which would change its target again

    1 step gave the same, 1 differs, 1 was passed over
    -- stderr
    steady 1 of 1: the same
    bytes 1 of 1: differs: output `out` at byte 4
    -- exit code 1
    ");
    insta::assert_snapshot!(answer(&["explain", "bytes"]), @r"
    $ tidemill explain bytes
    bytes is cached: key [digest], made by run [run] on host [host], [time]
      made by [user] in [project]
      note differs when repeated: output `out` at byte 4 (1 of 1 repeat differed, last tried on [time])
    -- exit code 0
    ");
    insta::assert_snapshot!(answer(&["verify", "bytes", "tell", "--quiet", "--json"]), @r#"
    $ tidemill verify bytes tell --quiet --json
    {
      "version": 1,
      "steps": [
        {
          "step": "bytes",
          "key": "[digest]",
          "verdict": "differs",
          "repeats": 1,
          "differing": 1,
          "note": "output `out` at byte 4",
          "difference": {
            "output": "out",
            "file": null,
            "differs": "byte",
            "byte": 4
          }
        },
        {
          "step": "tell",
          "key": null,
          "verdict": "passed",
          "reason": "it is an effect, which would change its target again"
        }
      ],
      "interrupted": false
    }
    -- exit code 1
    "#);
}

#[test]
fn what_differs_is_found_told_and_remembered() {
    let project = project();
    project.outside_file("byte", "y").outside_file("leaf", "2\n");
    project.outside_file("score", r#"{"rmse": 1.5, "folds": [1.0, 2.5]}"#);
    fs::remove_file(project.outside("maybe")).unwrap();
    let before = objects(&project);
    let answer = project.tidemill(&["verify", "--repeat", "2", "--json"]).exits(1);
    let report = answer.json();
    let words = |step: &str| of(&report, step)["note"].as_str().unwrap_or_default().to_owned();
    assert_eq!(words("bytes"), "output `out` at byte 4");
    assert_eq!(words("tree"), "file `other` of output `tree` at byte 0");
    assert_eq!(words("score"), "output `metrics` at `folds[1]`: 2.0 → 2.5");
    assert_eq!(words("maybe"), "output `out` was not written again");
    let bytes = of(&report, "bytes");
    assert_eq!((&bytes["verdict"], &bytes["differing"]), (&"differs".into(), &2.into()));
    assert_eq!(bytes["difference"]["byte"], 4);
    assert_eq!(of(&report, "steady")["verdict"], "same");
    assert_eq!(objects(&project), before, "what the steps wrote is not kept");

    let plan = project.tidemill(&["plan"]).ok();
    plan.says("cached   bytes")
        .says("differs when repeated: output `out` at byte 4")
        .says("file `other` of output `tree`");
    let plan = project.tidemill(&["plan", "--json"]).ok().json();
    assert_eq!(
        of(&plan, "score")["differs"],
        "differs when repeated: output `metrics` at `folds[1]`: 2.0 → 2.5"
    );
    assert_eq!(of(&plan, "steady")["differs"], Value::Null);
    let explained = project.tidemill(&["explain", "bytes"]).ok();
    explained
        .says("is cached")
        .says("differs when repeated: output `out` at byte 4 (2 of 2 repeats differed");
    let explained = project.tidemill(&["explain", "bytes", "--json"]).ok().json();
    assert_eq!(explained["steps"][0]["repeated"]["differing"], 2);

    // Once is enough: that it gives the same the next time proves nothing.
    project.outside_file("byte", "x");
    project.tidemill(&["verify", "bytes"]).ok();
    project.tidemill(&["plan"]).ok().says("differs when repeated: output `out` at byte 4");
    // It is a fact about the key, not about the name.
    project.edit("pipeline.toml", "printf same", "printf other");
    project.tidemill(&["plan"]).ok().says("run      bytes").says_nothing_of("at byte 4");
}

#[test]
fn metrics_may_be_apart_by_a_tolerance() {
    let project = project();
    project.outside_file("score", r#"{ "rmse": 1.50000000001, "folds": [1.0, 2.0] }"#);
    project.tidemill(&["verify", "score", "--tolerance", "1e-9"]).ok().says("same     score");
    project
        .tidemill(&["verify", "score", "--tolerance", "1e-12"])
        .exits(1)
        .says("at `rmse`: 1.5 → 1.50000000001");
    project.outside_file("score", r#"{ "rmse": 1.5, "folds": [1.0, 2.0] }"#);
    // The same values, written otherwise.
    project.tidemill(&["verify", "score", "--tolerance", "0"]).ok();
    project.tidemill(&["verify", "score"]).exits(1).says("output `metrics` at byte 1");
    project.tidemill(&["verify", "score", "--tolerance", "2"]).exits(2).says("1e-9");
}

#[test]
fn a_step_without_a_result_is_passed_over_and_one_that_fails_is_told() {
    let project = project();
    project.edit("raw.txt", "raw", "other");
    let answer = project.tidemill(&["verify", "steady", "bytes"]).ok();
    answer.says("passed   steady").says("it has no cached result: input raw").says("steady has to run first");
    project.tidemill(&["verify", "stedy"]).exits(2).says("steady");
    fs::remove_file(project.outside("leaf")).unwrap();
    project.tidemill(&["verify", "tree"]).exits(1).says("failed   tree").says("exit code 1");
    assert_eq!(project.counts(), "bytes 1, maybe 1, now 1, score 1, steady 1, tell 1, tree 2");
    project.tidemill(&["plan"]).ok().says_nothing_of("differs");
}

#[test]
fn what_the_cache_lost_is_no_reason_to_be_wrong() {
    let project = project();
    fs::remove_file(project.blob("samexraw\n")).unwrap();
    project.tidemill(&["verify", "bytes"]).ok();
    project.outside_file("byte", "y");
    project.tidemill(&["verify", "bytes"]).exits(1).says("the cached bytes are gone");
    fs::remove_file(project.blob("raw\n")).unwrap();
    project.tidemill(&["verify", "bytes"]).ok().says("its input `in` is gone from the cache");
}

#[test]
fn tokens_are_held_one_at_a_time() {
    let project = Project::with(
        r#"
        [steps.alone]
        run = "mkdir OUTSIDE/lock; echo a > ${outputs.out}; sleep 0.05; rmdir OUTSIDE/lock"
        resources.tokens = { licence = 1 }
        outputs.out = "out"
        "#,
    );
    project.run_executes(1);
    project.tidemill(&["verify", "--repeat", "4", "--jobs", "4"]).ok().says("4 times");
}

#[test]
fn a_run_beside_it_leaves_its_folders_alone() {
    let project = Project::with(
        r#"
        [steps.slow]
        run = "COUNT(slow); touch OUTSIDE/begun; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done; echo slow > ${outputs.out}"
        outputs.out = "out"

        [steps.other]
        run = "echo ${params.word} > ${outputs.out}"
        outputs.out = "out"

        [params]
        word = "one"
        "#,
    );
    project.outside_file("go", "");
    project.run_executes(2);
    for name in ["go", "begun"] {
        fs::remove_file(project.outside(name)).unwrap();
    }
    let mut verify = project.start(&["verify", "slow"]);
    verify.until("the step runs", || project.outside("begun").exists().then_some(()));
    project.run(&["--set", "word=two"]).ok().executed(1);
    project.tidemill(&["cache", "gc"]).ok();
    project.outside_file("go", "");
    project.answer_of(verify).ok().says("same     slow");
}
