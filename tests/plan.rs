//! What a run would do, and why: the whole answers of `plan`, before anything runs, after a change, and for a script.

use crate::support::Project;

const PIPELINE: &str = r#"[pipeline]
name = "words"

[params]
least = 2
letters = ["a", "b", "c", "d", "e"]
deep = false

[steps.clean]
run = "sort -u ${inputs.raw} > ${outputs.words}"
inputs.raw = "data/raw.txt"
outputs.words = "words.txt"

[steps.count]
run = "echo '{\"words\": '$(wc -l < ${inputs.words})'}' > ${outputs.metrics}"
inputs.words = "${clean.words}"
outputs.metrics = { path = "metrics.json", kind = "metrics" }
gate = "words >= ${params.least}"

[steps.find]
run = "{ grep ${matrix.letter} ${inputs.words} || true; } > ${outputs.found}"
inputs.words = "${clean.words}"
outputs.found = "found.txt"
matrix.letter = "${params.letters}"

[steps.join]
run = "cat ${inputs.found}/* > ${outputs.all}"
inputs.found = { collect = "${find.found}" }
outputs.all = "all.txt"
needs = ["count"]

[steps.deep]
run = "cp ${inputs.all} ${outputs.copy}"
inputs.all = "${join.all}"
outputs.copy = "copy.txt"
when = "params.deep"
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("data/raw.txt", "b\na\nb\n");
    project
}

fn project_that_ran() -> Project {
    let project = project();
    project.run_executes(8);
    project
}

