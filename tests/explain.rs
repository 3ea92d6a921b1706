//! Why does it run? The first line of `explain` names the cause; two checkouts over one state folder find each other's results.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Project;

/// A project and another checkout of it that shares its state; the first has run.
fn two_checkouts(pipeline: &str) -> (Project, Project) {
    let mut first = Project::with(pipeline);
    first.variable("USER", "ada");
    first.variable("MODE", "fast");
    first.file("train.py", "print('one')\nprint('two')\n").file("data/a.csv", "a,b\n1,2\n");
    first.file("tidemill.toml", "[project]\nstate = \"../state/.tidemill\"\n");
    let mut second = first.checkout("second");
    second.variable("USER", "bob");
    (first, second)
}

const TRAIN: &str = r#"
[params]
alpha = 0.5

[steps.clean]
run = "cat ${inputs.raw}/* > ${outputs.words}"
inputs.raw = "data"
outputs.words = "words.txt"

[steps.train]
run = "cat ${inputs.code} ${inputs.words} > ${outputs.model}; echo --alpha ${params.alpha} --mode \"$MODE\" >> ${outputs.model}"
inputs = { code = "train.py", words = "${clean.words}" }
pass_env = ["MODE"]
outputs.model = "model.txt"
"#;

/// The first line of the explanation of a step, which is also the reason that the plan gives.
#[track_caller]
fn cause(project: &Project, step: &str) -> String {
    let answer = project.tidemill(&["explain", step]).ok();
    let first = answer.snapshot().lines().nth(1).unwrap().to_owned();
    let plan = project.tidemill(&["plan", "--json"]).ok().json();
    let steps = plan["steps"].as_array().unwrap();
    let planned = steps.iter().find(|planned| planned["step"] == step).unwrap();
    let reason = planned["reason"].as_str().unwrap();
    assert!(answer.stdout.lines().next().unwrap().contains(reason), "the plan says {reason:?}, and: {first}");
    first
}

#[test]
fn another_checkout_has_another_variable() {
    let (first, mut second) = two_checkouts(TRAIN);
    second.variable("MODE", "exact");
    first.run_executes(2);
    insta::assert_snapshot!(cause(&second, "train"), @"train would run: variable MODE changed: fast → exact (against run [run] on host [host])");
    second.run_executes(1);
    first.run_executes(0);
    second.run_executes(0);
}

