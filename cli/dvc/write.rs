//! The pipeline as TOML text: steps with their comments, in the order of the `dvc.yaml`.

use std::collections::BTreeMap;

use serde_json::Value;
use tidemill_engine::name::PipelineName;

use super::note::Note;
use super::step::{Output, Step};

/// Comments are broken into lines of this width.
const WIDTH: usize = 120;

/// The text of the pipeline.
pub(super) fn pipeline(
    file: &str,
    name: &PipelineName,
    params: &BTreeMap<String, Value>,
    steps: &[Step],
    notes: &[Note],
) -> String {
    let mut text = format!("#:schema {}\n", crate::starter::SCHEMA_FILE);
    text.push_str(&format!(
        "# Translated from {} by `tidemill init --from`; that file is no longer read.\n",
        comment(file)
    ));
    notes.iter().filter(|note| note.stage.is_none()).for_each(|note| text.push_str(&remark(note)));
    text.push_str(&format!("[pipeline]\nname = {}\n", basic(name.as_str())));
    if !params.is_empty() {
        text.push_str("\n# What commands refer to with `${params.…}`; it counts here now, and no longer where DVC read it.\n[params]\n");
        for (name, value) in params {
            text.push_str(&format!("{name} = {}\n", self::value(value)));
        }
    }
    for step in steps {
        text.push_str(&self::step(file, step, notes));
    }
    text
}

fn step(file: &str, step: &Step, notes: &[Note]) -> String {
    let mut text = format!("\n# {}:{}\n", comment(file), step.line);
    let own = notes.iter().filter(|note| step.first && note.stage.as_deref() == Some(&step.stage));
    own.for_each(|note| text.push_str(&remark(note)));
    if !step.params.is_empty() {
        text.push_str(&format!("# Its parameters there: {}\n", comment(&step.params.join(", "))));
    }
    text.push_str(&format!("[steps.{}]\n", step.name));
    if let Some(description) = &step.description {
        text.push_str(&format!("description = {}\n", basic(description)));
    }
    if !step.matrix.is_empty() {
        let axis = |(name, values): &(String, Vec<Value>)| {
            let values: Vec<String> = values.iter().map(value).collect();
            format!("matrix.{name} = [{}]\n", values.join(", "))
        };
        text.extend(step.matrix.iter().map(axis));
    }
    text.push_str(&format!("run = {}\n", long(&step.run)));
    for (name, input) in &step.inputs {
        text.push_str(&format!("inputs.{name} = {}\n", basic(input)));
    }
    for Output { name, path, kind, publish } in &step.outputs {
        let mut fields = vec![format!("path = {}", basic(path))];
        fields.extend(kind.map(|kind| format!("kind = {}", basic(kind))));
        fields.extend(publish.then(|| format!("publish = {}", basic(path))));
        text.push_str(&format!("outputs.{name} = {{ {} }}\n", fields.join(", ")));
    }
    if !step.pass_env.is_empty() {
        let names: Vec<String> = step.pass_env.iter().map(|name| basic(name)).collect();
        text.push_str(&format!("pass_env = [{}]\n", names.join(", ")));
    }
    if !step.cached {
        text.push_str("cache = false\n");
    }
    text
}

/// A plain value; what TOML cannot hold becomes a text.
fn value(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) if number.is_f64() => toml::Value::Float(float).to_string(),
            _ => basic(&number.to_string()),
        },
        Value::String(text) => basic(text),
        other => basic(&other.to_string()),
    }
}

/// A text in one line.
fn basic(text: &str) -> String {
    let simple = |c: char| !c.is_control() && c != '\'';
    if (text.contains('"') || text.contains('\\')) && text.chars().all(simple) {
        return format!("'{text}'");
    }
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A command, in several lines if it has several.
fn long(text: &str) -> String {
    let simple = |c: char| !c.is_control() || c == '\n' || c == '\t';
    match text.contains('\n') && !text.contains("'''") && text.chars().all(simple) {
        true => format!("'''\n{text}\n'''"),
        false => basic(text),
    }
}

/// A note as a comment of several lines.
fn remark(note: &Note) -> String {
    let mut text = String::new();
    let mut line = "#".to_owned();
    for word in comment(&note.to_string()).split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDTH {
            text.push_str(&format!("{line}\n"));
            line = "#  ".to_owned();
        }
        line.push_str(&format!(" {word}"));
    }
    format!("{text}{line}\n")
}

/// A text that may stand in a comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in ["plain", "it's", "a \"b\"", "a \"b\" 'c'", "a\\b", "a\tb\nc", "\u{1}", "'''\n"] {
            for written in [basic(text), long(text)] {
                let table: toml::Table = format!("x = {written}").parse().unwrap();
                assert_eq!(
                    table["x"].as_str().unwrap().trim_end_matches('\n'),
                    text.trim_end_matches('\n'),
                    "{written}"
                );
            }
        }
        assert_eq!(long("a\n  \"b\" \\\n c"), "'''\na\n  \"b\" \\\n c\n'''");
    }

    #[test]
    fn values_keep_their_type() {
        let written: Vec<String> = ["1", "1.0", "1e-05", "true", "\"a\"", "99999999999999999999"]
            .map(|json| value(&serde_json::from_str(json).unwrap()))
            .to_vec();
        assert_eq!(
            written,
            ["1", "1.0", "0.00001", "true", "\"a\"", "100000000000000000000.0"].map(str::to_owned).to_vec()
        );
    }
}
