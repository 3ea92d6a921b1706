//! `tidemill watch`: a change of what a pipeline reads leads to a run, and nothing else does.

use std::fs;

use rustix::process::Signal;

use crate::support::{Project, Started, until};

const PIPELINE: &str = r#"
[params]
word = "plain"

[steps.month]
run = "COUNT(month); wc -l < ${matrix.file} > ${outputs.rows}"
inputs.data = "${matrix.file}"
matrix.file = { glob = "months/*.csv" }
outputs.rows = "rows.txt"

[steps.sum]
run = "COUNT(sum); cat ${inputs.code} ${inputs.rows}/* ${inputs.images}/* | cksum > ${outputs.sum}; echo ${params.word} >> ${outputs.sum}"
inputs = { code = "code.txt", rows = { collect = "${month.rows}" }, images = "images" }
outputs.sum = { path = "sum.txt", publish = "sum.txt" }
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("code.txt", "one\n").file("images/a.png", "a").file("months/1.csv", "1\n");
    project
}

/// How each run was caused and ended, the oldest first.
fn runs(project: &Project) -> Vec<(String, String)> {
    let told = project.tidemill(&["runs", "--json"]).ok().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let runs = told["runs"].as_array().unwrap().iter().rev();
    runs.map(|run| (text(&run["cause"]), text(&run["outcome"]))).collect()
}

/// Whether a run goes on: it has told its end a moment before it lets go of all that it holds.
fn is_running(project: &Project) -> bool {
    let told = project.tidemill(&["runs", "--json"]).ok().json();
    told["runs"].as_array().unwrap().iter().any(|run| run["alive"] == true)
}

/// Waits until so many runs have ended, and none goes on.
fn until_runs(watch: &mut Started, project: &Project, number: usize) {
    watch.until(&format!("{number} runs have ended"), || {
        let runs = runs(project);
        assert!(runs.len() <= number, "{runs:?}");
        let have_ended = runs.len() == number && runs.iter().all(|(_, outcome)| !outcome.is_empty());
        (have_ended && !is_running(project)).then_some(())
    });
}

/// Ends a watch that runs nothing; what it said.
fn end(watch: Started, project: &Project) -> String {
    watch.signal_group(Signal::INT);
    let answer = project.answer_of(watch).ok();
    assert!(!answer.stderr.contains("stopping"), "nothing ran: {}", answer.stderr);
    answer.stderr
}

#[test]
fn what_changes_is_run_once_and_nothing_else_is() {
    let project = project();
    let mut watch = project.start(&["watch", "--output", "plain"]);
    until_runs(&mut watch, &project, 1);
    // What is only touched, what nobody reads, and what a run publishes.
    project
        .file("code.txt", "one\n")
        .file("notes.txt", "nobody reads this")
        .file("months/notes.md", "nor this");
    fs::remove_file(project.path("sum.txt")).unwrap();
    // An editor that writes a new file and puts it in the place of the old one.
    project.file("code.txt.tmp", "two\n");
    fs::rename(project.path("code.txt.tmp"), project.path("code.txt")).unwrap();
    until_runs(&mut watch, &project, 2);
    // One that puts the old one aside first.
    fs::rename(project.path("code.txt"), project.path("code.txt~")).unwrap();
    project.file("code.txt", "three\n");
    until_runs(&mut watch, &project, 3);
    // Many at once, in folders that were not there.
    for number in 0..200 {
        project.file(&format!("images/{}/{number}.png", number / 50), number.to_string());
    }
    until_runs(&mut watch, &project, 4);
    // A month more: only that one is read.
    project.file("months/2.csv", "1\n2\n");
    until_runs(&mut watch, &project, 5);
    // The folder is replaced by another one.
    fs::rename(project.path("images"), project.path("old")).unwrap();
    fs::create_dir(project.path("images")).unwrap();
    project.file("images/b.png", "b");
    until_runs(&mut watch, &project, 6);
    project.file("images/b.png", "c");
    until_runs(&mut watch, &project, 7);
    // The pipeline itself.
    project.edit("pipeline.toml", "plain", "another");
    until_runs(&mut watch, &project, 8);
    assert!(project.read("sum.txt").ends_with("another\n"));
    let said = end(watch, &project);
    assert!(said.contains("watching ") && said.contains("changed: months/2.csv"), "{said}");
    assert_eq!(project.counts(), "month 2, sum 8");
    assert!(runs(&project).iter().all(|run| *run == ("watch".to_owned(), "succeeded".to_owned())));
}

const WAITS: &str = r#"
[steps.slow]
run = """
COUNT(slow)
cp ${inputs.rows} OUTSIDE/begun
until [ -e OUTSIDE/go ]; do sleep 0.02; done
cp ${inputs.rows} ${outputs.o}
"""
inputs.rows = "rows.txt"
outputs.o = { path = "o.txt", publish = "o.txt" }
"#;