#[test]
fn another_checkout_has_another_line_ending() {
    let (first, second) = two_checkouts(TRAIN);
    second.file("train.py", "print('one')\r\nprint('two')\r\n");
    first.run_executes(2);
    insta::assert_snapshot!(cause(&second, "train"), @"train would run: input code: train.py differs only in its line endings (LF before, CRLF now) (against run [run] on host [host])");
    // The same for what else is not seen.
    second.file("train.py", first.read("train.py"));
    fs::set_permissions(second.path("train.py"), fs::Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(cause(&second, "train"), @"train would run: input code: train.py differs only in its executable bit (not set before, set now) (against run [run] on host [host])");
    second.file("train.py", format!("\u{feff}{}", first.read("train.py").trim_end()));
    insta::assert_snapshot!(cause(&second, "train"), @"train would run: input code: train.py differs only in its byte order mark (not there before, there now) and in its last newline (there before, not there now) and in its executable bit (not set before, set now) (against run [run] on host [host])");
}

#[test]
fn another_checkout_has_another_package() {
    let (mut first, mut second) = two_checkouts(
        r#"
        [steps.train]
        run = "python -c 'print(1)' > ${outputs.model}"
        outputs.model = "model"
        "#,
    );
    for (project, numpy) in [(&mut first, "2.1.0"), (&mut second, "2.2.0")] {
        let venv = project.outside(&format!("venv-{numpy}"));
        let made = std::process::Command::new("python3")
            .args(["-m", "venv", "--without-pip"])
            .arg(&venv)
            .status()
            .unwrap();
        assert!(made.success());
        let library = fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap();
        for package in [format!("numpy-{numpy}"), "pandas-2.3.1".to_owned()] {
            let metadata = library.path().join(format!("site-packages/{package}.dist-info/METADATA"));
            fs::create_dir_all(metadata.parent().unwrap()).unwrap();
            fs::write(metadata, "Metadata-Version: 2.4\n").unwrap();
        }
        let path = format!("{}:{}", venv.join("bin").display(), std::env::var("PATH").unwrap());
        project.variable("PATH", &path);
    }
    first.run_executes(1);
    insta::assert_snapshot!(cause(&second, "train"), @"train would run: Python package numpy 2.1.0 → 2.2.0 (against run [run] on host [host])");
}

#[test]
fn a_step_that_never_ran() {
    let (first, _) = two_checkouts(TRAIN);
    insta::assert_snapshot!(first.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train waits for clean, and has not run yet
    -- exit code 0
    "#);
    insta::assert_snapshot!(first.tidemill(&["explain", "clean"]).snapshot(), @r#"
    $ tidemill explain clean
    clean would run: has not run yet
      now  key [digest]
    -- exit code 0
    "#);
}

#[test]
fn a_step_that_is_cached() {
    let (first, second) = two_checkouts(TRAIN);
    first.run_executes(2);
    insta::assert_snapshot!(second.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train is cached: key [digest], made by run [run] on host [host], [time]
      made by ada in [world]/project
    -- exit code 0
    "#);
}

#[test]
fn a_parameter_and_the_command_that_follows_from_it() {
    let (first, _) = two_checkouts(TRAIN);
    first.run_executes(2);
    insta::assert_snapshot!(first.tidemill(&["explain", "train", "--set", "alpha=0.7"]).snapshot(), @r#"
    $ tidemill explain train --set alpha=0.7
    train would run: parameter alpha changed: 0.5 → 0.7 (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
      now  key [digest]

      parameter alpha changed: 0.5 → 0.7

      because of that
      command
        --alpha [0.5 → 0.7] --mode
    -- exit code 0
    "#);
    first.edit("pipeline.toml", "alpha = 0.5", "alpha = 0.7");
    first.edit("pipeline.toml", "--mode", "--kind");
    insta::assert_snapshot!(cause(&first, "train"), @"train would run: parameter alpha changed: 0.5 → 0.7, and 1 more (against run [run] on host [host])");
}

#[test]
fn a_word_of_the_command() {
    let (first, _) = two_checkouts(TRAIN);
    first.run_executes(2);
    first.edit("pipeline.toml", "--mode", "--kind");
    insta::assert_snapshot!(first.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train would run: command changed: --mode → --kind (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
      now  key [digest]

      command
        0.5 [--mode → --kind] $MODE
    -- exit code 0
    "#);
}

#[test]
fn files_of_a_folder_with_their_lines() {
    let (first, _) = two_checkouts(TRAIN);
    first.file("data/b.csv", "b").file("data/old.csv", "kept\n").file("data/bytes", b"\x00\x01");
    first.run_executes(2);
    first.file("data/a.csv", "a,b\n1,3\n").file("data/c.csv", "new").file("data/bytes", b"\x00\x02");
    fs::remove_file(first.path("data/b.csv")).unwrap();
    fs::rename(first.path("data/old.csv"), first.path("data/moved.csv")).unwrap();
    insta::assert_snapshot!(cause(&first, "clean"), @"clean would run: input raw: data/a.csv changed, with 4 more files (against run [run] on host [host])");
    insta::assert_snapshot!(first.tidemill(&["explain", "clean"]).snapshot(), @r#"
    $ tidemill explain clean
    clean would run: input raw: data/a.csv changed, with 4 more files (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
      now  key [digest]

      input raw
        data/a.csv changed
          @@ -1,2 +1,2 @@
           a,b
          -1,2
          +1,3
        data/bytes changed (not text)
        data/c.csv is new
        data/b.csv is gone
        data/moved.csv was data/old.csv before
    -- exit code 0
    "#);
    // What waits for it says so, and what it knows already.
    insta::assert_snapshot!(first.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train waits for clean; nothing else changed (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
    -- exit code 0
    "#);
    first.file("train.py", "print('one')\nprint('three')\n");
    insta::assert_snapshot!(first.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train waits for clean; what is known already: input code: train.py changed (against run [run] on host [host])
      then key [digest], [time], by ada in [project]

      input code
        train.py changed
          @@ -1,2 +1,2 @@
           print('one')
          -print('two')
          +print('three')
    -- exit code 0
    "#);
    fs::remove_file(first.path("data/bytes")).unwrap();
    first.run_executes(2);
    first.file("data/a.csv", "a,b\n1,2\n");
    first.run(&["--until", "clean"]).ok().executed(1);
    insta::assert_snapshot!(first.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train would run: input words: clean.words changed (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
      now  key [digest]

      input words
        clean.words changed
          @@ -1,3 +1,3 @@
           a,b
          -1,3
          +1,2
           newkept
    -- exit code 0
    "#);
}

#[test]
fn against_a_run_and_a_key() {
    let (first, _) = two_checkouts(TRAIN);
    let run = |alpha: &str| {
        let answer = first.run(&["--set", &format!("alpha={alpha}")]).ok().json();
        answer["run"].as_str().unwrap().to_owned()
    };
    let runs = [run("0.1"), run("0.2")];
    insta::assert_snapshot!(first.tidemill(&["explain", "train", "--against", &runs[0]]).snapshot(), @r#"
    $ tidemill explain train --against [run]
    train would run: parameter alpha changed: 0.1 → 0.5 (against run [run] on host [host])
      then key [digest], [time], by ada in [project]
      now  key [digest]

      parameter alpha changed: 0.1 → 0.5

      because of that
      command
        --alpha [0.1 → 0.5] --mode
    -- exit code 0
    "#);
    let cached = ["explain", "train", "--set", "alpha=0.1", "--against"];
    insta::assert_snapshot!(first.tidemill(&[&cached[..], &["last"]].concat()).snapshot(), @r#"
    $ tidemill explain train --set alpha=0.1 --against last
    train is cached: key [digest], made by run [run] on host [host], [time]; against run [run] on host [host]: parameter alpha changed: 0.2 → 0.1
      then key [digest], [time], by ada in [project]
      made by ada in [project]

      parameter alpha changed: 0.2 → 0.1

      because of that
      command
        --alpha [0.2 → 0.1] --mode
    -- exit code 0
    "#);
    let explained = first.tidemill(&["explain", "train", "--json"]).ok().json();
    let key = &explained["steps"][0]["against"]["key"].as_str().unwrap()[..12];
    first.tidemill(&["explain", "train", "--against", key]).ok().says("against run");
    insta::assert_snapshot!(first.tidemill(&["explain", "train", "--against", "nothing"]).snapshot(), @r#"
    $ tidemill explain train --against nothing
    -- stderr
    error: nothing can be compared with "nothing": it is no run and no key that is known
    hint: name a run (see `tidemill runs`), `last`, or a key or the first digits of one
    -- exit code 2
    "#);
    first.tidemill(&["explain", "trian"]).exits(2).says("train");
}

#[test]
fn a_program_reads_the_same() {
    let (first, _) = two_checkouts(TRAIN);
    first.run_executes(2);
    first.file("train.py", "print('one')\nprint('2')\n");
    insta::assert_snapshot!(first.tidemill(&["explain", "train", "--set", "alpha=0.7", "--json"]).snapshot(), @r#"
    $ tidemill explain train --set alpha=0.7 --json
    {
      "version": 1,
      "steps": [
        {
          "step": "train",
          "verdict": "run",
          "reason": "parameter alpha changed: 0.5 → 0.7, and 1 more",
          "key": "[digest]",
          "made_by": null,
          "waits_for": null,
          "against": {
            "key": "[digest]",
            "step": "train",
            "run": "[run]",
            "host": "[host]",
            "user": "ada",
            "project": "[project]",
            "finished": "[time]"
          },
          "relation": "nearest",
          "changes": [
            {
              "part": "parameter",
              "name": "alpha",
              "old": 0.5,
              "new": 0.7
            },
            {
              "part": "input",
              "name": "code",
              "from": null,
              "files": [
                {
                  "path": "train.py",
                  "fate": "changed",
                  "moved_from": null,
                  "only": [],
                  "old": {
                    "form": "file",
                    "digest": "[digest]"
                  },
                  "new": {
                    "form": "file",
                    "digest": "[digest]"
                  },
                  "diff": "@@ -1,2 +1,2 @@\n print('one')\n-print('two')\n+print('2')\n",
                  "hidden": null
                }
              ],
              "more": 0
            }
          ],
          "consequences": [
            {
              "part": "command",
              "name": "",
              "words": [
                {
                  "before": "--alpha",
                  "old": "0.5",
                  "new": "0.7",
                  "after": "--mode"
                }
              ],
              "diff": null
            }
          ]
        }
      ]
    }
    -- exit code 0
    "#);
}

#[test]
fn reasons_that_are_no_change() {
    let project = Project::with(
        r#"
        [steps.always]
        run = "echo > ${outputs.out}"
        cache = false
        outputs.out = "out"

        [steps.fails]
        run = "echo fails; exit 1"
        outputs.out = "out"

        [steps.make]
        run = "echo made > ${outputs.out}"
        outputs.out = "out"

        [steps.use]
        run = "cat ${inputs.in} > ${outputs.out}"
        inputs.in = "${make.out}"
        outputs.out = "out"

        [steps.deploy]
        run = "touch OUTSIDE/live; echo > ${outputs.out}"
        effect = { probe = "test -e OUTSIDE/live" }
        outputs.out = "out"
        "#,
    );
    project.run(&["--keep-going"]).exits(1);
    insta::assert_snapshot!(cause(&project, "always"), @"always would run: cache = false");
    insta::assert_snapshot!(cause(&project, "fails"), @"fails would run: its last run gave no result");
    insta::assert_snapshot!(cause(&project, "deploy"), @"deploy is current: its target shows it already (key [digest], made by run [run] on host [host], [time])");
    fs::remove_file(project.outside("live")).unwrap();
    insta::assert_snapshot!(cause(&project, "deploy"), @"deploy would run: its target no longer shows it");
    project.edit("pipeline.toml", "exit 1", "exit 2");
    insta::assert_snapshot!(cause(&project, "fails"), @"fails would run: command changed: 1 → 2 (against run [run], which gave no result)");
    let blob = project.blob("made\n");
    fs::remove_file(blob).unwrap();
    project.edit("pipeline.toml", "cat ${inputs.in}", "cat -u ${inputs.in}");
    insta::assert_snapshot!(cause(&project, "make"), @"make would run: its output out is gone from the cache");
    let forced = project.tidemill(&["explain", "make", "--force", "make"]).ok();
    insta::assert_snapshot!(forced.snapshot(), @r#"
    $ tidemill explain make --force make
    make would run: forced
      now  key [digest]
    -- exit code 0
    "#);
}

#[test]
fn a_combination_that_never_ran() {
    let mut project = Project::with(
        r#"
        [steps.train]
        run = "echo --fold ${matrix.fold} > ${outputs.out}"
        matrix.fold = [1, 2]
        outputs.out = "out"
        "#,
    );
    project.variable("USER", "ada");
    project.run(&["--jobs", "1"]).ok().executed(2);
    project.edit("pipeline.toml", "[1, 2]", "[1, 2, 3]");
    insta::assert_snapshot!(project.tidemill(&["explain", "train[fold=3]"]).snapshot(), @r#"
    $ tidemill explain train[fold=3]
    train[fold=3] would run: has not run yet
      then key [digest], of train[fold=2], [time], by ada in [project]
      now  key [digest]
      note this combination never ran; the nearest result is one of another

      command
        --fold [2 → 3] >
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["explain", "train"]).snapshot(), @r#"
    $ tidemill explain train
    train[fold=1] is cached: key [digest], made by run [run] on host [host], [time]
    train[fold=2] is cached: key [digest], made by run [run] on host [host], [time]
    train[fold=3] would run: has not run yet

    name one for all that changed: tidemill explain 'train[fold=3]'
    -- exit code 0
    "#);
}

#[test]
fn what_another_step_makes_or_a_later_one_may_need() {
    let mut project = Project::with(
        r#"
        [steps.same]
        run = "echo same > ${outputs.out}"
        matrix.n = [1, 2]
        outputs.out = "out"

        [steps.first]
        run = "echo first > ${outputs.out}"
        outputs.out = "out"

        [steps.next]
        run = "cat ${inputs.in}/* | wc -c > ${outputs.out}"
        inputs.in = { collect = "${same.out}" }
        outputs.out = "out"

        [steps.last]
        run = "cat ${inputs.first} ${inputs.next} > ${outputs.out}"
        inputs = { first = "${first.out}", next = "${next.out}" }
        outputs.out = "out"
        "#,
    );
    project.variable("USER", "ada");
    insta::assert_snapshot!(project.tidemill(&["explain", "same"]).snapshot(), @r#"
    $ tidemill explain same
    same[n=1] would run: has not run yet
    same[n=2] need not run itself: same key as same[n=1], which runs

    name one for all that changed: tidemill explain 'same[n=1]'
    -- exit code 0
    "#);
    project.run_executes(4);
    fs::remove_file(project.blob("first\n")).unwrap();
    project.edit("pipeline.toml", "wc -c", "wc -l");
    insta::assert_snapshot!(cause(&project, "first"), @"first may have to run: its output out is gone from the cache, and last may need it");
    insta::assert_snapshot!(project.tidemill(&["explain", "last", "--force", "last"]).snapshot(), @r#"
    $ tidemill explain last --force last
    last would run: forced
      then key [digest], [time], by ada in [project]
    -- exit code 0
    "#);
}

#[test]
fn nothing_steers_the_terminal() {
    let (mut first, _) = two_checkouts(TRAIN);
    first.run_executes(2);
    first.variable("MODE", "\u{1b}[31m");
    first.file("train.py", "print('one')\nprint('\u{1b}[2Jtwo\rxx')\n");
    let answer = first.tidemill(&["explain", "train"]).ok();
    assert!(!answer.stdout.contains(['\u{1b}', '\r']), "{}", answer.transcript());
    answer.says("print('two");
}
