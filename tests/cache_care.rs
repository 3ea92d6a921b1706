//! Looking after the cache: what it holds, whether it is sound, and collecting garbage without losing what is needed.

use std::fs;
use std::path::Path;

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [params]
        word = "one"

        [steps.make]
        run = "COUNT(make); echo word ${params.word} > ${outputs.out}; mkdir ${outputs.tree}; echo leaf ${params.word} > ${outputs.tree}/leaf"
        outputs.out = "out"
        outputs.tree = { path = "tree", kind = "dir" }

        [steps.use]
        run = "COUNT(use); cat ${inputs.in} ${inputs.tree}/leaf > ${outputs.out}"
        inputs = { in = "${make.out}", tree = "${make.tree}" }
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    project.run_executes(2);
    project
}

#[test]
fn gc_keeps_what_is_needed_to_run_nothing() {
    let project = project();
    project.tidemill(&["cache", "gc"]).ok();
    project.run_executes(0);
    fs::remove_file(project.path("out.txt")).unwrap();
    project.run_executes(0);
    assert_eq!(project.read("out.txt"), "word one\nleaf one\n");
    project.tidemill(&["get", "make.tree", "--output", "tree"]).ok();
    assert_eq!(project.read("tree/leaf"), "leaf one\n");
    assert_eq!(project.counts(), "make 1, use 1");
}

#[test]
fn gc_removes_what_only_old_runs_refer_to() {
    let project = project();
    for word in ["two", "three"] {
        project.run(&["--set", &format!("word={word}")]).ok().executed(2);
    }
    project.blob("word one\n");
    project.tidemill(&["cache", "gc", "--keep-runs", "1", "--dry-run"]).ok();
    project.blob("word one\n");
    project.tidemill(&["cache", "gc", "--keep-runs", "1"]).ok();
    let mut blobs = project.state_files("objects/");
    blobs.retain(|path| {
        fs::read_to_string(path).is_ok_and(|text| text.starts_with("word") && !text.contains("leaf"))
    });
    assert_eq!(blobs.len(), 1, "only the last run's: {blobs:?}");
    project.run(&["--set", "word=three"]).ok().executed(0);
    project.run(&["--set", "word=two"]).ok().executed(2);
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn gc_takes_nothing_from_a_run_that_lives() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "echo made > ${outputs.out}"
        outputs.out = "out"

        [steps.wait]
        run = "cat ${inputs.in} > ${outputs.out}; touch OUTSIDE/waits; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done"
        inputs.in = "${make.out}"
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    let mut run = project.start(&["run"]);
    run.until("the step waits", || project.outside("waits").exists().then_some(()));
    project.tidemill(&["cache", "gc", "--keep-runs", "0"]).ok();
    project.outside_file("go", "");
    project.answer_of(run).ok();
    assert_eq!(project.read("out.txt"), "made\n");
    project.tidemill(&["cache", "verify"]).ok();
    project.run(&[]).ok();
}

#[test]
fn verify_finds_what_is_damaged() {
    let project = project();
    project.tidemill(&["cache", "verify"]).ok();
    let blob = project.blob("word one\n");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, "word two\n").unwrap();
    let name = blob.file_name().unwrap().to_str().unwrap();
    project.tidemill(&["cache", "verify"]).exits(4).says("damaged").says(name);
    project.tidemill(&["cache", "verify"]).ok().says_nothing_of("damaged");
    project.run(&["--force", "use"]).ok();
    assert_eq!(project.read("out.txt"), "word one\nleaf one\n");
    project.tidemill(&["cache", "verify"]).ok();
}

/// Writes other bytes into a file of the cache.
fn damage(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, "damaged").unwrap();
}

