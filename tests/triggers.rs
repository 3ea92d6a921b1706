//! Runs that begin by themselves: what is due, what changed, what was fired; each leads to one run, and nothing else does.

use std::fs;

use crate::diabetes;
use crate::support::Project;

/// Two pipelines: one makes features of a folder, the other trains on what it published.
fn project() -> Project {
    let project = Project::new();
    project.file(
        "features.pipeline.toml",
        r#"
[pipeline]
name = "features"

[params]
month = 0

[steps.sum]
run = "cat ${inputs.rows} > ${outputs.sum}; echo month ${params.month} >> ${outputs.sum}"
inputs.rows = "rows.txt"
outputs.sum = { path = "sum.txt", publish = "sum.txt" }

[[triggers]]
name = "changed"
watch = "rows.*"
settle = "50 ms"

[[triggers]]
name = "nightly"
cron = "0 3 * * *"
timezone = "Europe/Berlin"

[[triggers]]
name = "arrived"
event = "com.example.month"
params = { month = "${event.data.month}" }
"#,
    );
    project.file(
        "training.pipeline.toml",
        r#"
[pipeline]
name = "training"

[steps.train]
run = "cksum < ${inputs.sum} > ${outputs.model}"
inputs.sum = "sum.txt"
outputs.model = { path = "model.txt", publish = "model.txt" }

[[triggers]]
name = "after"
run = "features"
"#,
    );
    project.file("tidemill.toml", "").file("rows.txt", "one\n");
    project
}

/// The runs of a project, the oldest first: pipeline, cause, trigger, outcome.
fn runs(project: &Project) -> Vec<String> {
    let told = project.tidemill(&["runs", "--json"]).ok().json();
    let mut runs: Vec<String> = Vec::new();
    for run in told["runs"].as_array().unwrap().iter().rev() {
        let shown = project.tidemill(&["show", run["run"].as_str().unwrap(), "--json"]).ok().json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let trigger = text(&shown["triggered"]["trigger"]);
        runs.push(format!(
            "{} {} {trigger} {}",
            text(&run["pipeline"]),
            text(&run["cause"]),
            text(&run["outcome"])
        ));
    }
    runs
}

#[test]
fn a_tick_starts_what_is_due_and_nothing_twice() {
    let project = project();
    // What was there before is no news.
    project.tidemill(&["tick"]).ok().says("nothing was due");
    assert!(runs(&project).is_empty());
    // A change leads to a run, and its end to one of the pipeline that waits for it.
    project.file("rows.txt", "one\ntwo\n");
    project.tidemill(&["tick"]).ok();
    assert_eq!(runs(&project), ["features watch changed succeeded", "training run after succeeded"]);
    assert_eq!(fs::read_to_string(project.path("sum.txt")).unwrap(), "one\ntwo\nmonth 0\n");
    // What is only touched, and what a run has published, is no change.
    project.file("rows.txt", "one\ntwo\n").file("other.txt", "nobody reads it");
    project.tidemill(&["tick"]).ok().says("nothing was due");
    // Back to what it was is a change again.
    project.file("rows.txt", "one\n");
    project.tidemill(&["tick"]).ok();
    assert_eq!(runs(&project).len(), 4);
}

#[test]
fn a_trigger_is_fired_with_the_data_of_an_event() {
    let project = project();
    let fire = |data: &str, id: &str| {
        project.tidemill(&["triggers", "fire", "arrived", "--data", data, "--id", id]).ok().says("is fired");
    };
    fire("{\"month\": 7}", "a");
    fire("{\"month\": 7}", "a");
    project.tidemill(&["tick"]).ok();
    assert_eq!(runs(&project), ["features event arrived succeeded", "training run after succeeded"]);
    assert_eq!(fs::read_to_string(project.path("sum.txt")).unwrap(), "one\nmonth 7\n");
    // The same again is known, also after another tick; something that lacks the month leads to no run.
    fire("{\"month\": 7}", "a");
    let lacks = project.tidemill(&["triggers", "fire", "arrived", "--data", "{\"year\": 7}"]).exits(2);
    assert!(lacks.stderr.contains("the event has no `event.data.month`"), "{}", lacks.stderr);
    project.tidemill(&["tick"]).ok();
    assert_eq!(runs(&project).len(), 2);
    let log = project.tidemill(&["triggers", "log"]).ok().stdout;
    assert!(log.contains("tidemill.trigger.fired a") && log.contains("succeeded"), "{log}");
    let wrong = project.tidemill(&["triggers", "fire", "arived"]).exits(2);
    assert!(wrong.stderr.contains("features#arrived"), "{}", wrong.stderr);
    project.tidemill(&["triggers", "fire", "arrived", "--data", "{"]).exits(2).says("--data is no JSON");
}

