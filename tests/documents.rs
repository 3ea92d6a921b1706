//! The documents: every link leads somewhere, and what can be listed is listed: fields, built-in steps, commands, rooms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidemill_engine::executors::Executors;
use tidemill_engine::graph;
use tidemill_engine::interface::Catalog;
use tidemill_engine::spec::{Code, Diagnostic, Example, LoadRequest, explained, schema};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// All documents of the project.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut folders = vec![root.to_owned(), root.join("docs"), root.join("pipelines")];
    let pipelines = fs::read_dir(root.join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
    folders.extend(pipelines.filter(|path| path.is_dir()));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

/// What stands between `](` and `)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of a document: its headings as GitHub names them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text).filter(|link| !link.starts_with("http")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{}: {link} has no such heading", document.display());
            }
        }
    }
}

/// The names of all fields in a schema.
fn fields(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                into.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| fields(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, into)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_language_has_its_row() {
    let page = text("docs/language.md");
    let mut names = BTreeSet::new();
    fields(&schema(), &mut names);
    for name in names {
        assert!(page.contains(&format!("\n| `{name}`")), "docs/language.md has no row for `{name}`");
    }
}

/// What is wrong with an example because it is only a part of a file.
const OF_A_PART: [&str; 7] = [
    "no-steps",
    "missing-input",
    "missing-option",
    "no-action",
    "not-available-yet",
    "unknown-name",
    "unknown-reference",
];

#[test]
fn every_example_of_the_language_is_accepted() {
    let page = text("docs/language.md");
    let examples: Vec<&str> =
        page.split("```toml\n[").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    let catalog = tidemill_steps::catalog();
    for example in examples {
        let head = if example.starts_with("pipeline]") { "" } else { "[pipeline]\nname = \"example\"\n" };
        let text = format!("{head}[{example}");
        let problems = problems(&text, catalog.as_ref());
        let wrong: Vec<_> =
            problems.iter().filter(|problem| !OF_A_PART.contains(&problem.code.as_str())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    }
}

/// What is wrong with the text of a pipeline.
fn problems(text: &str, catalog: &dyn Catalog) -> Vec<Diagnostic> {
    let file = camino::Utf8Path::new("/example/pipeline.toml");
    let request =
        LoadRequest { file, text, set: &[], params_files: &[], catalog, executors: Executors::none() };
    graph::load(&request).err().map(|wrong| wrong.items).unwrap_or_default()
}

/// In the manual of mistakes, the wrong example makes the very mistake and no other, and the right one makes none.
#[test]
fn every_example_of_a_mistake_is_one() {
    let catalog = tidemill_steps::catalog();
    let mut other = Vec::new();
    for &code in Code::ALL {
        let explained = explained(code);
        let codes = |example: &Option<Example>| {
            let text = example.as_ref().filter(|example| example.language == "toml")?.text;
            let head = if text.contains("[pipeline]") { "" } else { "[pipeline]\nname = \"example\"\n\n" };
            let problems = problems(&format!("{head}{text}\n"), catalog.as_ref());
            let mut codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
            codes.dedup();
            Some(codes)
        };
        if let Some(codes) = codes(&explained.wrong).filter(|codes| *codes != [code]) {
            other.push(format!("the wrong example of {code} makes {codes:?}"));
        }
        if let Some(codes) = codes(&explained.right).filter(|codes| !codes.is_empty()) {
            other.push(format!("the right example of {code} makes {codes:?}"));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn every_built_in_step_is_told_whole() {
    let page = text("docs/steps.md");
    for interface in tidemill_steps::catalog().interfaces() {
        let heading = format!("\n## {}\n", interface.name);
        let (_, rest) =
            page.split_once(&heading).unwrap_or_else(|| panic!("docs/steps.md has no {heading:?}"));
        let section = rest.split("\n## ").next().unwrap();
        let inputs = interface.inputs.iter().map(|port| port.name);
        let outputs = interface.outputs.iter().map(|port| port.name);
        let with = interface.with.iter().map(|field| field.name);
        for name in inputs.chain(outputs).chain(with) {
            assert!(section.contains(&format!("\n| `{name}`")), "{}: no row for `{name}`", interface.name);
        }
    }
}

#[test]
fn every_command_has_its_section() {
    let page = text("docs/cli.md");
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_tidemill")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split_once("Usage:").unwrap().1.split_once("\nOptions:").unwrap().0.to_owned();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(page.contains(&format!("tidemill {name}")), "docs/cli.md says nothing of `tidemill {name}`");
    }
}

#[test]
fn the_map_of_the_house_is_what_the_rooms_say() {
    let readme = text("README.md");
    for room in ["cache", "engine/executors", "engine", "steps", "server"] {
        let front = text(&format!("{room}/src/lib.rs"));
        let first =
            front.lines().next().unwrap().trim_start_matches("//! ").trim_end_matches('.').to_lowercase();
        let line = readme.lines().find(|line| line.starts_with(&format!("{room}/ "))).unwrap().to_lowercase();
        assert!(line.ends_with(&first), "README.md: {line:?}\n{room}/src/lib.rs: {first:?}");
    }
}
