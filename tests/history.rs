//! The history: listing, filtering and sorting runs, and comparing what came out of them.

use std::fs;

use crate::support::Project;

const PIPELINE: &str = r#"[pipeline]
name = "houses"

[params]
error = 56.1618989
rounds = 250
model.kind = "ridge"

[steps.train]
run = "echo '{\"loss\": '${matrix.fold}'}' > ${outputs.metrics}"
matrix.fold = [1, 2]
outputs.metrics = { path = "metrics.json", kind = "metrics" }

[steps.evaluate]
run = "echo '{\"rmse\": '${params.error}', \"rows\": 89, \"rival\": {\"rmse\": 60}}' > ${outputs.metrics}"
outputs.metrics = { path = "metrics.json", kind = "metrics" }
gate = "rmse < 70"

[steps.publish]
run = "echo ${params.model.kind} ${params.rounds} > ${outputs.card}"
outputs.card = "card.txt"
needs = ["evaluate"]
"#;

/// Three runs: as written, a better one of another kind, and one that the gate stops.
fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.run(&[]).ok();
    project.run(&["--set", "error=53.8564312", "--set", "model.kind=boosting"]).ok();
    project.run(&["--set", "error=71.5", "--set", "rounds=300"]).exits(3);
    project
}

/// The ids of all runs, newest first.
fn ids(project: &Project) -> Vec<String> {
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    runs["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_are_filtered_and_sorted() {
    let project = project();
    let ask = |arguments: &[&str]| project.tidemill(&[&["runs"], arguments].concat()).snapshot();
    insta::assert_snapshot!(ask(&["--columns", "outcome,evaluate.rmse,rounds,model.kind"]), @r"
    $ tidemill runs --columns outcome,evaluate.rmse,rounds,model.kind
    RUN                      OUTCOME      evaluate.rmse  params.rounds  params.model.kind
    [run]  gate closed        71.5               300  ridge
    [run]  done               53.8564            250  boosting
    [run]  done               56.1619            250  ridge
    -- exit code 0
    ");
    insta::assert_snapshot!(
        ask(&["--columns", "outcome", "--where", "evaluate.rmse < 57", "--where", "kind = ridge"]), @r"
    $ tidemill runs --columns outcome --where evaluate.rmse < 57 --where kind = ridge
    RUN                      OUTCOME
    [run]  done
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["--columns", "evaluate.rmse,train[fold=2].loss", "--sort", "rmse:desc"]), @r"
    $ tidemill runs --columns evaluate.rmse,train[fold=2].loss --sort rmse:desc
    RUN                      evaluate.rmse  train[fold=2].loss
    [run]        71.5                      2
    [run]        56.1619                   2
    [run]        53.8564                   2
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["--columns", "executed", "--where", "outcome = gate-closed"]), @r"
    $ tidemill runs --columns executed --where outcome = gate-closed
    RUN                      EXECUTED
    [run]         1
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["--columns", "run", "--where", "started > 2026-01-01", "-n", "1"]), @r"
    $ tidemill runs --columns run --where started > 2026-01-01 -n 1
    RUN
    [run]
    -- stderr
    1 of 3 runs; -n N shows more
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["--where", "rounds > 300"]), @r"
    $ tidemill runs --where rounds > 300
    no such runs
    -- exit code 0
    ");
}

