//! A newcomer reads a mistake and asks what its code means.

use super::support::Project;

#[test]
fn a_code_is_explained_with_an_example_and_the_fix() {
    let project = Project::new();
    insta::assert_snapshot!(project.tidemill(&["explain-error", "output-clash"]).snapshot(), @r#"
    $ tidemill explain-error output-clash
    output-clash: Two places in a step's folder meet: two outputs, or an output and an input.

    Each output needs a file or folder of its own, none inside another, and inputs stay as they are
    while a step runs. Upper and lower case count as the same, because some file systems do not tell
    them apart.

    wrong
        [steps.train]
        run = "python train.py"
        outputs.models = "out"
        outputs.metrics = { path = "out/metrics.json", kind = "metrics" }

    right
        [steps.train]
        run = "python train.py"
        outputs.models = "out/models"
        outputs.metrics = { path = "out/metrics.json", kind = "metrics" }
    -- exit code 0
    "#);
}

#[test]
fn a_code_that_there_is_not() {
    let project = Project::new();
    insta::assert_snapshot!(project.tidemill(&["explain-error", "unknown-feild"]).snapshot(), @r#"
    $ tidemill explain-error unknown-feild
    -- stderr
    error: there is no code "unknown-feild"
    hint: did you mean unknown-field?
    -- exit code 2
    "#);
    insta::assert_snapshot!(project.tidemill(&["explain-error", "E0308"]).snapshot(), @r#"
    $ tidemill explain-error E0308
    -- stderr
    error: there is no code "E0308"
    hint: `tidemill explain-error` lists all codes
    -- exit code 2
    "#);
}

#[test]
fn programs_read_it_as_json() {
    let project = Project::new();
    insta::assert_snapshot!(project.tidemill(&["explain-error", "empty-command", "--json"]).snapshot(), @r#"
    $ tidemill explain-error empty-command --json
    {
      "version": 1,
      "code": "empty-command",
      "title": "A command is empty.",
      "text": "`run` is a command line for the shell, or a list of a program and its arguments.",
      "wrong": {
        "language": "toml",
        "text": "[steps.train]\nrun = \"\""
      },
      "right": {
        "language": "toml",
        "text": "[steps.train]\nrun = \"python train.py\""
      }
    }
    -- exit code 0
    "#);
}

#[test]
fn without_a_code_all_are_listed_and_nothing_is_made() {
    let project = Project::new();
    let answer = project.tidemill(&["explain-error"]).ok();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(lines.len(), tidemill_engine::spec::Code::ALL.len());
    assert!(lines[0].starts_with("axis "), "{}", lines[0]);
    assert!(!project.has(".tidemill"));
}
