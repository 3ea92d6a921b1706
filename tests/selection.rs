//! Running a part: `--only`, `--from`, `--until`, `--force`, `--keep-going`, `--dry-run`.

use crate::support::Project;

const CHAIN: &str = r#"
[params]
x = 1

[steps.a]
run = "COUNT(a); echo ${params.x} > ${outputs.out}"
outputs.out = "a"

[steps.b]
run = "COUNT(b); cat ${inputs.in} > ${outputs.out}; echo b >> ${outputs.out}"
inputs.in = "${a.out}"
outputs.out = "b"

[steps.c]
run = "COUNT(c); cat ${inputs.in} > ${outputs.out}; echo c >> ${outputs.out}"
inputs.in = "${b.out}"
outputs.out = { path = "c", publish = "c.txt" }
"#;

#[test]
fn until_runs_what_a_step_needs() {
    let project = Project::with(CHAIN);
    project.run(&["--until", "b"]).ok().executed(2);
    assert_eq!(project.counts(), "a 1, b 1");
    project.run_executes(1);
}

#[test]
fn from_runs_what_depends_on_a_step() {
    let project = Project::with(CHAIN);
    project.run(&["--from", "b"]).exits(2).says("a");
    assert_eq!(project.counts(), "", "it stops before anything starts");
    project.run(&["--until", "a"]).ok();
    project.run(&["--from", "b"]).ok().executed(2);
    assert_eq!(project.counts(), "a 1, b 1, c 1");
}

#[test]
fn only_runs_one_step() {
    let project = Project::with(CHAIN);
    project.run(&["--only", "c"]).exits(2).says("has no current result");
    project.run(&["--only", "a"]).ok().executed(1);
    project.run(&["--only", "b"]).ok().executed(1);
    assert_eq!(project.counts(), "a 1, b 1");
    project.run(&["--only", "nope"]).exits(2);
}

#[test]
fn a_step_between_selected_ones_is_not_executed() {
    let project = Project::with(CHAIN);
    project.run_executes(3);
    let changed = ["--only", "a", "--only", "c", "--set", "x=2"];
    project.run(&changed).exits(1).says("b has no current result");
    assert_eq!(project.counts(), "a 2, b 1, c 1", "b was not selected, and is not as before");
    project.run(&["--only", "b", "--set", "x=2"]).ok().executed(1);
    project.run(&changed).ok().executed(1);
    assert_eq!(project.counts(), "a 2, b 2, c 2");
}

#[test]
fn force_runs_a_step_although_its_result_is_known() {
    let project = Project::with(CHAIN);
    project.run_executes(3);
    project.run(&["--force", "b"]).ok().executed(1);
    assert_eq!(project.counts(), "a 1, b 2, c 1", "the same bytes leave c alone");
    project.run_executes(0);
    project.run(&["--force", "B"]).exits(2).says("b");
}

#[test]
fn dry_run_changes_nothing() {
    let project = Project::with(CHAIN);
    project.tidemill(&["run", "--dry-run"]).ok().says("a").says("b").says("c");
    assert_eq!(project.counts(), "");
    assert!(!project.has("c.txt"));
    assert!(project.state_files("runs/").is_empty(), "it is no run");
}

#[test]
fn keep_going_finishes_independent_branches() {
    let project = Project::with(
        r#"
        [steps.bad]
        run = "COUNT(bad); exit 1"
        outputs.out = "out"

        [steps.after-bad]
        run = "COUNT(after-bad); true"
        inputs.x = "${bad.out}"

        [steps.good]
        run = "COUNT(good); echo good > ${outputs.out}"
        outputs.out = "out"
        needs = ["slow"]

        [steps.slow]
        run = "COUNT(slow); while ! grep -q x OUTSIDE/../counts/bad; do sleep 0.01; done"

        [steps.after-good]
        run = "COUNT(after-good); true"
        inputs.x = "${good.out}"
        "#,
    );
    let answer = project.run(&["--keep-going", "--jobs", "2"]).exits(1);
    assert_eq!((answer.counted("executed"), answer.counted("failed"), answer.counted("blocked")), (3, 1, 1));
    assert_eq!(project.counts(), "after-good 1, bad 1, good 1, slow 1");
}

#[test]
fn without_keep_going_nothing_new_starts_after_a_failure() {
    let project = Project::with(
        r#"
        [steps.bad]
        run = "COUNT(bad); exit 1"

        [steps.other]
        run = "COUNT(other); true"
        "#,
    );
    let answer = project.run(&["--jobs", "1"]).exits(1);
    assert_eq!((answer.counted("executed"), answer.counted("failed")), (0, 1));
    assert_eq!(project.counts(), "bad 1");
}

#[test]
fn the_number_of_jobs_is_the_number_that_run_at_once() {
    let step = |name: &str| {
        format!(
            "[steps.{name}]\nrun = \"mkdir OUTSIDE/alone; rmdir OUTSIDE/alone; echo {name} > ${{outputs.o}}\"\noutputs.o = \"o\"\n\n"
        )
    };
    let steps: String = ["a", "b", "c", "d", "e", "f"].into_iter().map(step).collect();
    let project = Project::with(&steps);
    project.run(&["--jobs", "1"]).ok().executed(6);
}
