//! Writing a pipeline in an editor: the schema, as a TOML language server (taplo) uses it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Project;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The `node_modules` that `tests/setup-node` makes.
fn modules() -> PathBuf {
    let setup = Command::new(Path::new(ROOT).join("tests/setup-node")).output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    Path::new(String::from_utf8(setup.stdout).unwrap().trim()).join("node_modules")
}

fn lint(arguments: &[&str], folder: &Path) -> Output {
    let taplo = modules().join("@taplo/cli/dist/cli.js");
    Command::new("node").arg(taplo).arg("lint").args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn sound_pipelines_are_accepted() {
    let project = Project::new();
    assert_eq!(project.tidemill(&["schema", "--output", "schema.json"]).ok().stdout, "schema.json\n");
    assert_eq!(project.tidemill(&["schema"]).ok().stdout, project.read("schema.json"));
    let schema = format!("file://{}", project.path("schema.json").display());
    for folder in std::fs::read_dir(Path::new(ROOT).join("pipelines")).unwrap() {
        let file = folder.unwrap().path().join("pipeline.toml");
        let answer = lint(&["--schema", &schema, file.to_str().unwrap()], &project.root());
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    }
    // The line at the top of a new file is enough.
    for template in ["builtin", "python"] {
        project.tidemill(&["init", template, "--template", template]).ok();
        let answer = lint(&["pipeline.toml"], &project.path(template));
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    }
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let project = Project::new();
    project.tidemill(&["init"]).ok();
    let text = project.read("pipeline.toml");
    for (right, wrong, place, words) in [
        ("uses = \"validate\"", "uses = \"validat\"", "pipeline.toml:34:8", "\"validat\" is not one of"),
        ("matrix.algorithm = [", "matrices.algorithm = [", "pipeline.toml:61:1", "'matrices' was unexpected"),
        (
            "stage = \"train\"",
            "network = \"two\"",
            "pipeline.toml:60:11",
            "\"two\" is not of type \"boolean\"",
        ),
    ] {
        assert!(text.contains(right), "{right}");
        project.file("pipeline.toml", text.replace(right, wrong));
        let answer = lint(&["pipeline.toml"], &project.root());
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(!answer.status.success() && said.contains(place) && said.contains(words), "{wrong}:\n{said}");
    }
}

#[test]
fn fields_are_offered_and_explained() {
    let project = Project::new();
    project.tidemill(&["init"]).ok();
    let text = project.read("pipeline.toml");
    // A field that is being typed at the end of the last step, and one that is there.
    project.file("pipeline.toml", format!("{text}re\n"));
    let typed = text.lines().count();
    let there = text.lines().position(|line| line.starts_with("matrix.algorithm")).unwrap();
    let session = Path::new(ROOT).join("tests/node/schema.mjs");
    let output = Command::new("node")
        .args([
            session.to_str().unwrap(),
            modules().to_str().unwrap(),
            project.path("pipeline.toml").to_str().unwrap(),
        ])
        .args([format!("{typed}:2"), format!("{there}:2")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let offered = said["answers"][0]["completions"].as_array().unwrap();
    let of = |label: &str| {
        let item = offered.iter().find(|item| item["label"] == label);
        item.unwrap_or_else(|| panic!("{label} is not offered: {said:#}"))["documentation"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(of("retries").starts_with("How often a failed attempt is made again.\n\n```toml\nretries = 2"));
    assert!(of("run").contains("A command: a text for `sh -euc`"));
    assert!(of("resources.gpus").starts_with("GPUs."));
    let hover = said["answers"][1]["hover"].as_str().unwrap_or_else(|| panic!("{said:#}"));
    assert!(hover.contains("One step per combination of these values."), "{hover}");
}