#[test]
fn triggers_are_listed_with_their_next_times() {
    let project = project();
    let list = project.tidemill(&["triggers", "list"]).ok().stdout;
    for words in [
        "nightly",
        "0 3 * * * (Europe/Berlin)",
        "a change of rows.*",
        "com.example.month",
        "a success of features",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let next = project.tidemill(&["triggers", "next", "nightly", "--count", "3"]).ok().stdout;
    assert_eq!(next.lines().count(), 4, "{next}");
    assert!(next.lines().skip(1).all(|line| line.contains(" 03:00 CE")), "{next}");
    project.tidemill(&["triggers", "next", "after"]).exits(2).says("has no schedule");
}

#[test]
fn pipelines_that_start_each_other_for_ever_are_told() {
    let project = project();
    let told =
        "features and training may start each other for ever: give a trigger of one of them a `cooldown`\n";
    let list = || project.tidemill(&["triggers", "list"]).ok().stderr;
    assert_eq!(list(), "");
    let alone = project.read("features.pipeline.toml");
    let back = format!("{alone}\n[[triggers]]\nname = \"again\"\nrun = \"training\"\n");
    project.file("features.pipeline.toml", &back);
    assert_eq!(list(), told);
    let ticked = project.tidemill(&["tick"]).ok();
    assert!(ticked.stderr.contains(told), "{}", ticked.stderr);
    project.file("features.pipeline.toml", format!("{back}cooldown = \"1 h\"\n"));
    assert_eq!(list(), "");
    project.file("features.pipeline.toml", format!("{back}enabled = false\n"));
    assert_eq!(list(), "");
}

#[test]
fn a_new_version_and_each_move_of_an_alias_lead_to_a_run() {
    let project = diabetes::project();
    let report = r#"
[pipeline]
name = "report"

[params]
version = 0
alias = "none"

[steps.write]
run = "echo ${params.alias} ${params.version} > ${outputs.out}"
outputs.out = { path = "out", publish = "report.txt" }

[[triggers]]
name = "registered"
model = "diabetes"
params = { version = "${event.data.version}" }

[[triggers]]
name = "promoted"
model = "diabetes@champion"
params = { version = "${event.data.version}", alias = "${event.data.alias}" }
"#;
    project.file("report.pipeline.toml", report);
    project.tidemill(&["tick"]).ok().says("nothing was due");
    let reported = || {
        let mut runs = runs(&project);
        runs.retain(|run| run.starts_with("report"));
        runs
    };
    // The first version of all is news too: there was none when it was looked first.
    project.run(&[&["diabetes"], &diabetes::A_LITTLE_WORSE[..]].concat()).ok();
    project.tidemill(&["tick"]).ok();
    let mut once = reported();
    once.sort();
    assert_eq!(once, ["report model promoted succeeded", "report model registered succeeded"]);
    project.tidemill(&["tick"]).ok().says("nothing was due");
    // A better one is registered and becomes the champion; then a person goes back.
    project.run(&["diabetes"]).ok();
    project.tidemill(&["tick"]).ok();
    assert_eq!(reported().len(), 4);
    project.tidemill(&["models", "rollback", "diabetes"]).ok();
    project.tidemill(&["tick"]).ok();
    assert_eq!(reported()[4..], ["report model promoted succeeded"]);
    assert_eq!(project.read("report.txt"), "champion 1\n");
    let log = project.tidemill(&["triggers", "log"]).ok().stdout;
    for id in ["tidemill.model.registered diabetes/2", "tidemill.model.moved diabetes@champion/3"] {
        assert!(log.contains(id), "{id}: {log}");
    }
}

#[test]
fn a_run_that_a_trigger_starts_says_so_and_its_failure_is_the_tick_s() {
    let project = project();
    project.tidemill(&["tick"]).ok();
    project.edit("features.pipeline.toml", "cat ${inputs.rows}", "exit 3; cat ${inputs.rows}");
    project.file("rows.txt", "two\n");
    let failed = project.tidemill(&["tick"]).exits(1);
    assert!(failed.stderr.contains("features#changed: run"), "{}", failed.stderr);
    let shown = project.tidemill(&["show", "last"]).ok().stdout;
    assert!(shown.contains("watch (trigger changed)"), "{shown}");
    // A pipeline that cannot be read starts nothing, and a clock that ticks is told.
    project.edit("features.pipeline.toml", "exit 3; cat", "cat ${inputs.none}");
    project.file("rows.txt", "three\n");
    let failed = project.tidemill(&["tick"]).exits(2);
    assert!(
        failed.stderr.contains("features.pipeline.toml cannot be used, and starts nothing"),
        "{}",
        failed.stderr
    );
}

#[test]
fn two_cannot_answer_the_triggers_of_one_project() {
    let project = project();
    let mut daemon = project.start(&["daemon", "--port", "0", "--ready-file", "ready"]);
    daemon.until("it listens", || project.path("ready").exists().then_some(()));
    project.tidemill(&["tick"]).exits(2).says("another process answers the triggers of this project");
    daemon.signal_group(rustix::process::Signal::TERM);
    project.answer_of(daemon).ok();
    project.tidemill(&["tick"]).ok();
}