#[test]
fn verify_repairs_what_the_project_has_a_copy_of() {
    let project = project();
    let (published, other) = (project.blob("word one\nleaf one\n"), project.blob("word one\n"));
    damage(&published);
    damage(&other);
    let answer = project.tidemill(&["cache", "verify", "--repair"]).exits(4);
    answer.says("2 damaged, 1 of them repaired").says("repaired from out.txt").says("by story.make");
    project.tidemill(&["cache", "verify", "--repair"]).ok().says_nothing_of("damaged");
    project.blob("word one\nleaf one\n");
    // Where the published copy was changed, it is none.
    damage(&project.blob("word one\nleaf one\n"));
    project.file("out.txt", "mine");
    let answer = project.tidemill(&["cache", "verify", "--repair", "--json"]).exits(4).json();
    let damaged = &answer["damaged"][0];
    assert_eq!((&damaged["what"], &damaged["repaired"]), (&"object".into(), &serde_json::Value::Null));
    assert_eq!(answer["steps"][damaged["path"].as_str().unwrap()][0], "story.use");
    assert_eq!(project.read("out.txt"), "mine");
    project.run(&[]).ok();
    assert_eq!(project.read("out.txt"), "word one\nleaf one\n");
    assert_eq!(project.displaced("out.txt"), "mine");
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn verify_repairs_a_published_folder() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); mkdir ${outputs.tree}; echo a > ${outputs.tree}/a; echo b > ${outputs.tree}/b"
        outputs.tree = { path = "tree", kind = "dir", publish = "out/tree" }
        "#,
    );
    project.run_executes(1);
    for blob in project.state_files("objects/") {
        damage(&blob);
    }
    let report = project.tidemill(&["cache", "verify", "--repair", "--json"]).exits(4).json();
    let from: Vec<&str> = report["damaged"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|damaged| damaged["repaired"]["path"].as_str())
        .collect();
    assert_eq!(from.len(), 3, "the listing and both files: {report}");
    fs::remove_dir_all(project.path("out")).unwrap();
    project.run_executes(0);
    assert_eq!(
        (project.read("out/tree/a"), project.read("out/tree/b")),
        ("a\n".to_owned(), "b\n".to_owned())
    );
}

#[test]
fn verify_reads_a_sample_that_a_seed_decides() {
    let project = project();
    let all = project.tidemill(&["cache", "verify", "--json"]).ok().json()["objects"].as_u64().unwrap();
    let sample = |arguments: &[&str]| {
        let answer = project.tidemill(&[&["cache", "verify", "--json"], arguments].concat()).ok().json();
        assert_eq!(answer["of_objects"], all);
        (
            answer["objects"].as_u64().unwrap(),
            answer["bytes"].as_u64().unwrap(),
            answer["seed"].as_u64().unwrap(),
        )
    };
    let (objects, bytes, seed) = sample(&["--sample", "2"]);
    assert_eq!(objects, 2);
    assert_eq!(sample(&["--sample", "2", "--seed", &seed.to_string()]), (2, bytes, seed));
    assert_eq!(sample(&["--sample", "100%"]).0, all);
    project
        .tidemill(&["cache", "verify", "--sample", "50%"])
        .ok()
        .says(&format!("of {all} contents"))
        .says("--seed ");
    project.tidemill(&["cache", "verify", "--sample", "many"]).exits(2).says("`5%`");
    for blob in project.state_files("objects/") {
        damage(&blob);
    }
    project.tidemill(&["cache", "verify", "--sample", "2"]).exits(4).says("2 damaged and removed");
}

#[test]
fn stats_tell_what_it_holds() {
    let project = project();
    let stats = project.tidemill(&["cache", "stats", "--json"]).ok().json();
    assert!(stats.is_object());
    assert!(!project.tidemill(&["cache", "stats"]).ok().stdout.is_empty());
}

#[test]
fn a_newer_format_is_refused() {
    let project = project();
    fs::write(project.state().join("version"), "999\n").unwrap();
    let answer = project.tidemill(&["run"]).says("format 999");
    assert!(answer.status == 2 || answer.status == 4, "{}", answer.transcript());
}
