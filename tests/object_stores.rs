//! The store of a team on real object stores: S3 and Azure. What a store does is told in `team_store`; here it is the same over the wire.

use std::fs;

use crate::support::{Faults, ObjectStore, Project};

const PIPELINE: &str = r#"
[steps.make]
run = "COUNT(make); seq 200000 > ${outputs.numbers}; mkdir -p ${outputs.parts}; for i in $(seq 300); do echo $i > ${outputs.parts}/$i; done"
outputs.numbers = { path = "numbers.txt", publish = "numbers.txt" }
outputs.parts = { path = "parts", kind = "dir" }

[steps.sum]
run = "COUNT(sum); awk -v n=${params.n} '{ s += $1 } END { printf \"%.0f\\n\", s + n }' ${inputs.numbers} > ${outputs.sum}"
inputs.numbers = "${make.numbers}"
outputs.sum = { path = "sum.txt", publish = "sum.txt" }

[params]
n = 0
"#;

fn works(store: &ObjectStore, mut first: Project) {
    store.serve(&mut first);
    first.run_executes(2);
    let second = first.checkout("second");
    for published in ["numbers.txt", "sum.txt"] {
        fs::remove_file(second.path(published)).unwrap();
    }
    second.run_executes(0);
    assert_eq!(second.files(""), first.files(""));
    second.run(&["--set", "n=1"]).ok().executed(1);
    first.run(&["--set", "n=1"]).ok().executed(0);
    assert_eq!(second.read("sum.txt"), first.read("sum.txt"));
    let status = second.tidemill(&["store", "status", "--json"]).ok().json();
    assert_eq!(status["levels"][1]["results"], 3);
    second.tidemill(&["pull"]).ok();
    second.tidemill(&["cache", "verify"]).ok();
    assert_eq!(first.counts(), "make 1, sum 2");
}

#[test]
fn on_s3() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::s3(&project.outside("s3"));
    works(&store, project);
}

#[test]
fn on_azure() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::azure(&project.outside("azure"));
    works(&store, project);
}

#[test]
fn whoever_has_no_right_is_told_and_works_on() {
    let mut project = Project::with(PIPELINE);
    let store = ObjectStore::s3(&project.outside("s3"));
    store.serve(&mut project);
    project.variable("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let answer = project.tidemill(&["run"]).ok();
    assert!(answer.stderr.contains("the store refuses access"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("not-the-secret"), "{}", answer.stderr);
    let refused = project.tidemill(&["push"]).exits(4);
    assert!(refused.stderr.contains("credentials"), "{}", refused.stderr);
}

#[test]
fn the_keys_of_a_profile_are_used() {
    let mut project = Project::with(PIPELINE);
    let store = ObjectStore::s3(&project.outside("s3"));
    store.serve(&mut project);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        project.without_variable(name);
    }
    let profile = "[team]\naws_access_key_id = story\naws_secret_access_key = the-secret-of-the-story\n";
    project.file("../home/.aws/credentials", profile);
    project.variable("AWS_PROFILE", "team");
    project.run_executes(2);
    let status = project.tidemill(&["store", "status", "--json"]).ok().json();
    assert_eq!(status["levels"][1]["results"], 2);
}

/// Some rounds of two machines that change a parameter in turn, over a line that drops, delays, cuts, corrupts and repeats.
fn survives(store: &ObjectStore, mut first: Project, seed: u64) {
    store.serve(&mut first);
    let mut second = first.checkout("second");
    let faults = Faults::before(store.port, seed, 4);
    for project in [&mut first, &mut second] {
        store.serve_through(project, faults.port);
    }
    for round in 0..8 {
        for project in [&first, &second] {
            project.run(&["--set", &format!("n={round}")]).ok();
            let expected: u64 = (1..=200_000_u64).sum::<u64>() + round;
            assert_eq!(project.read("sum.txt"), format!("{expected}\n"), "seed {seed}, round {round}");
            for published in ["numbers.txt", "sum.txt"] {
                fs::remove_file(project.path(published)).unwrap();
            }
        }
        // What is here is not always asked for there: each round one of them begins anew.
        fs::remove_dir_all(second.state()).unwrap();
    }
    assert!(faults.count() > 5, "{} faults", faults.count());
    first.tidemill(&["cache", "verify"]).ok();
    // Without faults what is there is right.
    store.serve(&mut second);
    second.run(&["--set", "n=3"]).ok();
    assert_eq!(
        second.tidemill(&["pull", "--json", "--set", "n=3"]).ok().json()["lost"],
        serde_json::json!([])
    );
    second.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn a_bad_line_to_s3_costs_time_and_nothing_else() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::s3(&project.outside("s3"));
    survives(&store, project, 1);
}

#[test]
fn a_bad_line_to_azure_costs_time_and_nothing_else() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::azure(&project.outside("azure"));
    survives(&store, project, 2);
}
