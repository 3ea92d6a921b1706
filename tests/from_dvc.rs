//! Coming from DVC: a translated pipeline runs, and leaves the project as the stages' own commands leave it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::Project;

/// A project with the files of `tests/dvc/<name>`.
fn project(name: &str) -> Project {
    let project = Project::in_folder(name);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dvc").join(name), &project.root());
    project
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::write(&target, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

/// Runs the commands as DVC would, one after another, each in its folder of the project.
fn by_hand(project: &Project, commands: &[(&str, &str)]) {
    for (folder, command) in commands {
        let mut shell = Command::new("sh");
        shell.args(["-euc", command]).current_dir(project.path(folder)).env("PYTHONDONTWRITEBYTECODE", "1");
        assert!(shell.env("GREETING", "hello").status().unwrap().success(), "{command}");
    }
}

/// Translates, runs, and compares with what the commands leave behind.
#[track_caller]
fn is_as_by_hand(name: &str, commands: &[(&str, &str)]) -> Project {
    let mut translated = project(name);
    translated.variable("GREETING", "hello");
    translated.tidemill(&["init", "--from", "dvc.yaml"]).ok();
    translated.tidemill(&["run", "--keep-going"]).ok();
    let hand = project(name);
    by_hand(&hand, commands);
    let mut files = translated.files("");
    files.retain(|path, _| !path.starts_with("pipeline.toml") && !path.starts_with("pipeline.schema.json"));
    let expected = hand.files("");
    let (names, expected_names): (Vec<_>, Vec<_>) = (files.keys().collect(), expected.keys().collect());
    assert_eq!(names, expected_names);
    for (path, bytes) in &files {
        assert_eq!(
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&expected[path]),
            "{}",
            path.display()
        );
    }
    translated
}

#[test]
fn the_pipeline_of_a_first_lesson() {
    let project = is_as_by_hand(
        "get-started",
        &[
            ("", "python3 src/prepare.py data/data.xml"),
            ("", "python3 src/featurization.py data/prepared data/features"),
            ("", "python3 src/train.py data/features model.pkl"),
            ("", "python3 src/evaluate.py model.pkl data/features"),
        ],
    );
    let metrics: serde_json::Value = serde_json::from_str(&project.read("eval/metrics.json")).unwrap();
    let record = project.tidemill(&["show", "--json"]).ok();
    assert!(record.stdout.contains(&metrics["test"]["accuracy"].to_string()), "{}", record.transcript());
    let curve = project.tidemill(&["get", "evaluate-plots.plot-2", "--output", "-"]).ok().json();
    assert_eq!(curve["encoding"]["x"]["field"], "fpr");
    assert!(curve["data"]["values"].as_array().unwrap().len() > 3);
    project.run_executes(0);
    project.edit("params.yaml", "smooth: 1.0", "smooth: 2.0");
    // The file is an input of three steps; the first two make the same again, and the model is another one.
    project.run(&[]).ok().executed(6);
}

#[test]
fn stages_that_are_repeated() {
    let project = is_as_by_hand(
        "many",
        &[
            ("", "for r in north south; do python3 src/clean.py data/$r.csv work/$r.csv; done"),
            ("", "for r in north south; do wc -l < work/$r.csv > work/$r.lines; done"),
            ("", "python3 src/fit.py work/north.csv results/flat.json --degree 0 --rounds 30 --rate 0.5"),
            ("", "python3 src/fit.py work/north.csv results/line.json --degree 1 --rounds 30 --rate 0.5"),
            (
                "",
                "for m in flat line; do for r in north south; do \
                 python3 src/score.py results/$m.json work/$r.csv scores/$m-$r.json; done; done",
            ),
            (
                "",
                "mkdir grid grown named power; for a in 1 2; do for b in x y; do echo $a $b --seed 30 > grid/$a-$b.txt; done; done",
            ),
            (
                "",
                "for a in 1 2; do for b in x y; do cat grid/$a-$b.txt grid/$a-$b.txt > grown/$a-$b.txt; done; done",
            ),
            ("", "for a in 1 2; do echo $a > named/$a.txt; done"),
            (
                "",
                "for a in 2 3; do for n in 1 2; do python3 -c \"print($a ** $n)\" > power/$a-$n.txt; done; done",
            ),
            ("", "python3 src/table.py scores --title 'All regions' --decimals 3 --out report.csv"),
        ],
    );
    // What only commands need became parameters; a stage whose members nobody reads one by one became a matrix.
    let text = project.read("pipeline.toml");
    assert!(text.contains("train.rate = 0.5\n") && text.contains("--rate ${params.train.rate}"), "{text}");
    assert!(text.contains("[steps.grown]\nmatrix.a = [1, 2]\nmatrix.b = [\"x\", \"y\"]\n"), "{text}");
    assert!(text.contains("[steps.fit-flat]\n"), "{text}");
    let planned = project.tidemill(&["plan", "--set", "report.decimals=2"]).ok();
    planned.says("parameter report.decimals changed: 3 → 2").says("1 step would run, 24 cached");
}

#[test]
fn what_is_not_so_common() {
    let project = is_as_by_hand(
        "odd",
        &[
            ("src", "mkdir -p ../data/parts"),
            ("src", "cd ../data && head -n 3 raw.csv > parts/head.csv"),
            ("src", "python3 jobs/tail.py ../data/raw.csv ../data/parts/tail.csv"),
            ("src", "python3 -m jobs.join"),
            ("", "wc -l < data/joined.csv > count.txt; echo 'lines: 3' > summary.yaml"),
            ("", "echo 'name: two words' 'level: 2' 2 hello none >> count.txt"),
            ("", "ls data | sort > listing.txt"),
            ("", "python3 src/shape.py"),
        ],
    );
    let mut project = project;
    project.variable("GREETING", "hello");
    // `always_changed`.
    project.run_executes(1);
}

#[test]
fn what_could_not_be_translated_is_told() {
    let project = project("notes");
    insta::assert_snapshot!(project.tidemill(&["init", "--from", "dvc.yaml"]).snapshot(), @r###"
    $ tidemill init --from dvc.yaml
    made the pipeline notes:
      pipeline.toml
      pipeline.schema.json

    next:
      tidemill plan  # what a run would do, and why
      tidemill run   # run it; a second time there is nothing to do
    -- stderr
    dvc.yaml:6: remote: s3://bucket/x is no file and is left out
        fetch it with a step of its own, with a `fingerprint` that tells when it changed
    dvc.yaml:8: remote: an out is outside of the pipeline's folder and is left out
        make the pipeline in a folder further up: `tidemill init DIR --from …`
    dvc.yaml:12: everything: the whole folder of the pipeline cannot be an input, and is left out
        name the files and folders that the step reads
    dvc.yaml:13: everything: missing.csv is not here
        it must be there before the first run
    dvc.yaml:14: everything: tracked.csv is not here
        get it with `dvc pull`
    dvc.yaml:16: everything: `persist` of all.bin has no counterpart: every step begins in an empty folder
        declare what it goes on from as an input, under another path
    dvc.yaml:19: everything: summary.yaml is kept as a file: metrics are JSON, an object of names and numbers
        let the script write them so, and add `kind = "metrics"`
    dvc.yaml:21: everything: curve.pdf is kept as a file: a plot is CSV, JSON or an image
    dvc.yaml:23: broken: not translated: `${nothing.known}` names nothing that is known
        write its step by hand
    dvc.yaml:25: wide: not translated: `${nothing}` names nothing that is known
        write its step by hand
    dvc.yaml:30: elsewhere: not translated: its `wdir` is outside of the pipeline's folder
        write its step by hand
    dvc.yaml:32: strange: its command reads TOKEN of the environment, which is now in the key
        use `secrets` for what must not be kept
    dvc.yaml:34: strange: `color` has no counterpart and is left out
    dvc.yaml:36: taken for folders by their names: strange
        leave `kind = "dir"` away where that is wrong
    dvc.yaml:37: `live` has no counterpart and is left out
    dvc.yaml:39: the artifact counter is not translated
        a step with `uses = "register"` gives a model versions and aliases
    dvc.yaml:42: no stage makes nobody/makes.csv, so it is not shown
    -- exit code 0
    "###);
    let told = project.tidemill(&["init", "--from", "dvc.yaml"]).exits(2);
    told.says("nothing was written, for this is there already: pipeline.toml, pipeline.schema.json");
    project.tidemill(&["check"]).ok();
    let text = project.read("pipeline.toml");
    assert!(text.contains("# dvc.yaml:6: remote: s3://bucket/x is no file"), "{text}");
}

#[test]
fn a_file_with_nothing_to_translate_is_an_error() {
    let project = Project::new();
    for (text, why) in [
        ("", "it has no stage that can be a step"),
        ("stages:\n  a:\n    cmd: [\n", "line 3"),
        ("stages:\n  a:\n    cmd: x\n  a:\n    cmd: y\n", "duplicate"),
        ("stages:\n  a:\n    cmd: ${x}\n", "it has no stage that can be a step"),
        ("stages:\n  a:\n    cmd: \u{e000}\n", "private use"),
    ] {
        project.file("dvc.yaml", text);
        project
            .tidemill(&["init", "--from", "dvc.yaml"])
            .exits(2)
            .says("dvc.yaml cannot be translated")
            .says(why);
        assert!(!project.has("pipeline.toml"), "{text}");
    }
    project.tidemill(&["init", "--from", "none.yaml"]).exits(2).says("cannot read none.yaml");
}

#[test]
fn a_pipeline_may_lie_above_the_file() {
    let project = Project::new();
    project.file(
        "jobs/dvc.yaml",
        "stages:\n  a:\n    cmd: cat ../data/x > ../out/y\n    deps: [../data/x]\n    outs: [../out/y]\n  b:\n    cmd: cat ../out/y > z\n    deps: [../out/y]\n    outs: [z]\n",
    );
    project.file("data/x", "x\n");
    project.tidemill(&["init", "--from", "jobs/dvc.yaml"]).ok().says("outside of the pipeline's folder");
    fs::remove_file(project.path("jobs/pipeline.toml")).unwrap();
    fs::remove_file(project.path("jobs/pipeline.schema.json")).unwrap();
    let answer = project.tidemill(&["init", ".", "--from", "jobs/dvc.yaml", "--name", "above"]).ok();
    assert!(!answer.stderr.contains("outside"), "{}", answer.transcript());
    project.run_executes(2);
    assert_eq!(project.read("jobs/z"), "x\n");
    project.tidemill(&["init", "elsewhere", "--from", "jobs/dvc.yaml"]).exits(2).says("none above it");
}
