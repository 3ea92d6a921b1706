//! What a person reads: the whole answers of an afternoon, as they appear on the screen.

use crate::support::Project;

const PIPELINE: &str = r#"[pipeline]
name = "words"

[params]
least = 2

[steps.clean]
run = "sort -u ${inputs.raw} > ${outputs.words}"
inputs.raw = "data/raw.txt"
outputs.words = "words.txt"

[steps.count]
run = "echo counting; echo '{\"words\": '$(wc -l < ${inputs.words})'}' > ${outputs.metrics}"
inputs.words = "${clean.words}"
outputs.metrics = { path = "metrics.json", kind = "metrics", publish = "metrics.json" }
gate = "words >= ${params.least}"

[steps.deploy]
run = "cat ${inputs.words} > ${outputs.live}"
inputs.words = "${clean.words}"
outputs.live = "live.txt"
needs = ["count"]
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("data/raw.txt", "b\na\nb\n");
    project
}

#[test]
fn an_afternoon() {
    let project = project();
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      run      clean   has not run yet
      maybe    count   clean runs before it
      maybe    deploy  clean runs before it

    1 step would run, 2 more may have to, 0 cached
    no forecast: none of them has run here before
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r#"
    $ tidemill run

      ran       clean  [duration]  has not run yet
                count  [duration]  has not run yet
                deploy  [duration]  has not run yet
      metrics   count: words 2
      gate      count: open
                  yes  words >= 2  (words = 2)
      published metrics.json  (count.metrics)

    done: 3 steps executed, 0 cached, [duration]  [run]
    -- stderr
    run [run] of words, 3 steps
      run      clean   has not run yet
      done     clean   [duration]
      run      count   has not run yet
      done     count   [duration]
      publish  count   metrics to metrics.json
      gate     count   open
      run      deploy  has not run yet
      done     deploy  [duration]
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r#"
    $ tidemill run

      saved     [duration] and 21 B by the cache, for 3 steps
      metrics   count: words 2
                all the same as in run [run]
      gate      count: open
                  yes  words >= 2  (words = 2)

    done: 0 steps executed, 3 cached, [duration]  [run]
    -- stderr
    run [run] of words, 3 steps
      cached   clean
      cached   count
      gate     count   open
      cached   deploy
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["run", "--set", "least=3"]).snapshot(), @r#"
    $ tidemill run --set least=3

      saved     [duration] and 17 B by the cache, for 2 steps
      metrics   count: words 2
                all the same as in run [run]
      gate      count: closed, so what follows did not run
                  NO   words >= 3  (words = 2)

    stopped by the gate: 0 steps executed, 2 cached, 1 blocked, [duration]  [run]
    -- stderr
    run [run] of words, 3 steps
      set      least = 3
      cached   clean
      cached   count
      gate     count   closed: words >= 3 is false
      blocked  deploy  by count
    -- exit code 3
    "#);
    project.file("data/raw.txt", "b\na\nc\n");
    insta::assert_snapshot!(project.tidemill(&["plan"]).snapshot(), @r#"
    $ tidemill plan
      run      clean   input raw: data/raw.txt changed  ~[duration]
      maybe    count   clean runs before it  ~[duration]
      maybe    deploy  clean runs before it  ~[duration]

    1 step would run, 2 more may have to, 0 cached
    if only what surely runs does: [forecast], 4 B to store
    if all that may run does: [forecast], 21 B to store
    -- exit code 0
    "#);
}

#[test]
fn a_step_that_fails() {
    let project = project();
    project.file("other.txt", "other");
    project.edit("pipeline.toml", "sort -u ${inputs.raw}", "echo sorting; cat ${inputs.raw} other.txt");
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r#"
    $ tidemill run

      ran       clean  [duration]  has not run yet; FAILED

    failed: 0 steps executed, 0 cached, 1 failed, 2 blocked, [duration]  [run]
    -- stderr
    run [run] of words, 3 steps
      run      clean   has not run yet
      failed   clean   exit code 1
      blocked  count   by clean
      blocked  deploy  by clean

    clean failed: exit code 1
      | sorting
      | cat: other.txt: No such file or directory
      log:    .tidemill/runs/[run]/1.log
      hint:   the step looked for `other.txt`, which exists in the project but is not declared; add it to the step: inputs.other = "other.txt"
      debug:  `tidemill debug clean` opens its folder as it was left
      blocks: count, deploy
    -- exit code 1
    "#);
}

#[test]
fn mistakes_in_the_file() {
    let project = project();
    project.edit("pipeline.toml", "inputs.raw", "inptus.raw").edit("pipeline.toml", "needs =", "neesd =");
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r#"
    $ tidemill run
    -- stderr
    unknown-reference

      × there is no step `inptus`
       ╭─[pipeline.toml:8:16]
     7 │ [steps.clean]
     8 │ run = "sort -u ${inptus.raw} > ${outputs.words}"
       ·                ──────┬──────
       ·                      ╰── unknown
     9 │ inptus.raw = "data/raw.txt"
       ╰────
      help: did you mean `${inputs.raw}`?

    unknown-field

      × there is no field `inptus` in `clean`
        ╭─[pipeline.toml:9:1]
      8 │ run = "sort -u ${inptus.raw} > ${outputs.words}"
      9 │ inptus.raw = "data/raw.txt"
        · ───┬──
        ·    ╰── unknown field
     10 │ outputs.words = "words.txt"
        ╰────
      help: did you mean `inputs`?

    unknown-field

      × there is no field `neesd` in `deploy`
        ╭─[pipeline.toml:22:1]
     21 │ outputs.live = "live.txt"
     22 │ neesd = ["count"]
        · ──┬──
        ·   ╰── unknown field
        ╰────
      help: did you mean `needs`?

    error: 3 mistakes in pipeline.toml
    hint: `tidemill explain-error unknown-reference` says more about a code
    -- exit code 2
    "#);
}

#[test]
fn a_file_of_the_users_is_moved_aside() {
    let project = project();
    project.file("metrics.json", "mine");
    insta::assert_snapshot!(project.tidemill(&["run"]).snapshot(), @r#"
    $ tidemill run

      ran       clean  [duration]  has not run yet
                count  [duration]  has not run yet
                deploy  [duration]  has not run yet
      metrics   count: words 2
      gate      count: open
                  yes  words >= 2  (words = 2)
      published metrics.json  (count.metrics)

    done: 3 steps executed, 0 cached, [duration]  [run]
    -- stderr
    run [run] of words, 3 steps
      run      clean   has not run yet
      done     clean   [duration]
      run      count   has not run yet
      done     count   [duration]
      publish  count   metrics to metrics.json; your file moved to .tidemill/displaced/[run]/metrics.json
      gate     count   open
      run      deploy  has not run yet
      done     deploy  [duration]
    -- exit code 0
    "#);
}
