//! A failed attempt is made again as often as the step says; one that takes too long is ended with all its processes.

use std::time::{Duration, Instant};

use crate::support::{Project, processes_of, until_equal};

#[test]
fn an_unsteady_step_is_tried_again() {
    let project = Project::with(
        r#"
        [steps.unsteady]
        run = "COUNT(unsteady); test ! -e leftover; touch leftover; test $(wc -c < OUTSIDE/../counts/unsteady) -ge 2; echo ok > ${outputs.text}"
        outputs.text = { path = "text", publish = "text" }
        retries = 1
        "#,
    );
    project.run_executes(1);
    assert_eq!(project.counts(), "unsteady 2");
    assert_eq!(project.read("text"), "ok\n");
    let show = project.tidemill(&["show", "--json"]).ok().json();
    assert_eq!(show["steps"][0]["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn retries_end() {
    let project = Project::with("[steps.bad]\nrun = \"COUNT(bad); exit 3\"\nretries = 1\n");
    project.run(&[]).exits(1);
    assert_eq!(project.counts(), "bad 2");
}

#[test]
fn a_step_that_takes_too_long_is_ended_with_all_its_processes() {
    let project = Project::with(
        r#"
        [steps.slow]
        run = "COUNT(slow); sleep 600 & (setsid sleep 600 &) ; sleep 600"
        timeout = "1 s"
        "#,
    );
    let began = Instant::now();
    project.run(&[]).exits(1).says("slow");
    assert!(began.elapsed() < Duration::from_secs(60));
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
    assert_eq!(project.counts(), "slow 1");
}

#[test]
fn what_a_step_leaves_running_is_ended() {
    let project = Project::with(
        r#"
        [steps.daemon]
        run = "setsid sh -c 'while :; do echo junk >> OUTSIDE/junk; sleep 0.01; done' > /dev/null 2>&1 & echo done > ${outputs.text}"
        outputs.text = "text"
        "#,
    );
    project.run_executes(1);
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
}
