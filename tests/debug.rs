//! `tidemill debug`: looking into a step that failed, in its own folder and with its own variables, and leaving no trace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::diabetes;
use crate::support::Project;

const SECRET: &str = "hunter2-very-secret";

/// A step that fails half-way, between one that does not and one that waits for it.
const PIPELINE: &str = r#"
[params]
least = 2

[steps.clean]
run = "COUNT(clean); sort -u ${inputs.raw} > ${outputs.words}; head -c 200000 /dev/zero > ${outputs.big}"
inputs.raw = "data/raw.txt"
outputs.words = "words.txt"
outputs.big = "big.bin"

[steps.count]
run = """
COUNT(count)
echo counting to $LEAST
env > OUTSIDE/env
head -n 1 ${inputs.words} > half.txt
test -e OUTSIDE/fixed
echo '{"words": 2}' > ${outputs.metrics}
"""
inputs.words = "${clean.words}"
inputs.big = "${clean.big}"
inputs.large = "data/large.bin"
secrets = ["TOKEN"]
env.AUTH = "Bearer ${secrets.TOKEN}"
env.LEAST = "${params.least}"
outputs.metrics = { path = "metrics.json", kind = "metrics" }

[steps.deploy]
run = "cat ${inputs.metrics} > ${outputs.live}"
inputs.metrics = "${count.metrics}"
outputs.live = "live.txt"
"#;

fn project() -> Project {
    let mut project = Project::with(PIPELINE);
    project.file("data/raw.txt", "b\na\nb\n").file("data/large.bin", vec![7; 2 << 20]);
    project.variable("TOKEN", SECRET);
    project
}

/// A project whose step `count` has failed.
fn failed() -> Project {
    let project = project();
    project.run(&[]).exits(1);
    project
}

fn fix(project: &Project) {
    project.outside_file("fixed", "");
}

fn kept(project: &Project) -> Vec<PathBuf> {
    project.state_files("failed/")
}