#[test]
fn a_fresh_project_has_no_history() {
    insta::assert_snapshot!(project().tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      run      clean    has not run yet
      maybe    count    clean runs before it
      maybe    find ×5  clean runs before it
      maybe    join     count runs before it
      skipped  deep     when params.deep is false

    1 step would run, 7 more may have to, 0 cached
    no forecast: none of them has run here before
    -- exit code 0
    "#);
}

#[test]
fn nothing_to_do() {
    let project = project_that_ran();
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      cached   clean
      cached   count
      cached   find ×5
      cached   join
      skipped  deep     when params.deep is false

    nothing to do, 8 cached
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--all"]).snapshot(), @r#"
    $ tidemill plan --all
      cached   clean
      cached   count
      cached   find[letter=a]
      cached   find[letter=b]
      cached   find[letter=c]
      cached   find[letter=d]
      cached   find[letter=e]
      cached   join
      skipped  deep            when params.deep is false

    nothing to do, 8 cached
    -- exit code 0
    "#);
}

#[test]
fn a_parameter_changed() {
    let project = project_that_ran();
    insta::assert_snapshot!(project.tidemill(&["plan", "--set", "letters=['a','b','c','d','e','f']"]).snapshot(), @r#"
    $ tidemill plan --set letters=['a','b','c','d','e','f']
      cached   clean
      cached   count
      cached   find ×5
      run      find[letter=f]  has not run yet  ~[duration]
      maybe    join            find[letter=f] runs before it  ~[duration]
      skipped  deep            when params.deep is false

    1 step would run, 1 more may have to, 7 cached
    if only what surely runs does: [forecast]
    if all that may run does: [forecast], 4 B to store
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--set", "deep=true"]).snapshot(), @r#"
    $ tidemill plan --set deep=true
      cached   clean
      cached   count
      cached   find ×5
      cached   join
      run      deep     has not run yet

    1 step would run, 8 cached
    no forecast: none of them has run here before
    -- exit code 0
    "#);
}

#[test]
fn an_input_changed_and_what_follows_may_find_the_same_bytes() {
    let project = project_that_ran();
    project.file("data/raw.txt", "a\nb\na\n");
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      run      clean    input raw: data/raw.txt changed  ~[duration]
      maybe    count    clean runs before it  ~[duration]
      maybe    find ×5  clean runs before it  ~[duration] each
      maybe    join     count runs before it  ~[duration]
      skipped  deep     when params.deep is false

    1 step would run, 7 more may have to, 0 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 25 B to store
    -- exit code 0
    "#);
    project.run_executes(1);
}

#[test]
fn a_closed_gate_blocks() {
    let project = project_that_ran();
    insta::assert_snapshot!(project.tidemill(&["plan", "--set", "least=3"]).snapshot(), @r#"
    $ tidemill plan --set least=3
      cached   clean
      cached   count
      cached   find ×5
      blocked  join     the gate of count says no
      skipped  deep     when params.deep is false

    nothing to do, 7 cached, 1 blocked
    -- exit code 0
    "#);
}

#[test]
fn a_part_of_it() {
    let project = project_that_ran();
    project.file("data/raw.txt", "a\nb\nc\n");
    insta::assert_snapshot!(project.tidemill(&["plan", "--until", "count"]).snapshot(), @r#"
    $ tidemill plan --until count
      run      clean  input raw: data/raw.txt changed  ~[duration]
      maybe    count  clean runs before it  ~[duration]

    1 step would run, 1 more may have to, 0 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 17 B to store
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--only", "clean", "--only", "join"]).snapshot(), @r#"
    $ tidemill plan --only clean --only join
      run      clean    input raw: data/raw.txt changed  ~[duration]
      maybe    count    not selected, so it has to be as before: clean runs before it
      maybe    find ×5  not selected, so it has to be as before: clean runs before it
      maybe    join     count runs before it  ~[duration]

    1 step would run, 7 more may have to, 0 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 8 B to store
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--from", "join"]).snapshot(), @r#"
    $ tidemill plan --from join
    -- stderr
    error: step clean has no current result (input raw: data/raw.txt changed), and the selection does not let it run
    hint: select clean too, or run the pipeline without --only/--from
    -- exit code 2
    "#);
}

#[test]
fn a_step_that_is_forced() {
    let project = project_that_ran();
    insta::assert_snapshot!(project.tidemill(&["plan", "--force", "find"]).snapshot(), @r#"
    $ tidemill plan --force find
      cached   clean
      cached   count
      run      find ×5  forced  ~[duration] each
      maybe    join     find[letter=a] runs before it  ~[duration]
      skipped  deep     when params.deep is false

    5 steps would run, 1 more may have to, 2 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 8 B to store
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--force", "clean", "--force", "count"]).snapshot(), @r#"
    $ tidemill plan --force clean --force count
      run      clean    forced  ~[duration]
      run      count    forced  ~[duration]
      maybe    find ×5  clean runs before it  ~[duration] each
      maybe    join     count runs before it  ~[duration]
      skipped  deep     when params.deep is false

    2 steps would run, 6 more may have to, 0 cached
    if only what surely runs does: [forecast], 17 B to store
    if all that may run does: [forecast], 25 B to store
    -- exit code 0
    "#);
}

#[test]
fn lost_bytes_are_brought_back_by_who_made_them() {
    let project = project_that_ran();
    std::fs::remove_file(project.blob("a\nb\n")).unwrap();
    insta::assert_snapshot!(project.tidemill(&["plan", "--force", "count"]).snapshot(), @r#"
    $ tidemill plan --force count
      run      clean    its output words is gone from the cache  ~[duration]
      run      count    forced  ~[duration]
      cached   find ×5
      maybe    join     count runs before it  ~[duration]
      skipped  deep     when params.deep is false

    2 steps would run, 1 more may have to, 5 cached
    if only what surely runs does: [forecast], 17 B to store
    if all that may run does: [forecast], 21 B to store
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["plan", "--set", "letters=['a','x']"]).snapshot(), @r#"
    $ tidemill plan --set letters=['a','x']
      run      clean           its output words is gone from the cache  ~[duration]
      cached   count
      cached   find[letter=a]
      run      find[letter=x]  has not run yet  ~[duration]
      maybe    join            find[letter=x] runs before it  ~[duration]
      skipped  deep            when params.deep is false

    2 steps would run, 1 more may have to, 2 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 8 B to store
    -- exit code 0
    "#);
}

#[test]
fn steps_that_are_the_same_run_once() {
    let step = |name: &str| {
        format!("[steps.{name}]\nrun = \"COUNT(same); echo same > out\"\noutputs.out = \"out\"\n\n")
    };
    let project = Project::with(&(step("first") + &step("second")));
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      run      first   has not run yet
      cached   second  same key as first, which runs

    1 step would run, 1 cached
    no forecast: none of them has run here before
    -- exit code 0
    "#);
    project.run_executes(1);
}

#[test]
fn without_the_index_there_is_no_history() {
    let project = project_that_ran();
    for path in project.state_files("index.db") {
        std::fs::remove_file(path).unwrap();
    }
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      cached   clean
      cached   count
      cached   find ×5
      cached   join
      skipped  deep     when params.deep is false

    nothing to do, 8 cached
    -- exit code 0
    "#);
    // But a result of the same key says what it used.
    insta::assert_snapshot!(project.tidemill(&["plan", "--force", "clean"]).snapshot(), @r#"
    $ tidemill plan --force clean
      run      clean    forced  ~[duration]
      maybe    count    clean runs before it
      maybe    find ×5  clean runs before it
      maybe    join     count runs before it
      skipped  deep     when params.deep is false

    1 step would run, 7 more may have to, 0 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: 7 steps have no history; the others [forecast], 4 B to store
    -- exit code 0
    "#);
}

#[test]
fn for_a_program() {
    let project = project_that_ran();
    project.file("data/raw.txt", "a\nb\nc\n");
    let answer = project.tidemill(&["plan", "--json", "--until", "count"]).ok();
    let mut json = answer.json();
    for step in json["steps"].as_array_mut().unwrap() {
        assert!(step["expected_ms"].is_u64());
        step["expected_ms"] = "[time]".into();
        if step["key"].is_string() {
            step["key"] = "[key]".into();
        }
    }
    for scenario in ["sure", "all"] {
        let estimate = &mut json["forecast"][scenario];
        for field in ["low", "median", "high"] {
            assert!(estimate["wall_ms"][field].as_u64().unwrap() > 0);
        }
        estimate["wall_ms"] = "[interval]".into();
        estimate["cpu_ms"] = "[time]".into();
    }
    insta::assert_snapshot!(format!("{json:#}"), @r#"
    {
      "version": 1,
      "steps": [
        {
          "step": "clean",
          "verdict": "run",
          "reason": "input raw: data/raw.txt changed",
          "key": "[key]",
          "expected_ms": "[time]"
        },
        {
          "step": "count",
          "verdict": "maybe",
          "reason": "clean runs before it",
          "key": null,
          "expected_ms": "[time]"
        }
      ],
      "forecast": {
        "sure": {
          "steps": 1,
          "unknown_steps": 0,
          "wall_ms": "[interval]",
          "cpu_ms": "[time]",
          "gpu_ms": 0,
          "fetch_bytes": 0,
          "store_bytes": 4
        },
        "all": {
          "steps": 2,
          "unknown_steps": 0,
          "wall_ms": "[interval]",
          "cpu_ms": "[time]",
          "gpu_ms": 0,
          "fetch_bytes": 0,
          "store_bytes": 17
        }
      }
    }
    "#);
    let dry = project.tidemill(&["run", "--dry-run", "--json", "--until", "count"]).ok();
    assert_eq!(dry.stdout, answer.stdout, "a dry run is a plan");
}

#[test]
fn a_script_asks_by_exit_code() {
    let project = project();
    let ask =
        |arguments: &[&str]| project.tidemill(&[&["plan", "--detailed-exitcode"], arguments].concat()).status;
    assert_eq!(ask(&[]), 2, "it has not run yet");
    project.run_executes(8);
    assert_eq!(ask(&[]), 0);
    assert_eq!(ask(&["--set", "least=3"]), 0, "a closed gate runs nothing");
    assert_eq!(ask(&["--force", "join"]), 2);
    // Every error is a 1, so that none is taken for "there is something to do".
    assert_eq!(ask(&["--set", "nonsense=1"]), 1);
    assert_eq!(ask(&["--only", "nobody"]), 1);
    assert_eq!(ask(&["no-such-pipeline"]), 1);
    assert_eq!(ask(&["--no-such-flag"]), 1);
    assert_eq!(ask(&["-C", "no-such-folder"]), 1);
    project.file("data/raw.txt", "b\na\nc\n");
    assert_eq!(ask(&["--from", "join"]), 1, "what it needs is not selected");
    assert_eq!(ask(&["--json"]), 2);
    std::fs::remove_file(project.path("data/raw.txt")).unwrap();
    assert_eq!(ask(&[]), 1, "an input is missing");
    project.edit("pipeline.toml", "[steps.clean]", "[steps.clean]\nresources.gpus = 1000");
    project.file("data/raw.txt", "b\na\n");
    assert_eq!(ask(&[]), 1, "no machine has so many");
    project.edit("pipeline.toml", "resources.gpus", "resources.gsup");
    assert_eq!(ask(&[]), 1, "the file is wrong");
    assert_eq!(project.tidemill(&["plan"]).status, 2, "without the flag an error has its usual code");
}
