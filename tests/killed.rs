//! `kill -9` in the middle of a step that appends to its output: no orphan goes on writing, the next run is right by itself.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::{Project, Started, kill_with_descendants, processes_of, signal, until_equal};

/// A step that appends three lines, and then, as long as there is a file `hang`, junk without end: itself and a child that
/// left its session.
const PIPELINE: &str = r#"
[steps.before]
run = "COUNT(before); echo zero > ${outputs.rows}"
outputs.rows = "rows.txt"

[steps.append]
run = """
COUNT(append)
cat ${inputs.rows} > ${outputs.rows}
for n in one two three; do echo $n >> ${outputs.rows}; done
if [ -e OUTSIDE/hang ]; then
  pwd > OUTSIDE/folder.new
  setsid sh -c 'while :; do echo stray >> rows.txt; echo stray >> OUTSIDE/junk; sleep 0.005; done' &
  mv OUTSIDE/folder.new OUTSIDE/folder
  while :; do echo junk >> ${outputs.rows}; echo junk >> OUTSIDE/junk; sleep 0.005; done
fi
"""
inputs.rows = "${before.rows}"
outputs.rows = { path = "rows.txt", publish = "rows.txt" }

[steps.after]
run = "COUNT(after); wc -l < ${inputs.rows} > ${outputs.lines}"
inputs.rows = "${append.rows}"
outputs.lines = { path = "lines.txt", publish = "lines.txt" }
"#;

/// A run in the middle of that step.
fn in_the_middle() -> (Project, Started) {
    let project = Project::with(PIPELINE);
    project.outside_file("hang", "");
    let mut started = project.start(&["run"]);
    started.until("the step hangs", || project.outside("folder").exists().then_some(()));
    started.until("both write", || {
        let junk = fs::read_to_string(project.outside("junk")).unwrap_or_default();
        (junk.contains("junk") && junk.contains("stray")).then_some(())
    });
    (project, started)
}

fn rows(project: &Project) -> PathBuf {
    let folder = fs::read_to_string(project.outside("folder")).unwrap();
    PathBuf::from(folder.trim_end()).join("rows.txt")
}

/// Nothing of the step lives, so nothing writes.
fn nobody_writes(project: &Project) {
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
    let size = || fs::metadata(rows(project)).map_or(0, |data| data.len());
    let before = (size(), fs::metadata(project.outside("junk")).unwrap().len());
    // Some work for the scheduler, in place of a sleep: whoever wrote every few milliseconds would have written by then.
    project.tidemill(&["runs"]).ok();
    assert_eq!((size(), fs::metadata(project.outside("junk")).unwrap().len()), before);
}

fn the_next_run_is_right(project: &Project) {
    fs::remove_file(project.outside("hang")).unwrap();
    project.run_executes(2);
    assert_eq!(project.read("rows.txt"), "zero\none\ntwo\nthree\n");
    assert_eq!(project.read("lines.txt").trim(), "4");
    assert_eq!(project.counts(), "after 1, append 2, before 1");
    until_equal("processes of the steps", &Vec::<i32>::new(), || processes_of(&project.state()));
    assert!(project.state_files("work/").is_empty(), "the dead run's step folder is gone");
    project.run_executes(0);
}

#[test]
fn the_engine_alone() {
    let (project, started) = in_the_middle();
    signal(started.pid(), Signal::KILL);
    assert_eq!(project.answer_of(started).status, 128 + 9);
    nobody_writes(&project);
    the_next_run_is_right(&project);
}

#[test]
fn the_engine_with_its_children() {
    let (project, started) = in_the_middle();
    kill_with_descendants(started.pid());
    drop(started);
    nobody_writes(&project);
    the_next_run_is_right(&project);
}

/// The worst case: whoever would have cleaned up is dead, and the step goes on. The next run ends it first.
#[test]
fn the_engine_with_whoever_watches_the_step() {
    let (project, started) = in_the_middle();
    let steps = processes_of(&project.state());
    let mut watchers: Vec<i32> = std::iter::successors(steps.first().copied(), |pid| parent(*pid)).collect();
    watchers.retain(|pid| !steps.contains(pid) && *pid != 1 && is_tidemill(*pid));
    assert!(watchers.contains(&started.pid()));
    for pid in &watchers {
        signal(*pid, Signal::STOP);
    }
    for pid in &watchers {
        signal(*pid, Signal::KILL);
    }
    drop(started);
    the_next_run_is_right(&project);
}

#[test]
fn a_dead_run_is_known_as_dead() {
    let (project, started) = in_the_middle();
    let living = project.tidemill(&["runs", "--json"]).ok().json();
    assert_eq!(
        (&living["runs"][0]["alive"], &living["runs"][0]["outcome"]),
        (&true.into(), &serde_json::Value::Null)
    );
    signal(started.pid(), Signal::KILL);
    drop(started);
    let dead = project.tidemill(&["runs", "--json"]).ok().json();
    assert_eq!(
        (&dead["runs"][0]["alive"], &dead["runs"][0]["outcome"]),
        (&false.into(), &serde_json::Value::Null)
    );
    project.tidemill(&["show"]).ok().says("append");
    project.tidemill(&["log", "append"]).ok();
}

fn parent(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|pid| *pid > 1)
}

fn is_tidemill(pid: i32) -> bool {
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_tidemill")).unwrap();
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|of| of == program)
}
