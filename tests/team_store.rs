//! A store that a team shares: what one has made the others find, only what is needed comes over, and what is not as it should be is
//! never used.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::Project;

const PIPELINE: &str = r#"
[steps.clean]
run = "COUNT(clean); tr a-z A-Z < ${inputs.raw} > ${outputs.table}"
inputs.raw = "raw.txt"
outputs.table = "table.txt"

[steps.train]
run = "COUNT(train); { echo model of; cat ${inputs.table}; echo ${params.alpha}; } > ${outputs.model}; echo '{\"rmse\": 1.5}' > ${outputs.scores}"
inputs.table = "${clean.table}"
outputs.model = { path = "model.txt", publish = "model.txt" }
outputs.scores = { path = "scores.json", kind = "metrics" }

[params]
alpha = 1
"#;

/// A project with this pipeline, whose store is a folder beside it.
fn project(pipeline: &str) -> Project {
    let project = Project::with(pipeline);
    project.file("raw.txt", "a line of data\n");
    with_store(&project, "");
    project
}

fn with_store(project: &Project, settings: &str) {
    let url = format!("[store]\nurl = \"file://{}\"\n{settings}", project.outside("store").display());
    project.file("tidemill.toml", url);
}

/// The same project on another machine: nothing is there but its files and the store.
fn elsewhere(project: &Project) -> Project {
    let other = project.checkout("elsewhere");
    fs::remove_file(other.path("model.txt")).ok();
    other
}

/// All files of the store whose path holds this.
fn in_store(project: &Project, part: &str) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path(), found),
                false => found.push(entry.path()),
            }
        }
    }
    let mut found = Vec::new();
    below(&project.outside("store"), &mut found);
    found.retain(|path| path.to_str().unwrap().contains(part));
    found.sort();
    found
}

fn bytes_in_store(project: &Project) -> u64 {
    in_store(project, "").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn what_one_has_made_the_others_find() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let second = elsewhere(&first);
    let answer = second.run_executes(0);
    assert_eq!(second.read("model.txt"), first.read("model.txt"));
    assert_eq!(second.counts(), "clean 1, train 1");
    let store = &answer.json()["store"];
    assert_eq!((store["results_found"].as_u64(), store["results_sent"].as_u64()), (Some(2), Some(0)));
    let table = "A LINE OF DATA\n";
    let has_table = |project: &Project| {
        project.state_files("objects/").iter().any(|path| fs::read(path).unwrap() == table.as_bytes())
    };
    assert!(has_table(&first) && !has_table(&second), "only what is published and measured comes over");
    // What somebody asks for comes when he asks.
    assert_eq!(second.tidemill(&["get", "clean.table", "--output", "-"]).ok().stdout, table);
    second.run_executes(0);
    second.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn what_a_step_reads_comes_when_it_runs() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let second = elsewhere(&first);
    second.edit("pipeline.toml", "alpha = 1", "alpha = 2");
    let plan = second.tidemill(&["plan", "--json"]).ok().json();
    assert_eq!(plan["forecast"]["sure"]["fetch_bytes"], 15);
    second.run_executes(1);
    assert_eq!(second.counts(), "clean 1, train 2");
    assert_eq!(second.read("model.txt"), "model of\nA LINE OF DATA\n2\n");
    // And back to the first, where nobody has made that.
    first.edit("pipeline.toml", "alpha = 1", "alpha = 2");
    first.run_executes(0);
    assert_eq!(first.read("model.txt"), second.read("model.txt"));
}

