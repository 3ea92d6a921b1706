//! The first five minutes: a project from an empty folder, that runs at once.

use crate::support::Project;

#[test]
fn from_an_empty_folder_to_a_deployed_model() {
    let project = Project::in_folder("flats");
    insta::assert_snapshot!(project.tidemill(&["init"]).snapshot(), @r"
    $ tidemill init
    made the pipeline flats:
      pipeline.toml
      data/flats.csv
      pipeline.schema.json

    next:
      tidemill run   # run it; a second time there is nothing to do
      tidemill plan  # what a run would do, and why
    -- exit code 0
    ");
    project.tidemill(&["check"]).ok();
    project.run_executes(8).says("\"outcome\": \"succeeded\"");
    assert!(project.has("out/metrics.json") && project.has("out/predicted-vs-actual.vl.json"));
    project.run_executes(0);
    project.tidemill(&["models", "list"]).ok().says("flats");
    // Other parameters, a worse model: the gate is what a newcomer meets next.
    let worse = project.run(&["--set", "boosting.rounds=1", "--set", "ridge.alpha=100000.0"]);
    assert_eq!(worse.status, 3, "{}", worse.transcript());
}

#[test]
fn with_scripts_of_ones_own() {
    let project = Project::new();
    insta::assert_snapshot!(
        project.tidemill(&["init", "my flats", "--template", "python", "--name", "flats"]).snapshot(),
        @r"
        $ tidemill init my flats --template python --name flats
        made the pipeline flats:
          my flats/pipeline.toml
          my flats/prepare.py
          my flats/train.py
          my flats/data/flats.csv
          my flats/pipeline.schema.json

        next:
          cd 'my flats'  # go there
          tidemill run   # run it; a second time there is nothing to do
        -- exit code 0
        "
    );
    let run = |arguments: &[&str]| project.tidemill_in("my flats", &[&["run", "--json"], arguments].concat());
    run(&[]).ok().executed(2);
    run(&[]).ok().executed(0);
    run(&["--set", "train.rate=0.05"]).ok().executed(1);
    project.tidemill_in("my flats", &["log", "train"]).ok().says("rmse ");
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made() {
    let project = Project::new();
    project.file("data/flats.csv", "mine\n").file("notes.txt", "mine too\n");
    insta::assert_snapshot!(project.tidemill(&["init"]).snapshot(), @r"
    $ tidemill init
    -- stderr
    error: nothing was written, for this is there already: data/flats.csv
    hint: name another folder: `tidemill init DIR`
    -- exit code 2
    ");
    let files: Vec<String> = project.files("").into_keys().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["data/flats.csv", "notes.txt"]);
    assert_eq!(project.read("data/flats.csv"), "mine\n");
    // A file where a folder must be: what was made before it goes again.
    let project = Project::new();
    project.file("data", "a file\n");
    let answer = project.tidemill(&["init"]);
    assert_ne!(answer.status, 0, "{}", answer.transcript());
    assert_eq!(project.files("").len(), 1);
    // Another name beside it is no obstacle.
    project.tidemill(&["init", "--json", "new/flats"]).ok().says("\"pipeline\": \"flats\"");
    project.tidemill(&["init", "--name", "Not A Name"]).exits(2).says("is not a valid name");
    project.tidemill(&["init", "--template", "python", "--from", "dvc.yaml"]).exits(2);
}