#[test]
fn a_failure_is_looked_into_until_it_is_fixed() {
    let project = failed();
    insta::assert_snapshot!(project.tidemill(&["debug", "count", "--", "cat", "half.txt"]).snapshot(), @r"
    $ tidemill debug count -- cat half.txt
    a
    -- exit code 0
    ");
    project.tidemill(&["debug", "count", "--", "sh", "-c", "exit 7"]).exits(7);
    project.tidemill(&["debug", "count", "--", "sh", "-c", "kill -9 $$"]).exits(128 + 9);
    insta::assert_snapshot!(project.tidemill(&["debug", "--list"]).snapshot(), @r"
    $ tidemill debug --list
    STEP   PIPELINE  WHEN                  WHY          FOLDER
    count  story     [time]  exit code 1  .tidemill/failed/story/count/[run].2/folder
    -- exit code 0
    ");
    project.tidemill(&["debug", "count", "--", "../run.sh"]).exits(1).says("counting to 2");
    fix(&project);
    project.tidemill(&["debug", "count", "--", "../run.sh"]).ok();
    // The folder is what was repaired, not the pipeline's result.
    project.run_executes(2);
    assert_eq!(kept(&project), Vec::<PathBuf>::new());
    project.tidemill(&["debug", "--list"]).ok().says("no step folder is kept");
    project.tidemill(&["debug", "count", "--", "cat", "half.txt"]).exits(1);
}

/// The variables that a text of `env` shows, without those that every shell makes up, and the mark of the process that watches.
fn variables(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let made_up = ["PWD", "OLDPWD", "SHLVL", "_", "TIDEMILL_WARDEN"];
    pairs
        .filter(|(name, _)| !made_up.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_variables_are_those_of_the_step() {
    let mut project = failed();
    project.variable("EXTRA", "only here");
    let of_step = |project: &Project| variables(&std::fs::read_to_string(project.outside("env")).unwrap());
    let mut expected = of_step(&project);
    assert_eq!(expected["AUTH"], format!("Bearer {SECRET}"));
    let seen = variables(&project.tidemill(&["debug", "count", "--", "env"]).ok().stdout);
    // The folder was moved to where it is kept.
    assert!(seen["TMPDIR"].ends_with("/tmp") && PathBuf::from(&seen["TMPDIR"]).is_dir(), "{seen:?}");
    expected.insert("TMPDIR".to_owned(), seen["TMPDIR"].clone());
    assert_eq!(seen, expected);
    // The script takes away what a shell has added.
    project.tidemill(&["debug", "count", "--", "env", "MORE=1", "../run.sh"]).exits(1);
    assert_eq!(of_step(&project), expected);
    // In a fresh folder the ids are other ones.
    let mut fresh = variables(&project.tidemill(&["debug", "count", "--fresh", "--", "env"]).ok().stdout);
    for name in ["TMPDIR", "TIDEMILL_RUN", "TIDEMILL_ATTEMPT"] {
        fresh.insert(name.to_owned(), expected[name].clone());
    }
    assert_eq!(fresh, expected);
}

#[test]
fn the_attempt_is_shown_as_it_was_when_the_step_has_changed() {
    let project = failed();
    let debug =
        |arguments: &[&str]| project.tidemill(&[&["debug", "count", "--set", "least=5"], arguments].concat());
    debug(&["--", "sh", "-c", "echo $LEAST"])
        .ok()
        .says("2\n")
        .says("the step is not what it was then (parameter least changed: 2 → 5")
        .says("--fresh");
    assert_eq!(debug(&["--fresh", "--", "sh", "-c", "echo $LEAST; ls"]).ok().stdout, "5\ndata\ninputs\n");
    // What was made just now is gone again, and what had failed is not.
    assert!(project.state_files("debug/").is_empty());
    debug(&["--", "cat", "half.txt"]).ok().says("a\n");
}

#[test]
fn nothing_that_is_done_there_reaches_the_cache_the_project_or_the_history() {
    let project = failed();
    let spoil = "chmod u+w inputs/big/big.bin; echo x > inputs/big/big.bin; echo x > data/large.bin; ls -l data/large.bin";
    for which in [&[][..], &["--fresh"]] {
        let arguments = [&["debug", "count"], which, &["--", "sh", "-c", spoil]].concat();
        project.tidemill(&arguments).ok().says(" 2 ");
    }
    project.tidemill(&["debug", "clean", "--", "../run.sh"]).ok();
    project.tidemill(&["cache", "verify"]).ok().says("all as they should be");
    assert_eq!(std::fs::metadata(project.path("data/large.bin")).unwrap().len(), 2 << 20);
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    fix(&project);
    project.run_executes(2);
    project.run_executes(0);
}

#[test]
fn a_secret_is_not_kept() {
    let project = failed();
    let answer = project.tidemill(&["debug", "count", "--print", "--json"]).ok();
    let open = answer.json();
    assert_eq!(open["env"]["LEAST"], "2");
    assert_eq!(
        (&open["env"]["TOKEN"], &open["env"]["AUTH"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    answer.says_nothing_of(SECRET);
    project.tidemill(&["debug", "count", "--fresh", "--print"]).ok().says("TOKEN").says_nothing_of(SECRET);
    let contains = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    assert_eq!(project.state_files("").into_iter().find(contains), None);
}

#[test]
fn what_is_printed_stays_until_it_is_collected() {
    let project = project();
    project.run(&["--until", "clean"]).ok();
    for _ in 0..2 {
        project.tidemill(&["debug", "clean", "--print"]).ok();
    }
    insta::assert_snapshot!(project.tidemill(&["debug", "clean", "--print"]).snapshot(), @r"
    $ tidemill debug clean --print
    folder   [project]/.tidemill/debug/story/clean/[run].1/folder
    script   [project]/.tidemill/debug/story/clean/[run].1/run.sh
    command  printf x >> [world]/counts/clean; sort -u data/raw.txt > words.txt; head -c 200000 /dev/zero > big.bin
    env      HOME LANG PATH TIDEMILL_ATTEMPT TIDEMILL_PIPELINE TIDEMILL_PROGRAM TIDEMILL_RUN TIDEMILL_STATE TIDEMILL_STEP TMPDIR TZ
    -- exit code 0
    ");
    assert_eq!(
        project.state_files("debug/").iter().filter(|path| path.ends_with("run.sh")).count(),
        1,
        "the newest"
    );
    project.run(&[]).exits(1);
    project.tidemill(&["cache", "gc", "--dry-run"]).ok().says("2 step folders kept for debug");
    project.tidemill(&["cache", "gc"]).ok().says("2 step folders kept for debug");
    assert!(kept(&project).is_empty() && project.state_files("debug/").is_empty());
}

#[test]
fn a_step_whose_inputs_have_not_been_made_says_what_to_run_first() {
    let project = failed();
    insta::assert_snapshot!(project.tidemill(&["debug", "deploy", "--", "ls"]).snapshot(), @r"
    $ tidemill debug deploy -- ls
    -- stderr
    error: step deploy cannot be started: count has no current result (its last run gave no result)
    hint: `tidemill run --until count` makes it
    -- exit code 2
    ");
    project.tidemill(&["debug", "cleen", "--", "ls"]).exits(2).says("clean");
    project.tidemill(&["debug", "clean", "--", "not-a-program"]).exits(2).says("not-a-program");
}

#[test]
fn a_shell_needs_a_terminal() {
    let project = failed();
    insta::assert_snapshot!(project.tidemill(&["debug", "count"]).snapshot(), @r"
    $ tidemill debug count
    -- stderr
    error: there is no terminal for a shell
    hint: name a command, as in `tidemill debug STEP -- ls`, or use `--print`
    -- exit code 2
    ");
    project.tidemill(&["debug", "count", "--json"]).exits(2).says("--print");
    project.tidemill(&["debug"]).exits(2).says("STEP");
}

#[test]
fn the_newest_failure_is_kept_and_what_was_stopped_is_not() {
    let project = failed();
    project.run(&[]).exits(1);
    assert_eq!(kept(&project).iter().filter(|path| path.ends_with("attempt.json")).count(), 1);
    fix(&project);
    project.run_executes(2);
    project.edit("pipeline.toml", "head -n 1", "touch OUTSIDE/hangs; sleep 60; head -n 1");
    let outside = project.outside("").display().to_string();
    project.edit("pipeline.toml", "OUTSIDE", outside.trim_end_matches('/'));
    let mut started = project.start(&["run"]);
    started.until("the step hangs", || project.outside("hangs").exists().then_some(()));
    started.signal_group(Signal::INT);
    project.answer_of(started).exits(130);
    assert_eq!(kept(&project), Vec::<PathBuf>::new());
}

#[test]
fn not_many_are_kept_in_all() {
    let project = Project::with(
        "[steps.fit]\nmatrix.fold = [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]\n\
         run = 'echo ${matrix.fold} > half.txt; exit 1'\n",
    );
    let answer = project.tidemill(&["run", "--keep-going", "--jobs", "1"]).exits(1);
    answer.says("failed: exit code 1").says("and 12 more failures");
    let listed = project.tidemill(&["debug", "--list", "--json"]).ok().json();
    let kept = listed["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 20);
    let newest = kept[0]["step"].as_str().unwrap();
    project.tidemill(&["debug", newest, "--", "cat", "half.txt"]).ok();
}

#[test]
fn a_folder_that_someone_works_in_is_not_taken_away() {
    let project = failed();
    let (inside, go) = (project.outside("inside"), project.outside("go"));
    let wait = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.01; done; cat half.txt",
        inside.display(),
        go.display()
    );
    let mut debug = project.start(&["debug", "count", "--", "sh", "-c", &wait]);
    debug.until("the command runs", || inside.exists().then_some(()));
    fix(&project);
    project.run_executes(2);
    project.tidemill(&["cache", "gc"]).ok();
    std::fs::write(&go, "").unwrap();
    let answer = project.answer_of(debug).ok();
    assert_eq!(answer.stdout, "a\n");
    assert_eq!(kept(&project), Vec::<PathBuf>::new());
}

#[test]
fn a_built_in_step_is_looked_into_like_any_other() {
    let project = diabetes::project();
    let file = "pipelines/diabetes/pipeline.toml";
    project.edit(file, "rows = { min = 400 }", "rows = { min = 1000 }");
    let failure = project.tidemill(&["run", "diabetes"]).exits(1).says("tidemill debug validate diabetes");
    let said = project.tidemill(&["debug", "validate", "diabetes", "--", "../run.sh"]).exits(1);
    let last = said.stderr.lines().last().unwrap().to_owned();
    failure.says(&last);
    project.edit(file, "rows = { min = 1000 }", "rows = { min = 400 }");
    project.run(&["diabetes"]).ok();
    let listed = project.tidemill(&["debug", "evaluate", "diabetes", "--", "sh", "-c", "../run.sh && ls"]);
    listed.ok().says("metrics.json");
    project.tidemill(&["debug", "register", "diabetes", "--", "true"]).ok().says("changes models/diabetes");
    project.run(&["diabetes"]).ok().executed(0);
    project
        .tidemill(&["debug", "train", "diabetes", "--", "true"])
        .exits(2)
        .says("train[algorithm=boosting]");
}

/// A terminal: our end, and the one for a process.
fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    (File::from(ours), theirs.into())
}

#[test]
fn a_shell_is_opened_there() {
    let mut project = failed();
    project.variable("SHELL", "/bin/sh");
    project.variable("TERM", "dumb");
    let (mut ours, theirs) = terminal();
    let debug = project.command(&["debug", "count"], &project.root());
    // In a session of its own, with this terminal.
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .arg(debug.get_program())
        .args(debug.get_args())
        .current_dir(project.root());
    command.env_clear().envs(debug.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // The terminal ends when nobody has it open.
    drop(command);
    ours.write_all(b"echo \"[$(cat half.txt) $TIDEMILL_STEP]\"; exit 5\n").unwrap();
    let mut said = Vec::new();
    // On Linux, reading from a terminal that everyone has left is an error.
    ours.read_to_end(&mut said).ok();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    for expected in
        ["exit code 1", "inputs   big: inputs/big/big.bin", "../run.sh", "[a count]", "the folder stays"]
    {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}

#[test]
fn what_is_started_there_reaches_what_the_step_does() {
    let project = Project::with(
        "[steps.look]\nrun = \"cat ROOT/data/secret.csv > out\"\ninputs.known = \"known.txt\"\noutputs.out = \"out\"\n",
    );
    let root = project.root().to_str().unwrap().to_owned();
    project.edit("pipeline.toml", "ROOT", &root).file("known.txt", "known").file("data/secret.csv", "secret");
    project.run(&[]).exits(1);
    let secret = format!("{root}/data/secret.csv");
    for kind in [&["look"][..], &["look", "--fresh"]] {
        let debug = |arguments: &[&str]| project.tidemill(&[&["debug"][..], kind, arguments].concat());
        debug(&["--", "cat", &secret]).exits(1).says("ermission denied");
        debug(&["--", "../run.sh"]).exits(1).says("ermission denied");
        debug(&["--", "sh", "-c", "cat known.txt > $TMPDIR/x; cat $TMPDIR/x"]).ok().says("known");
        debug(&["--no-fence", "--", "cat", &secret]).ok().says("secret");
    }
    // As the pipeline says now.
    project.edit("pipeline.toml", "outputs.out", "sandbox = \"strict\"\noutputs.out");
    project
        .tidemill(&["debug", "look", "--", "ls", project.outside("").to_str().unwrap()])
        .says("ermission denied");
    project.tidemill(&["debug", "look", "--", "cat", "known.txt"]).ok().says("known");
    project.edit("pipeline.toml", "strict", "trace");
    project.tidemill(&["debug", "look", "--", "../run.sh"]).ok();
}