#[test]
fn results_go_by_hand_where_runs_do_not_send_them() {
    let first = project(PIPELINE);
    with_store(&first, "push = false\n");
    first.run_executes(2);
    assert_eq!(in_store(&first, "/results/").len(), 0);
    let said = first.tidemill(&["push", "--step", "clean"]).ok().stdout;
    assert!(said.starts_with("1 result sent"), "{said}");
    let said = first.tidemill(&["push"]).ok().stdout;
    assert!(said.starts_with("1 result sent") && said.contains("1 there already"), "{said}");
    assert_eq!(in_store(&first, "/results/").len(), 2);
    let said = first.tidemill(&["push", "--all"]).ok().stdout;
    assert!(said.starts_with("0 results sent"), "{said}");
    let second = elsewhere(&first);
    let pulled = second.tidemill(&["pull", "--json"]).ok().json();
    assert_eq!(pulled["steps"].as_array().unwrap().len(), 2);
    // Everything is here now: the store may go.
    fs::rename(second.outside("store"), second.outside("gone")).unwrap();
    second.run_executes(0);
    assert_eq!(second.tidemill(&["get", "clean.table", "--output", "-"]).ok().stdout, "A LINE OF DATA\n");
    assert!(second.tidemill(&["push", "--step", "trian"]).exits(2).stderr.contains("train"));
}

#[test]
fn a_store_can_be_read_only() {
    let mut first = project(PIPELINE);
    first.variable("TIDEMILL_STORE_ACCESS", "read-only");
    first.run_executes(2);
    assert_eq!(in_store(&first, "").len(), 0);
    let refused = first.tidemill(&["push"]).exits(2);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
    first.variable("TIDEMILL_STORE_ACCESS", "off");
    let refused = first.tidemill(&["push"]).exits(2);
    assert!(refused.stderr.contains("this project uses no store"), "{}", refused.stderr);
    first.variable("TIDEMILL_STORE_ACCESS", "everything");
    let refused = first.tidemill(&["runs"]).exits(2);
    assert!(refused.stderr.contains("TIDEMILL_STORE_ACCESS"), "{}", refused.stderr);
}

#[test]
fn nobody_believes_a_fork() {
    let first = project(PIPELINE);
    let mut fork = first.checkout("fork");
    fork.variable("TIDEMILL_STORE_LEVEL", "fork");
    fork.run_executes(2);
    assert_eq!(in_store(&first, "/fork/results/").len(), 2);
    let mut again = first.checkout("fork-again");
    again.variable("TIDEMILL_STORE_LEVEL", "fork");
    again.run_executes(0);
    let mut ci = first.checkout("ci");
    ci.variable("TIDEMILL_STORE_LEVEL", "ci");
    ci.run_executes(2);
    // People believe what reviewed code has made; so do forks.
    first.run_executes(0);
    assert_eq!(in_store(&first, "/dev/results/").len(), 0);
    first.edit("pipeline.toml", "alpha = 1", "alpha = 2");
    first.run_executes(1);
    assert_eq!(in_store(&first, "/dev/results/").len(), 1);
    ci.edit("pipeline.toml", "alpha = 1", "alpha = 2");
    ci.run_executes(1);
}

#[test]
fn a_store_that_is_out_of_reach_is_a_warning() {
    let mut project = project(PIPELINE);
    project.file("tidemill.toml", "[store]\nurl = \"s3://bucket/prefix\"\n");
    for (name, value) in [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-the-store"),
    ] {
        project.variable(name, value);
    }
    let answer = project.tidemill(&["run"]).ok();
    assert_eq!(answer.stderr.matches("the store cannot be reached").count(), 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("going on with what is here"), "{}", answer.stderr);
    assert!(answer.stderr.contains("`tidemill push` sends it later"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("secret-of-the-store"));
    project.run_executes(0);
    let refused = project.tidemill(&["push"]).exits(4);
    assert!(refused.stderr.contains("nothing is lost"), "{}", refused.stderr);
    project.tidemill(&["store", "status"]).exits(4);
}

#[test]
fn an_address_that_cannot_be_one_is_told_before_anything_happens() {
    let project = project(PIPELINE);
    for (settings, expected) in [
        ("url = \"ftp://host/x\"", "cannot be the address of a store"),
        ("url = \"s3://bucket/x\"\nrate_limit = \"fast\"", "20 MiB/s"),
        ("url = \"s3://bucket/x\"\nlevel = \"boss\"", "boss"),
        ("adress = \"s3://bucket/x\"", "adress"),
    ] {
        project.file("tidemill.toml", format!("[store]\n{settings}\n"));
        let refused = project.tidemill(&["run"]).exits(2);
        assert!(refused.stderr.contains(expected), "{settings}: {}", refused.stderr);
    }
    assert_eq!(project.counts(), "");
}

#[test]
fn damaged_contents_are_made_again_and_told_once() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("flipped", |pack| {
            let mut bytes = fs::read(pack).unwrap();
            bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 1);
            fs::write(pack, bytes).unwrap();
        }),
        ("cut", |pack| {
            let bytes = fs::read(pack).unwrap();
            fs::write(pack, &bytes[..20]).unwrap();
        }),
        ("emptied", |pack| fs::write(pack, "").unwrap()),
        ("removed", |pack| fs::remove_file(pack).unwrap()),
    ];
    for (name, change) in changes {
        let first = project(PIPELINE);
        first.run_executes(2);
        for pack in in_store(&first, "/packs/") {
            change(&pack);
        }
        let second = elsewhere(&first);
        let answer = second.run(&[]).ok();
        assert_eq!(second.read("model.txt"), first.read("model.txt"), "{name}");
        assert_eq!(second.counts(), "clean 2, train 2", "{name}");
        assert!(answer.stderr.matches("made again").count() <= 3, "{name}: {}", answer.stderr);
        second.tidemill(&["cache", "verify"]).ok();
        second.run_executes(0);
    }
}