#[test]
fn what_is_named_becomes_a_column() {
    let project = Project::with(PIPELINE);
    for (id, outcome, rmse, kind) in [
        ("20261120-101500-000aaaa", Some("succeeded"), 56.16, "\"ridge\""),
        ("20261120-101600-000bbbb", Some("step-failed"), 53.9, "\"boosting\""),
        ("20261121-101500-000cccc", None, 53.123, "7"),
    ] {
        record(&project, id, outcome, rmse, kind);
    }
    insta::assert_snapshot!(project.tidemill(&["runs", "houses"]).ok().snapshot(), @r"
    $ tidemill runs houses
    RUN                      STARTED               PIPELINE  OUTCOME  EXECUTED  CACHED  FAILED       TIME
    [run]  [time]  houses    died            0       0       0       [duration]
    [run]  [time]  houses    failed          1       2       0  1 min [duration]
    [run]  [time]  houses    done            1       2       0  1 min [duration]
    -- exit code 0
    ");
    let arguments = ["runs", "--where", "rmse < 56", "--sort", "model.kind"];
    insta::assert_snapshot!(project.tidemill(&arguments).ok().snapshot(), @r#"
    $ tidemill runs --where rmse < 56 --sort model.kind
    RUN                      STARTED               PIPELINE  OUTCOME  EXECUTED  CACHED  FAILED       TIME  evaluate.rmse  params.model.kind
    [run]  [time]  houses    died            0       0       0  [duration]         53.123  7
    [run]  [time]  houses    failed          1       2       0  1 min [duration]         53.9    boosting
    -- exit code 0
    "#);
    let arguments =
        ["runs", "--where", "commit = 5c2", "--where", "outcome=failed", "--sort", "rmse", "--json"];
    insta::assert_snapshot!(project.tidemill(&arguments).ok().snapshot(), @r#"
    $ tidemill runs --where commit = 5c2 --where outcome=failed --sort rmse --json
    {
      "version": 1,
      "total": 3,
      "matched": 1,
      "runs": [
        {
          "run": "[run]",
          "pipeline": "houses",
          "file": "pipeline.toml",
          "cause": "ci",
          "git": {
            "commit": "5c2f00d1e2",
            "dirty": true
          },
          "started": "[time]",
          "finished": "[time]",
          "outcome": "step-failed",
          "alive": false,
          "wall_ms": 61000,
          "counts": {
            "executed": 1,
            "cached": 2,
            "skipped": 0,
            "failed": 0,
            "blocked": 0
          },
          "values": {
            "evaluate.rmse": 53.9
          }
        }
      ]
    }
    -- exit code 0
    "#);
}

/// Writes the journal of a run that another machine made; without an outcome it died.
fn record(project: &Project, id: &str, outcome: Option<&str>, rmse: f64, kind: &str) {
    let at = format!("{}-{}-{}T10:15:00Z", &id[..4], &id[4..6], &id[6..8]);
    let mut lines = vec![
        format!(
            r#"{{"event":"run-started","version":1,"run":"{id}","pipeline":"houses","file":"pipeline.toml","cause":"ci","git":{{"commit":"5c2f00d1e2","dirty":true}},"overrides":{{}},"params":{{"model.kind":{kind}}},"steps":1}}"#
        ),
        format!(r#"{{"event":"metrics","step":"evaluate","values":{{"rmse":{rmse}}}}}"#),
    ];
    lines.extend(outcome.map(|outcome| {
        format!(
            r#"{{"event":"run-finished","outcome":"{outcome}","wall_ms":61000,"counts":{{"executed":1,"cached":2,"skipped":0,"failed":0,"blocked":0}}}}"#
        )
    }));
    let lines: Vec<String> =
        lines.iter().map(|event| format!("{{\"at\":\"{at}\",\"event\":{event}}}\n")).collect();
    project.file(&format!(".tidemill/runs/{id}/journal.jsonl"), lines.concat());
}

#[test]
fn what_cannot_be_meant_is_told() {
    let project = project();
    let wrong = |arguments: &[&str]| project.tidemill(arguments).exits(2).snapshot();
    insta::assert_snapshot!(wrong(&["runs", "--where", "rmze < 56"]), @r#"
    $ tidemill runs --where rmze < 56
    -- stderr
    error: there is no column, metric or parameter "rmze"
    hint: did you mean `evaluate.rmse`?
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "--sort", "loss"]), @r#"
    $ tidemill runs --sort loss
    -- stderr
    error: "loss" may mean several columns: train[fold=1].loss, train[fold=2].loss
    hint: name the step, as in `evaluate.rmse`
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "--columns", "nothing-like-it"]), @r#"
    $ tidemill runs --columns nothing-like-it
    -- stderr
    error: there is no column, metric or parameter "nothing-like-it"
    hint: `tidemill metrics` and `tidemill params` show those of the last run
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "--where", "evaluate.rmse"]), @r"
    $ tidemill runs --where evaluate.rmse
    -- stderr
    error: the condition `evaluate.rmse` cannot be used: write COLUMN OPERATOR VALUE, such as `evaluate.rmse < 56`
    -- exit code 2
    ");
    insta::assert_snapshot!(wrong(&["runs", "--where", "evaluate.rmse < low"]), @r#"
    $ tidemill runs --where evaluate.rmse < low
    -- stderr
    error: the condition `evaluate.rmse < low` cannot be used: "low" is no number
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "--where", "rounds > 1 and evaluate.rmse < 5 and x"]), @r"
    $ tidemill runs --where rounds > 1 and evaluate.rmse < 5 and x
    -- stderr
    error: the condition `rounds > 1 and evaluate.rmse < 5 and x` cannot be used: one condition at a time: of several `--where` all must hold; a text with `and` or `or` goes in quotes
    -- exit code 2
    ");
    insta::assert_snapshot!(wrong(&["runs", "--where", "outcome = faild"]), @r#"
    $ tidemill runs --where outcome = faild
    -- stderr
    error: the condition `outcome = faild` cannot be used: there is no outcome "faild"; did you mean `failed`?
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "--where", "started > yesterday"]), @r#"
    $ tidemill runs --where started > yesterday
    -- stderr
    error: the condition `started > yesterday` cannot be used: "yesterday" is no time: write it like `2026-11-20` or `[time]`, in UTC
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["runs", "hauses"]), @r#"
    $ tidemill runs hauses
    -- stderr
    error: there is no pipeline "hauses": it is no file, no folder with a pipeline.toml, and no pipeline of this project has that name
    hint: pipelines of this project: houses
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["metrics", "2019"]), @r#"
    $ tidemill metrics 2019
    -- stderr
    error: there is no run "2019"
    -- exit code 2
    "#);
    insta::assert_snapshot!(wrong(&["metrics", "diff", "20"]).lines().take(3).collect::<Vec<_>>().join("\n"), @r#"
    $ tidemill metrics diff 20
    -- stderr
    error: "20" may mean several runs: [run], [run], [run]
    "#);
    insta::assert_snapshot!(wrong(&["params", "diff", "--json", "--markdown"]), @r"
    $ tidemill params diff --json --markdown
    -- stderr
    error: the argument '--json' cannot be used with '--markdown'

    Usage: tidemill params diff --json [RUN]...

    For more information, try '--help'.
    -- exit code 2
    ");
}

#[test]
fn metrics_are_compared() {
    let project = project();
    let ask = |arguments: &[&str]| project.tidemill(&[&["metrics"], arguments].concat()).ok().snapshot();
    insta::assert_snapshot!(ask(&[]), @r"
    $ tidemill metrics
    METRIC               VALUE
    evaluate.rival.rmse   60
    evaluate.rmse         71.5
    evaluate.rows         89
    train[fold=1].loss     1
    train[fold=2].loss     2
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff"]), @r"
    $ tidemill metrics diff
         RUN                      STARTED               PIPELINE  OUTCOME
    old  [run]  [time]  houses    done
    new  [run]  [time]  houses    gate closed

    METRIC             OLD   NEW    CHANGE  PERCENT
    evaluate.rmse  53.8564  71.5  +17.6436    +32.8
    -- stderr
    4 the same; --all shows them
    -- exit code 0
    ");
    let ids = ids(&project);
    insta::assert_snapshot!(ask(&["diff", &ids[2], &ids[1], "--all"]), @r"
    $ tidemill metrics diff [run] [run] --all
         RUN                      STARTED               PIPELINE  OUTCOME
    old  [run]  [time]  houses    done
    new  [run]  [time]  houses    done

    METRIC                   OLD      NEW   CHANGE  PERCENT
    evaluate.rival.rmse  60       60        0           0
    evaluate.rmse        56.1619  53.8564  -2.3055     -4.1
    evaluate.rows        89       89        0           0
    train[fold=1].loss    1        1        0           0
    train[fold=2].loss    2        2        0           0
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff", &ids[2], &ids[1], "last"]), @r"
    $ tidemill metrics diff [run] [run] last
       RUN                      STARTED               PIPELINE  OUTCOME
    1  [run]  [time]  houses    done
    2  [run]  [time]  houses    done
    3  [run]  [time]  houses    gate closed

    METRIC               1        2     3
    evaluate.rmse  56.1619  53.8564  71.5
    -- stderr
    4 the same; --all shows them
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff", &ids[2], "--markdown"]), @r"
    $ tidemill metrics diff [run] --markdown
    | metric | [run] | [run] | change | percent |
    | --- | ---: | ---: | ---: | ---: |
    | `evaluate.rmse` | 56.1619 | 71.5 | +15.3381 | +27.3 |
    -- stderr
    4 the same; --all shows them
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff", &ids[0], &ids[0]]), @r"
    $ tidemill metrics diff [run] [run]
    no metric changed
    -- stderr
    5 the same; --all shows them
    -- exit code 0
    ");
    let diff = project.tidemill(&["metrics", "diff", &ids[2], &ids[1], "--json"]).ok().json();
    insta::assert_snapshot!(format!("{:#}", diff["metrics"]), @r#"
    [
      {
        "name": "evaluate.rmse",
        "step": "evaluate",
        "metric": "rmse",
        "values": [
          56.1618989,
          53.8564312
        ],
        "change": -2.305467699999994,
        "percent": -4.105038727598996
      }
    ]
    "#);
    assert_eq!(diff["unchanged"], 4);
    assert_eq!(diff["runs"][0]["run"], ids[2].as_str());
}

#[test]
fn parameters_are_compared() {
    let project = project();
    let ask = |arguments: &[&str]| project.tidemill(&[&["params"], arguments].concat()).ok().snapshot();
    insta::assert_snapshot!(ask(&[]), @r"
    $ tidemill params
    PARAM       VALUE  SET
    error       71.5   for this run
    model.kind  ridge
    rounds      300    for this run
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff"]), @r"
    $ tidemill params diff
         RUN                      STARTED               PIPELINE  OUTCOME
    old  [run]  [time]  houses    done
    new  [run]  [time]  houses    gate closed

    PARAM       OLD         NEW
    error       53.8564312  71.5
    model.kind  boosting    ridge
    rounds      250         300
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["diff", "--all", "--markdown"]), @r"
    $ tidemill params diff --all --markdown
    | param | [run] | [run] |
    | --- | --- | --- |
    | `error` | 53.8564312 | 71.5 |
    | `model.kind` | boosting | ridge |
    | `rounds` | 250 | 300 |
    -- exit code 0
    ");
    let diff = project.tidemill(&["params", "diff", "--json"]).ok().json();
    insta::assert_snapshot!(format!("{:#}", diff["params"]), @r#"
    [
      {
        "name": "error",
        "values": [
          53.8564312,
          71.5
        ]
      },
      {
        "name": "model.kind",
        "values": [
          "boosting",
          "ridge"
        ]
      },
      {
        "name": "rounds",
        "values": [
          250,
          300
        ]
      }
    ]
    "#);
    let params = project.tidemill(&["params", "last", "--json"]).ok().json();
    insta::assert_snapshot!(format!("{:#}", params["params"]), @r#"
    [
      {
        "name": "error",
        "value": 71.5,
        "set": true
      },
      {
        "name": "model.kind",
        "value": "ridge",
        "set": false
      },
      {
        "name": "rounds",
        "value": 300,
        "set": true
      }
    ]
    "#);
}

#[test]
fn before_anything_can_be_compared() {
    let project = Project::with(PIPELINE);
    let ask = |arguments: &[&str]| project.tidemill(arguments).snapshot();
    insta::assert_snapshot!(ask(&["runs", "--where", "evaluate.rmse < 56"]), @r"
    $ tidemill runs --where evaluate.rmse < 56
    no runs yet
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["metrics"]), @r"
    $ tidemill metrics
    -- stderr
    error: nothing has run in this project yet
    -- exit code 2
    ");
    insta::assert_snapshot!(ask(&["params", "diff"]), @r"
    $ tidemill params diff
    -- stderr
    error: nothing has run in this project yet
    -- exit code 2
    ");
    project.run(&[]).ok();
    insta::assert_snapshot!(ask(&["metrics", "diff"]), @r"
    $ tidemill metrics diff
    -- stderr
    error: there is no run of houses before [run] to compare it with
    hint: name the runs; `tidemill runs` lists them
    -- exit code 2
    ");
    project.run(&[]).ok();
    insta::assert_snapshot!(ask(&["metrics", "diff"]), @r"
    $ tidemill metrics diff
    no metric changed
    -- stderr
    5 the same; --all shows them
    -- exit code 0
    ");
    insta::assert_snapshot!(ask(&["params", "diff"]), @r"
    $ tidemill params diff
    no parameter changed
    -- stderr
    3 the same; --all shows them
    -- exit code 0
    ");
}

/// A run that failed before it measured anything is nothing to compare metrics with.
#[test]
fn a_run_without_metrics_is_passed_over() {
    let project = Project::with(
        r#"
        [params]
        error = 56.5

        [steps.evaluate]
        run = "echo '{\"rmse\": '${params.error}'}' > ${outputs.metrics}"
        outputs.metrics = { path = "metrics.json", kind = "metrics" }
        "#,
    );
    project.run(&[]).ok();
    project.edit("pipeline.toml", "run = \"echo", "run = \"false; echo");
    project.run(&["--set", "error=1"]).exits(1);
    project.edit("pipeline.toml", "false; echo", "echo");
    project.run(&["--set", "error=50.5"]).ok();
    let all = ids(&project);
    let compared = |kind: &str| {
        let diff = project.tidemill(&[kind, "diff", "--json"]).ok().json();
        diff["runs"][0]["run"].as_str().unwrap().to_owned()
    };
    assert_eq!(compared("metrics"), all[2]);
    assert_eq!(compared("params"), all[1]);
}

/// The index is made again when it is gone, and does not believe in runs that are.
#[test]
fn the_index_is_no_more_than_an_index() {
    let project = project();
    let all = ids(&project);
    let answer = || project.tidemill(&["runs", "--sort", "evaluate.rmse", "--json"]).ok().stdout;
    let before = answer();
    fs::remove_file(project.path(".tidemill/history.db")).unwrap();
    assert_eq!(answer(), before);
    project.file(".tidemill/history.db", "no database");
    assert_eq!(answer(), before);
    fs::remove_dir_all(project.path(&format!(".tidemill/runs/{}", all[1]))).unwrap();
    assert_eq!(ids(&project), [all[0].as_str(), all[2].as_str()]);
    project.tidemill(&["metrics", &all[1]]).exits(2);
    // Where there can be no index, the journals answer.
    fs::remove_file(project.path(".tidemill/history.db")).unwrap();
    fs::create_dir(project.path(".tidemill/history.db")).unwrap();
    assert_eq!(ids(&project), [all[0].as_str(), all[2].as_str()]);
    project.run(&[]).ok();
    assert_eq!(ids(&project).len(), 3);
}
