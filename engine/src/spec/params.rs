//! Parameters: defaults from the file, and what the command line and parameter files put in their place.

use std::collections::{BTreeMap, BTreeSet};

use crate::Value;

use super::LoadRequest;
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::tree::{self, Kind, Node};
use super::{suggest, value};

/// All parameters by dotted name.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) overrides: BTreeMap<String, Value>,
    /// Dotted names that hold other parameters.
    groups: BTreeSet<String>,
}

impl Parameters {
    /// The parameters of a file with everything that was handed in.
    pub(crate) fn read(table: Option<&Node>, request: &LoadRequest<'_>, problems: &mut Problems) -> Self {
        let mut parameters = Self::default();
        if let Some(table) = table {
            parameters.flatten("", table);
        }
        for (path, text) in request.params_files {
            parameters.file(path.as_str(), path.extension(), text, problems);
        }
        for (name, text) in request.set {
            let typed = tree::single_value(text).map(|node| node.value());
            parameters.replace("--set", name, typed, Some(text), problems);
        }
        parameters
    }

    /// Why there is no such parameter, and what to do.
    pub(crate) fn advice(&self, name: &str) -> Option<String> {
        if self.groups.contains(name) {
            let inside = format!("{name}.");
            let members = self.values.keys().filter(|name| name.starts_with(&inside));
            return Some(format!("it holds {}", suggest::list(members.map(String::as_str))));
        }
        suggest::advice(name, "parameters", self.values.keys().map(String::as_str))
    }

    /// What a value of this parameter must be, if this one is not.
    pub(crate) fn wanted(&self, name: &str, given: &Value) -> Option<&'static str> {
        let default = self.values.get(name)?;
        fit(default, given.clone()).is_none().then(|| value::noun(default))
    }

    fn flatten(&mut self, prefix: &str, table: &Node) {
        for entry in table.entries() {
            let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
            if let Kind::Table(_) = entry.value.kind {
                self.flatten(&name, &entry.value);
                self.groups.insert(name);
            } else {
                self.values.insert(name, entry.value.value());
            }
        }
    }

    fn file(&mut self, path: &str, extension: Option<&str>, text: &str, problems: &mut Problems) {
        let values = match extension {
            Some("toml") => toml_values(text),
            Some("json") => serde_json::from_str(text).map_err(|error| error.to_string()).and_then(|json| {
                value::from_json(&json).ok_or_else(|| "a value is null or too large".to_owned())
            }),
            _ => Err("only `.toml` and `.json` files can hold parameters".to_owned()),
        };
        let message = match values {
            Ok(Value::Map(members)) => {
                members.into_iter().for_each(|(name, member)| self.member(path, &name, member, problems));
                return;
            }
            Ok(_) => format!("{path} holds no table of parameters"),
            Err(error) => format!("{path} cannot be read: {error}"),
        };
        problems.add(Diagnostic::new(Code::ParamsFile, message));
    }

    fn member(&mut self, path: &str, name: &str, member: Value, problems: &mut Problems) {
        match member {
            Value::Map(members) if !self.values.contains_key(name) => {
                for (part, member) in members {
                    self.member(path, &format!("{name}.{part}"), member, problems);
                }
            }
            other => self.replace(path, name, Some(other), None, problems),
        }
    }

    /// Puts a value in the place of a default. A default that is a text takes what was typed as it is.
    fn replace(
        &mut self,
        whence: &str,
        name: &str,
        given: Option<Value>,
        typed: Option<&str>,
        problems: &mut Problems,
    ) {
        let Some(default) = self.values.get(name) else {
            let message = format!("{whence}: there is no parameter `{name}`");
            problems.add(Diagnostic::new(Code::UnknownParameter, message).maybe_help(self.advice(name)));
            return;
        };
        let fitted = match (default, given, typed) {
            (Value::Text(_), Some(Value::Text(text)), _) => Some(Value::Text(text)),
            (Value::Text(_), _, Some(typed)) => Some(Value::text(typed)),
            (_, given, _) => given.and_then(|given| fit(default, given)),
        };
        match fitted {
            Some(fitted) => {
                self.values.insert(name.to_owned(), fitted.clone());
                self.overrides.insert(name.to_owned(), fitted);
            }
            None => {
                let default = value::noun(default);
                let message = format!("{whence}: the parameter `{name}` must be {default}");
                let help = typed.map(|typed| format!("`{typed}` is not {default}"));
                problems.add(Diagnostic::new(Code::ParameterType, message).maybe_help(help));
            }
        }
    }
}

fn toml_values(text: &str) -> Result<Value, String> {
    text.parse::<toml::Table>().map_err(|error| error.to_string().trim_end().to_owned())?;
    let mut problems = Problems::default();
    let tree = tree::document(text, &mut problems);
    tree.filter(|_| problems.is_empty())
        .map(|tree| tree.value())
        .ok_or_else(|| "a value is no finite number, or nested too deeply".to_owned())
}

/// The value, if it has the type of the default; a whole number may stand for a number.
#[expect(clippy::cast_precision_loss, reason = "a whole number given for a number is meant as that number")]
fn fit(default: &Value, given: Value) -> Option<Value> {
    match (default, given) {
        (Value::Float(_), Value::Int(number)) => Some(Value::Float(number as f64)),
        (default, given) => {
            (std::mem::discriminant(default) == std::mem::discriminant(&given)).then_some(given)
        }
    }
}