#[test]
fn a_record_that_is_not_of_its_key_is_not_believed() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let records = in_store(&first, "/results/");
    let [one, other] = records.as_slice() else { panic!("{records:?}") };
    let (bytes, others) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    fs::write(one, others).unwrap();
    fs::write(other, bytes).unwrap();
    let second = elsewhere(&first);
    let answer = second.run(&[]).ok().executed(2);
    assert!(answer.stderr.contains("is damaged"), "{}", answer.stderr);
    assert_eq!(second.read("model.txt"), first.read("model.txt"));
}

#[test]
fn an_identity_of_a_newer_format_is_refused_by_name() {
    let project = project(PIPELINE);
    project.outside_file("store/tidemill-store", "{\"format\": 7, \"id\": \"x\"}");
    let refused = project.tidemill(&["store", "status"]).exits(2);
    assert!(refused.stderr.contains("format 7"), "{}", refused.stderr);
    let answer = project.run(&[]).ok().executed(2);
    assert!(answer.stderr.contains("format 7"), "{}", answer.stderr);
}

#[test]
fn what_was_appended_is_all_that_goes_over() {
    let first = Project::with(
        r#"
[steps.grow]
run = "python3 grow.py ${params.lines} ${outputs.data}"
inputs.code = "grow.py"
outputs.data = { path = "data.csv", publish = "data.csv" }

[params]
lines = 0
"#,
    );
    first.file(
        "grow.py",
        "import random, sys\nlines, path = int(sys.argv[1]), sys.argv[2]\nr = random.Random(7)\n\
         with open(path, 'wb') as out:\n    out.write(b'one line more\\n' if lines < 0 else b'')\n    \
         for _ in range(48): out.write(r.randbytes(1 << 20))\n    out.write(b'x' * max(0, lines))\n",
    );
    with_store(&first, "");
    first.run_executes(1);
    let before = bytes_in_store(&first);
    assert!(before > 48 << 20, "random bytes cannot be compressed");
    for lines in ["1000", "-1"] {
        let before = bytes_in_store(&first);
        first.run(&["--set", &format!("lines={lines}")]).ok().executed(1);
        let added = bytes_in_store(&first) - before;
        assert!(added < 5 << 20, "{added} bytes for {lines}");
    }
    let second = elsewhere(&first);
    fs::remove_file(second.path("data.csv")).ok();
    second.run(&["--set", "lines=-1"]).ok().executed(0);
    assert_eq!(fs::read(second.path("data.csv")).unwrap(), fs::read(first.path("data.csv")).unwrap());
    second.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn many_small_files_are_few_objects() {
    let first = Project::with(
        r#"
[steps.split]
run = "mkdir -p ${outputs.parts}/a/b ${outputs.parts}/empty; for i in $(seq 3000); do echo part $i > ${outputs.parts}/a/b/$i; done; chmod +x ${outputs.parts}/a/b/7; ln -s a/b/8 ${outputs.parts}/link"
outputs.parts = { path = "parts", kind = "dir", publish = "parts" }
"#,
    );
    with_store(&first, "");
    first.run_executes(1);
    let objects = in_store(&first, "");
    assert!(objects.len() <= 6, "{objects:?}");
    let second = elsewhere(&first);
    fs::remove_dir_all(second.path("parts")).ok();
    second.run_executes(0);
    assert_eq!(second.files("parts"), first.files("parts"));
    assert!(second.path("parts/empty").is_dir() && second.path("parts/link").is_symlink());
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(second.path("parts/a/b/7")).unwrap().permissions().mode() & 0o111, 0o111);
    second.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn what_was_forgotten_is_learned_again() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let second = elsewhere(&first);
    second.run_executes(0);
    for database in second.state_files("stores/") {
        fs::remove_file(database).unwrap();
    }
    assert_eq!(second.tidemill(&["get", "clean.table", "--output", "-"]).ok().stdout, "A LINE OF DATA\n");
    // A store that was made anew is another store.
    fs::remove_dir_all(first.outside("store")).unwrap();
    let said = first.tidemill(&["push"]).ok().stdout;
    assert!(said.starts_with("2 results sent"), "{said}");
    elsewhere_again(&first).run_executes(0);
}

