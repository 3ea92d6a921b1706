//! The store of a team on real object stores: S3, Azure and `WebDAV`. What a store does is told in `team_store`; here it is the same over the wire.

use std::fs;

use crate::support::{Faults, ObjectStore, Project, until};

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
    // What one has made and nobody has used goes, when somebody collects who does not know it. Some stores count in seconds.
    second.run(&["--set", "n=3"]).ok().executed(1);
    let third = first.checkout("third");
    let collected = until("it is older than nothing", || {
        let collected = third.tidemill(&["store", "gc", "--keep-for", "0s", "--json"]).ok().json();
        (!collected["results"].as_array().unwrap().is_empty()).then_some(collected)
    });
    assert_eq!((&collected["results"][0]["step"], &collected["kept_results"]), (&"sum".into(), &3.into()));
    third.run(&["--set", "n=1"]).ok().executed(0);
    third.run(&["--set", "n=3"]).ok().executed(1);
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
fn on_webdav() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::webdav(&project.outside("webdav"));
    works(&store, project);
}

/// What is made at the same time goes into folders that are not there yet: some are made by several at once.
#[test]
fn many_at_once_make_the_folders_of_webdav() {
    let mut first = Project::with(&steps("a"));
    let store = ObjectStore::webdav(&first.outside("webdav"));
    store.serve(&mut first);
    first.tidemill(&["store", "status"]).ok();
    let second = first.checkout("second");
    second.pipeline(&steps("b"));
    let running = [&first, &second].map(|project| project.start(&["run"]));
    for (project, running) in [&first, &second].into_iter().zip(running) {
        project.answer_of(running).ok().says("24 results sent");
    }
    let status = first.tidemill(&["store", "status", "--json"]).ok().json();
    assert_eq!(status["levels"][1]["results"], 48);
}

/// A pipeline of many steps that wait for nothing.
fn steps(name: &str) -> String {
    let step = |n| {
        let name = format!("{name}{n}");
        format!("[steps.{name}]\nrun = \"echo {name} > ${{outputs.out}}\"\noutputs.out = \"{name}.txt\"\n\n")
    };
    (0..24).map(step).collect()
}

/// Whoever cannot say who he is reads in a warning why the store is not used, and what he makes stays here.
fn is_told(store: &ObjectStore, mut project: Project, secret: &str) {
    store.serve(&mut project);
    project.variable(secret, "not-the-secret");
    let answer = project.tidemill(&["run"]).ok().says("the store refuses access");
    answer.says_nothing_of("not-the-secret");
    project.tidemill(&["push"]).exits(4).says("credentials");
    store.serve(&mut project);
    project.tidemill(&["push"]).ok().says("2 results sent");
}

#[test]
fn whoever_has_no_right_on_s3_is_told_and_works_on() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::s3(&project.outside("s3"));
    is_told(&store, project, "AWS_SECRET_ACCESS_KEY");
}

#[test]
fn whoever_has_no_right_on_webdav_is_told_and_works_on() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::webdav(&project.outside("webdav"));
    is_told(&store, project, "TIDEMILL_STORE_PASSWORD");
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

#[test]
fn a_bad_line_to_webdav_costs_time_and_nothing_else() {
    let project = Project::with(PIPELINE);
    let store = ObjectStore::webdav(&project.outside("webdav"));
    survives(&store, project, 3);
}