fn begun(project: &Project, text: &str) -> Option<()> {
    let begun = fs::read_to_string(project.outside("begun")).unwrap_or_default();
    (begun == text).then_some(())
}

#[test]
fn what_changes_while_a_run_goes_on_leads_to_one_more() {
    let project = Project::with(WAITS);
    project.file("rows.txt", "1");
    let mut watch = project.start(&["watch", "--output", "plain"]);
    watch.until("it runs", || begun(&project, "1"));
    for rows in ["2", "3", "4"] {
        project.file("rows.txt", rows);
    }
    project.outside_file("go", "");
    until("the last content is what came out", || {
        (project.has("o.txt") && project.read("o.txt") == "4").then_some(())
    });
    watch.until("nothing runs", || {
        let runs = runs(&project);
        (runs.len() == 2 && runs[1].1 == "succeeded").then_some(())
    });
    end(watch, &project);
    assert_eq!(project.counts(), "slow 2");
}

#[test]
fn a_run_is_given_up_when_its_inputs_change() {
    let project = Project::with(WAITS);
    project.file("rows.txt", "1");
    let mut watch = project.start(&["watch", "--restart", "--output", "plain"]);
    watch.until("it runs", || begun(&project, "1"));
    // The same once more is no change.
    project.file("rows.txt", "1");
    project.file("rows.txt", "2");
    watch.until("it runs with the new content", || begun(&project, "2"));
    project.outside_file("go", "");
    until_runs(&mut watch, &project, 2);
    assert_eq!(project.read("o.txt"), "2");
    let said = end(watch, &project);
    assert!(said.contains("given up, for something changed"), "{said}");
    let outcomes: Vec<String> = runs(&project).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, ["interrupted", "succeeded"]);
}

#[test]
fn mistakes_and_failures_are_waited_out() {
    let project = project();
    project.edit("pipeline.toml", "cat ${inputs.code}", "exit 3; cat ${inputs.code}");
    let mut watch = project.start(&["watch", "--output", "plain"]);
    until_runs(&mut watch, &project, 1);
    project.edit("pipeline.toml", "inputs.data = \"${matrix.file}\"", "inptus.data = \"${matrix.file}\"");
    project.edit("pipeline.toml", "exit 3; ", "");
    project.edit("pipeline.toml", "inptus", "inputs");
    until_runs(&mut watch, &project, 2);
    assert!(project.has("sum.txt"));
    let said = end(watch, &project);
    assert!(said.contains("sum failed: exit code 3"), "{said}");
}

#[test]
fn where_nobody_tells_it_is_looked_again_and_again() {
    let project = project();
    let mut watch = project.start(&["watch", "--poll", "100ms", "--output", "plain"]);
    until_runs(&mut watch, &project, 1);
    project.file("code.txt", "two\n");
    until_runs(&mut watch, &project, 2);
    assert!(end(watch, &project).contains("every 100 ms, for it was asked for"));
    // A user for whom the kernel watches no more folders.
    let program = env!("CARGO_BIN_EXE_tidemill");
    let script =
        format!("echo 2 > /proc/sys/user/max_inotify_watches && exec {program} watch --output plain");
    let mut watch = project.start_program("unshare", &["-r", "sh", "-c", &script]);
    until_runs(&mut watch, &project, 3);
    project.file("code.txt", "three\n");
    until_runs(&mut watch, &project, 4);
    let said = end(watch, &project);
    assert!(said.contains("the kernel watches no more folders for this user"), "{said}");
}

#[test]
fn the_whole_answer() {
    let project = Project::with(
        r#"
[steps.shout]
run = "tr a-z A-Z < ${inputs.word} > ${outputs.loud}"
inputs.word = "word.txt"
outputs.loud = { path = "loud.txt", publish = "out/loud.txt" }
"#,
    );
    project.file("word.txt", "one");
    let mut watch = project.start(&["watch"]);
    until_runs(&mut watch, &project, 1);
    project.file("word.txt", "two");
    until_runs(&mut watch, &project, 2);
    watch.signal_group(Signal::INT);
    insta::assert_snapshot!(project.answer_of(watch).snapshot(), @r"
    $ tidemill watch

      ran       shout  [duration]  has not run yet
      published out/loud.txt  (shout.loud)

    done: 1 step executed, 0 cached, [duration]  [run]

      ran       shout  [duration]  input word: word.txt changed
      published out/loud.txt  (shout.loud)

    done: 1 step executed, 0 cached, [duration]  [run]
    -- stderr
    watching 4 files, folders and globs; Ctrl-C ends it
    run [run] of story, 1 step
      run      shout  has not run yet
      done     shout  [duration]
      publish  shout  loud to out/loud.txt

    changed: word.txt
    run [run] of story, 1 step
      run      shout  input word: word.txt changed
      done     shout  [duration]
      publish  shout  loud to out/loud.txt
    -- exit code 0
    ");
}