fn elsewhere_again(project: &Project) -> Project {
    let other = project.checkout("elsewhere-again");
    fs::remove_file(other.path("model.txt")).ok();
    other
}

#[test]
fn what_is_quarantined_here_is_found_nowhere_else() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let second = elsewhere(&first);
    second.run_executes(0);
    let said = first.tidemill(&["cache", "quarantine", "--run", "last", "--reason", "a wet sensor"]).ok();
    let said = said.says("withdrawn in the store too: 2 results").stdout;
    assert!(said.contains("quarantined 2 results"), "{said}");
    elsewhere_again(&first).run_executes(2);
    // What was made again is the newer result of its key, and found by all.
    first.run_executes(0);
    assert_eq!(first.counts(), "clean 2, train 2");
}

#[test]
fn what_is_damaged_here_is_repaired_from_the_store() {
    let project = project(PIPELINE);
    project.run_executes(2);
    let blob = project.blob("A LINE OF DATA\n");
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "something else").unwrap();
    project.tidemill(&["cache", "verify", "--repair"]).exits(4).says("repaired from the store");
    project.tidemill(&["cache", "verify"]).ok();
}

#[test]
fn what_a_run_let_go_is_found_and_made_again_where_it_is_needed() {
    let first = project(&PIPELINE.replace("[steps.clean]\n", "[steps.clean]\nkeep = \"final\"\n"));
    first.run_executes(2);
    let second = elsewhere(&first);
    second.run_executes(0);
    assert_eq!(second.read("model.txt"), first.read("model.txt"));
    second.run(&["--set", "alpha=2"]).ok();
    assert_eq!(second.read("model.txt"), "model of\nA LINE OF DATA\n2\n");
}

