//! The rules of the house that a machine can check: the order of crates and rooms, what every file begins with, its length.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates; each may depend on those before it only. The root package is the command line.
const CRATES: [&str; 9] = [
    "cache",
    "cache/store",
    "engine/executors",
    "engine/notify",
    "engine/triggers",
    "engine",
    "steps",
    "server",
    ".",
];

/// The rooms of the engine; each may know those before it only. First the vocabulary, then the way of the data.
const ROOMS: [&str; 46] = [
    "words",
    "few",
    "keep",
    "sandbox",
    "suggest",
    "name",
    "interface",
    "failure",
    "retries",
    "event",
    "process",
    "effects",
    "repeats",
    "registry",
    "happened",
    "record",
    "error",
    "withdrawn",
    "policy",
    "secret",
    "sink",
    "executors",
    "spec",
    "graph",
    "store",
    "project",
    "load",
    "plan",
    "schedule",
    "gpus",
    "execute",
    "artifact",
    "exchange",
    "remote",
    "pin",
    "quarantine",
    "repair",
    "garbage",
    "run",
    "outbox",
    "trigger",
    "debug",
    "repeat",
    "doctor",
    "trial",
    "fuzz",
];

/// The longest file that a reader can be asked to read.
const LONGEST: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, sorted.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// All Rust files of the workspace.
fn all_sources() -> Vec<PathBuf> {
    let folders = ["cache", "engine", "steps", "server", "cli", "tests"];
    folders.iter().flat_map(|folder| sources(&root().join(folder))).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The room that a file of the engine belongs to.
fn room_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("engine/src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a line refers to: what follows `crate::`, also in braces. Names of items of the crate's front page, which
/// begin with a capital letter, are no rooms.
fn referred(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (place, found) in line.match_indices("crate::") {
        // `$crate::` and `tidemill_crate::` would be something else.
        let before = line[..place].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || "_$".contains(before)) {
            continue;
        }
        let rest = &line[place + found.len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(braces) => braces.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let end = |c: char| !c.is_ascii_lowercase() && c != '_' && !c.is_ascii_digit();
            let name = name.trim().split(end).next().unwrap_or_default();
            rooms.extend(Some(name.to_owned()).filter(|name| !name.is_empty()));
        }
    }
    rooms
}

#[test]
fn references_are_found() {
    assert_eq!(referred("use crate::plan::{Plan, Key};"), ["plan"]);
    assert_eq!(referred("use crate::{graph::Graph, name::StepId, Value};"), ["graph", "name"]);
    assert_eq!(referred("fn f(x: crate::Value) -> crate::error::Error"), ["error"]);
    assert!(referred("use tidemill_cache::Key;").is_empty());
}

#[test]
fn every_room_is_in_the_order() {
    for path in sources(&root().join("engine/src")) {
        let room = room_of(&path);
        assert!(
            room == "lib" || ROOMS.contains(&room.as_str()),
            "{}: a room that has no place",
            shown(&path)
        );
    }
}

#[test]
fn the_design_says_the_same_order() {
    let design = fs::read_to_string(root().join("docs/design.md")).unwrap();
    let told: Vec<&str> = design.split_whitespace().filter(|word| *word != "|").collect();
    assert!(
        told.windows(ROOMS.len()).any(|words| words == ROOMS),
        "docs/design.md has another line of rooms"
    );
}

#[test]
fn rooms_know_only_what_comes_before_them() {
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    for path in sources(&root().join("engine/src")) {
        let room = room_of(&path);
        let Some(own) = place(&room) else { continue };
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for other in referred(line) {
                if place(&other).is_some_and(|other| other > own) {
                    wrong.push(format!("{}:{}: {room} may not know {other}", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows against the order of the rooms:\n{}", wrong.join("\n"));
}

#[test]
fn crates_stand_in_a_line() {
    let name = |folder: &str| format!("tidemill-{}", folder.rsplit('/').next().unwrap());
    for (place, folder) in CRATES.iter().enumerate() {
        let path = root().join(folder).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for table in ["dependencies", "dev-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for other in &CRATES[place..] {
                let known = dependencies.contains_key(&name(other));
                assert!(!known, "{}: {folder} may not know {other}", shown(&path));
            }
        }
    }
}

#[test]
fn the_engine_needs_no_data_library() {
    let manifest = fs::read_to_string(root().join("engine/Cargo.toml")).unwrap();
    for library in ["arrow", "parquet", "forust-ml", "nalgebra", "axum"] {
        let needs = manifest.lines().any(|line| line.starts_with(&format!("{library}.")));
        assert!(!needs, "engine/Cargo.toml: {library}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let says = |path: &PathBuf| fs::read_to_string(path).unwrap().starts_with("//! ");
    let silent: Vec<_> = all_sources().iter().filter(|path| !says(path)).map(|path| shown(path)).collect();
    assert!(silent.is_empty(), "files that do not begin with `//! what it is for`: {silent:?}");
}

#[test]
fn no_file_is_too_long() {
    let length = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> =
        all_sources().iter().filter(|path| length(path) > LONGEST).map(|path| shown(path)).collect();
    assert!(long.is_empty(), "files of more than {LONGEST} lines: {long:?}");
}
