//! The values that a `dvc.yaml` refers to: `params.yaml`, the files that `vars` lists, and the values that it gives itself.

use std::fs;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::note::Notes;
use super::yaml::{self, Node};

/// The file of parameters if nothing else is said.
pub(super) const PARAMS: &str = "params.yaml";

/// The values of the whole file.
pub(super) fn of_file(tree: &Node, folder: &Utf8Path, notes: &mut Notes) -> Map<String, Value> {
    let mut values = Map::new();
    if folder.join(PARAMS).exists() {
        match values_in(&folder.join(PARAMS)) {
            Ok(Value::Object(members)) => merge(&mut values, members),
            Ok(_) => {}
            Err(why) => notes.file(1, format!("{PARAMS} cannot be read: {why}"), ""),
        }
    }
    if let Some(vars) = tree.get("vars") {
        add(vars, folder, &mut values, &mut |line, what| notes.file(line, what, ""));
    }
    values
}

/// Adds what a `vars` list names.
pub(super) fn add(
    vars: &Node,
    folder: &Utf8Path,
    values: &mut Map<String, Value>,
    told: &mut dyn FnMut(u64, String),
) {
    for item in vars.items() {
        if let Value::Object(members) = item.value() {
            merge(values, members);
            continue;
        }
        let Some(text) = item.text() else {
            told(item.line, "an entry of `vars` is neither a file nor a table".to_owned());
            continue;
        };
        let (file, keys) = text.split_once(':').unwrap_or((&text, ""));
        match values_in(&folder.join(file)) {
            Ok(Value::Object(mut members)) => {
                let wanted: Vec<&str> =
                    keys.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
                members.retain(|key, _| wanted.is_empty() || wanted.contains(&key.as_str()));
                merge(values, members);
            }
            Ok(_) => told(item.line, format!("{file} holds no table of values")),
            Err(why) => told(item.line, format!("{file} cannot be read: {why}")),
        }
    }
}

/// The values in a file of parameters.
fn values_in(path: &Utf8Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    match path.extension() {
        Some("yaml" | "yml") => yaml::parse(&text).map(|tree| tree.value()),
        Some("json") => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Some("toml") => toml::from_str(&text).map_err(|error| error.message().to_owned()),
        _ => Err("only YAML, JSON and TOML files are read".to_owned()),
    }
}

/// Puts tables into tables; for anything else the later value counts.
fn merge(into: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(members)) => merge(inner, members),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}