/// Lets what lies in the store be a hundred days old.
fn let_age(project: &Project) {
    let time = SystemTime::now() - Duration::from_secs(100 * 86_400);
    for path in in_store(project, "") {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn what_nobody_used_for_long_is_removed_from_the_store() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let_age(&first);
    let size = bytes_in_store(&first);
    first.edit("pipeline.toml", "alpha = 1", "alpha = 2");
    first.run_executes(1);
    // His runs are kept, so what they refer to is.
    let kept = first.tidemill(&["store", "gc"]).ok().stdout;
    assert!(
        kept.starts_with("removed 0 results and 0 packs (0 B) of the level dev; 3 results and 2 packs"),
        "{kept}"
    );
    let second = elsewhere(&first);
    let foreseen = second.tidemill(&["store", "gc", "--dry-run"]).ok().stdout;
    assert!(foreseen.starts_with("would remove 1 result and 0 packs"), "{foreseen}");
    assert!(
        foreseen.contains("written nor used for 90 d") && foreseen.contains("  train of story ("),
        "{foreseen}"
    );
    assert_eq!(in_store(&first, "/results/").len(), 3);
    let removed = second.tidemill(&["store", "gc", "--json"]).ok().json();
    assert_eq!((&removed["removed"], &removed["results"][0]["step"]), (&true.into(), &"train".into()));
    // What the newest model was made of stays, however old it is.
    second.run_executes(0);
    assert_eq!(second.tidemill(&["get", "clean.table", "--output", "-"]).ok().stdout, "A LINE OF DATA\n");
    second.run(&["--set", "alpha=1"]).ok().executed(1);
    assert_eq!(second.read("model.txt"), "model of\nA LINE OF DATA\n1\n");
    // Of everything that is old nothing is left, and whoever has it sends it again.
    let_age(&first);
    elsewhere_again(&first).tidemill(&["store", "gc"]).ok().says("removed 3 results and 2 packs");
    assert!(bytes_in_store(&first) < size / 2);
    first.tidemill(&["push", "--all"]).ok().says("3 results sent");
    first.tidemill(&["store", "gc", "--keep-for", "soon"]).exits(2).says("30d");
}

#[test]
fn what_a_run_finds_counts_as_used() {
    let first = project(PIPELINE);
    first.run_executes(2);
    let_age(&first);
    elsewhere(&first).run_executes(0);
    let third = elsewhere_again(&first);
    third.tidemill(&["store", "gc"]).ok().says("removed 0 results");
    assert_eq!(in_store(&first, "/used/").len(), 1);
    let_age(&first);
    let mut reader = first.checkout("reader");
    reader.variable("TIDEMILL_STORE_ACCESS", "read-only");
    reader.tidemill(&["store", "gc"]).exits(2).says("read-only");
    third.tidemill(&["store", "gc"]).ok().says("removed 2 results and 1 pack");
}

#[test]
fn the_status_says_how_it_is_used_and_what_it_holds() {
    let project = project(PIPELINE);
    project.run_executes(2);
    let text = project.tidemill(&["store", "status"]).ok().stdout;
    assert!(text.contains("as dev, after each step"), "{text}");
    assert!(text.contains("dev     2 results, "), "{text}");
    assert!(text.contains("fork    0 results, 0 packs (0 B), not believed here"), "{text}");
    let json = project.tidemill(&["store", "status", "--json"]).ok().json();
    assert_eq!(json["levels"][1]["results"], 2);
}

#[test]
fn the_whole_answers() {
    let project = project(PIPELINE);
    let status = project.tidemill(&["store", "status"]).snapshot();
    // Its id is made by chance.
    let status: Vec<&str> = status.lines().filter(|line| !line.starts_with("  id ")).collect();
    insta::assert_snapshot!(status.join("\n"), @r#"
    $ tidemill store status
    file://[outside]/store
      writes  as dev, after each step
      ci      0 results, 0 packs (0 B), believed
      dev     0 results, 0 packs (0 B), believed
      fork    0 results, 0 packs (0 B), not believed here
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["pull"]).snapshot(), @r#"
    $ tidemill pull
    outputs of 0 steps are here; 0 contents fetched (52 B)
      not made yet: clean, train
    -- exit code 0
    "#);
    project.run_executes(2);
    insta::assert_snapshot!(project.tidemill(&["push"]).snapshot(), @r#"
    $ tidemill push
    0 results sent (0 B), 2 there already
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["store", "gc"]).snapshot(), @r#"
    $ tidemill store gc
    removed 0 results and 0 packs (0 B) of the level dev; 2 results and 1 pack (221 B) stay
    -- exit code 0
    "#);
    let doctor = project.tidemill(&["doctor"]).ok().stdout;
    assert!(doctor.contains("answers; it is used read-write, at the level dev"), "{doctor}");
}
