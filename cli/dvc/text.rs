//! Texts of a `dvc.yaml` with their `${…}` looked up. What stays a reference in the pipeline (a parameter, an axis of a matrix,
//! an input) stands in the text as one character of Unicode's private use area, so that everything that looks for words and
//! paths in a text sees it as one letter.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::yaml::scalar_text;

/// The first of the characters that stand for references.
const FIRST: u32 = 0xE000;
/// The last of them.
const LAST: u32 = 0xF8FF;

/// What a character stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reference {
    /// A parameter, by its dotted name, with its value.
    Param(String, Value),
    /// An axis of the step's matrix.
    Axis(String),
    /// An input of the step.
    Input(String),
}

/// All references of a document; equal ones have the same character.
#[derive(Debug, Default)]
pub(super) struct References(Vec<Reference>);

impl References {
    /// The character for a reference; none if there are too many.
    pub(super) fn letter(&mut self, reference: Reference) -> Option<char> {
        let place = self.0.iter().position(|known| *known == reference).unwrap_or_else(|| {
            self.0.push(reference);
            self.0.len() - 1
        });
        let code = FIRST + u32::try_from(place).ok()?;
        (code <= LAST).then(|| char::from_u32(code)).flatten()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter()
    }

    /// What a character stands for.
    pub(super) fn of(&self, letter: char) -> Option<&Reference> {
        is_reference(letter).then(|| self.0.get((u32::from(letter) - FIRST) as usize)).flatten()
    }

    /// The text with values in the place of references: those of a member of a stage for axes.
    pub(super) fn plain(&self, text: &str, axes: &BTreeMap<String, String>) -> String {
        let mut plain = String::new();
        for letter in text.chars() {
            match self.of(letter) {
                Some(Reference::Param(_, value)) => plain.push_str(&scalar_text(value)),
                Some(Reference::Axis(axis)) => plain.push_str(axes.get(axis).map_or("", String::as_str)),
                Some(Reference::Input(_)) => {}
                None => plain.push(letter),
            }
        }
        plain
    }

    /// The text with values in the place of axes alone.
    pub(super) fn fixed(&self, text: &str, axes: &BTreeMap<String, String>) -> String {
        let value = |letter| match self.of(letter) {
            Some(Reference::Axis(axis)) => axes.get(axis).cloned().unwrap_or_default(),
            _ => String::from(letter),
        };
        text.chars().map(value).collect()
    }

    /// The text with values in the place of parameters alone.
    pub(super) fn without_params(&self, text: &str) -> String {
        let value = |letter| match self.of(letter) {
            Some(Reference::Param(_, value)) => scalar_text(value),
            _ => String::from(letter),
        };
        text.chars().map(value).collect()
    }

    /// The text as the pipeline writes it; a literal `${` is escaped.
    pub(super) fn written(&self, text: &str) -> String {
        let mut written = String::new();
        for letter in text.replace("${", "$${").chars() {
            match self.of(letter) {
                Some(Reference::Param(name, _)) => written.push_str(&format!("${{params.{name}}}")),
                Some(Reference::Axis(axis)) => written.push_str(&format!("${{matrix.{axis}}}")),
                Some(Reference::Input(input)) => written.push_str(&format!("${{inputs.{input}}}")),
                None => written.push(letter),
            }
        }
        written
    }
}

/// Whether a character stands for a reference. A `dvc.yaml` that has such characters of its own is refused.
pub(super) fn is_reference(letter: char) -> bool {
    (FIRST..=LAST).contains(&u32::from(letter))
}

/// What the `${…}` of a text may name.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    /// Values of the whole file.
    pub(super) vars: &'a Map<String, Value>,
    /// Values of the stage alone.
    pub(super) own: Map<String, Value>,
    /// `${item}` and `${key}` of one member of a stage.
    pub(super) item: Option<Value>,
    pub(super) key: Option<Value>,
    /// The axes that `${item}` (under the empty name) or `${item.NAME}` stand for, with their names in the pipeline.
    pub(super) axes: BTreeMap<String, String>,
}

/// What a name stands for.
struct Found<'a> {
    value: &'a Value,
    reference: Option<Reference>,
    /// Its name among the parameters, if it can have one.
    param: Option<String>,
}

impl Scope<'_> {
    /// The text with its references looked up. In a command, values of the whole file stay references.
    ///
    /// # Errors
    /// What cannot be looked up, for people.
    pub(super) fn command(&self, raw: &str, references: &mut References) -> Result<String, String> {
        self.resolve(raw, &mut |found, text: &mut String| {
            match found.value {
                Value::Object(members) => flags(members, ("", found.param.as_deref()), references, text),
                value => letter_or_text(value, found.reference.clone(), references, text)?,
            }
            Ok(())
        })
    }

    /// The text of a path or a name: only axes stay references.
    ///
    /// # Errors
    /// What cannot be looked up, for people.
    pub(super) fn path(&self, raw: &str, references: &mut References) -> Result<String, String> {
        self.resolve(raw, &mut |found, text: &mut String| {
            let axis = found.reference.clone().filter(|reference| matches!(reference, Reference::Axis(_)));
            letter_or_text(found.value, axis, references, text)
        })
    }

    /// The value that a text names if it is one `${…}` and nothing else.
    pub(super) fn value(&self, raw: &str) -> Option<Value> {
        let inner = raw.trim().strip_prefix("${")?.strip_suffix('}')?;
        self.find(inner.trim()).ok().map(|found| found.value.clone())
    }

    fn resolve(
        &self,
        raw: &str,
        take: &mut dyn FnMut(&Found<'_>, &mut String) -> Result<(), String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = raw;
        while let Some(place) = rest.find("${") {
            let (before, after) = (&rest[..place], &rest[place + 2..]);
            if let Some(before) = before.strip_suffix('\\') {
                text.push_str(before);
                text.push_str("${");
                rest = after;
                continue;
            }
            text.push_str(before);
            let end = after.find('}').ok_or("a `${` is never closed")?;
            let found = self.find(after[..end].trim())?;
            take(&found, &mut text)?;
            rest = &after[end + 1..];
        }
        text.push_str(rest);
        Ok(text)
    }

    fn find(&self, name: &str) -> Result<Found<'_>, String> {
        let unknown = || format!("`${{{name}}}` names nothing that is known");
        let words = words(name).filter(|words| !words.is_empty()).ok_or_else(unknown)?;
        let (first, rest) = words.split_first().ok_or_else(unknown)?;
        if let (Some(item), "item") = (&self.item, first.as_str()) {
            let axis = self.axes.get(&rest.join(".")).map(|axis| Reference::Axis(axis.clone()));
            let value = below(item, rest).ok_or_else(unknown)?;
            return Ok(Found { value, reference: axis, param: None });
        }
        if let (Some(key), "key", true) = (&self.key, first.as_str(), rest.is_empty()) {
            return Ok(Found { value: key, reference: None, param: None });
        }
        if let Some(value) = self.own.get(first).and_then(|value| below(value, rest)) {
            return Ok(Found { value, reference: None, param: None });
        }
        let value = self.vars.get(first).and_then(|value| below(value, rest)).ok_or_else(unknown)?;
        let plain = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        // An item of a list has no name of its own.
        let named =
            words.iter().all(plain) && !words.iter().any(|word| word.bytes().all(|b| b.is_ascii_digit()));
        let param = named.then(|| words.join("."));
        let reference = param.clone().and_then(|name| param_reference(name, value));
        Ok(Found { value, reference, param })
    }
}

/// A parameter as a reference. DVC puts values into a command as they are, so one that a shell would take apart is none.
fn param_reference(name: String, value: &Value) -> Option<Reference> {
    let is_word = match value {
        Value::String(text) => !text.is_empty() && quoted(text) == *text,
        value => value.is_number() || value.is_boolean(),
    };
    is_word.then(|| Reference::Param(name, value.clone()))
}

fn letter_or_text(
    value: &Value,
    reference: Option<Reference>,
    references: &mut References,
    text: &mut String,
) -> Result<(), String> {
    if let Some(reference) = reference {
        text.push(references.letter(reference).ok_or("there are too many different references")?);
        return Ok(());
    }
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("a value in the middle of a text is a list or a table".to_owned())
        }
        scalar => {
            text.push_str(&scalar_text(scalar));
            Ok(())
        }
    }
}

/// A table in a command: each member as an option, as DVC writes it. `above` is the name so far, and that of the parameter.
fn flags(
    members: &Map<String, Value>,
    above: (&str, Option<&str>),
    references: &mut References,
    text: &mut String,
) {
    for (own, value) in members {
        let name = if above.0.is_empty() { own.clone() } else { format!("{}.{own}", above.0) };
        let param = above.1.map(|above| format!("{above}.{own}"));
        let mut word = |word: &str| {
            let space = if text.is_empty() || text.ends_with(char::is_whitespace) { "" } else { " " };
            text.push_str(&format!("{space}{word}"));
        };
        match value {
            Value::Object(members) => flags(members, (&name, param.as_deref()), references, text),
            Value::Bool(true) => word(&format!("--{name}")),
            Value::Bool(false) | Value::Null => {}
            Value::Array(items) => {
                word(&format!("--{name}"));
                items.iter().for_each(|item| word(&quoted(&scalar_text(item))));
            }
            scalar => {
                word(&format!("--{name}"));
                let letter = param
                    .and_then(|name| param_reference(name, scalar))
                    .and_then(|param| references.letter(param));
                word(&letter.map_or_else(|| quoted(&scalar_text(scalar)), String::from));
            }
        }
    }
}

/// A value as one word of a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c) || is_reference(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// `a.b[0].c` as `a`, `b`, `0`, `c`.
fn words(name: &str) -> Option<Vec<String>> {
    let dotted = name.replace('[', ".").replace(']', "");
    let words: Vec<String> = dotted.split('.').map(|word| word.trim().to_owned()).collect();
    words.iter().all(|word| !word.is_empty()).then_some(words)
}

fn below<'a>(value: &'a Value, words: &[String]) -> Option<&'a Value> {
    words.iter().try_fold(value, |value, word| match value {
        Value::Object(members) => members.get(word),
        Value::Array(items) => items.get(word.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(vars: &Map<String, Value>) -> Scope<'_> {
        Scope { vars, own: Map::new(), item: None, key: None, axes: BTreeMap::new() }
    }

    #[test]
    fn values_of_the_file_stay_references_in_commands_and_become_text_in_paths() {
        let vars = json!({ "train": { "lr": 0.1, "opt": "adam", "sizes": [1, 2] } });
        let vars = vars.as_object().unwrap();
        let mut references = References::default();
        let raw = "t.py --lr ${train.lr} ${ train.sizes[1] } \\${HOME}";
        let text = scope(vars).command(raw, &mut references).unwrap();
        assert_eq!(references.written(&text), "t.py --lr ${params.train.lr} 2 $${HOME}");
        assert_eq!(references.plain(&text, &BTreeMap::new()), "t.py --lr 0.1 2 ${HOME}");
        let text = scope(vars).path("models/${train.opt}.pkl", &mut references).unwrap();
        assert_eq!(text, "models/adam.pkl");
        assert!(scope(vars).path("${train.sizes}", &mut references).is_err());
        assert!(scope(vars).path("${nothing}", &mut references).unwrap_err().contains("`${nothing}`"));
        assert!(scope(vars).path("${train.lr", &mut references).is_err());
    }

    #[test]
    fn a_table_becomes_options() {
        let vars = json!({ "model": { "depth": 3, "name": "a b", "fast": true, "slow": false, "opt": { "lr": 0.1 }, "n": [1, 2] } });
        let vars = vars.as_object().unwrap();
        let mut references = References::default();
        let text = scope(vars).command("t.py ${model}", &mut references).unwrap();
        let written = references.written(&text);
        assert_eq!(
            written,
            "t.py --depth ${params.model.depth} --name 'a b' --fast --opt.lr ${params.model.opt.lr} --n 1 2"
        );
    }

    #[test]
    fn the_item_of_a_matrix_is_an_axis() {
        let vars = Map::new();
        let mut scope = scope(&vars);
        scope.item = Some(json!({ "model": "cnn", "conf": { "lr": 1 } }));
        scope.axes = BTreeMap::from([("model".to_owned(), "model".to_owned())]);
        let mut references = References::default();
        let text = scope.path("m/${item.model}-${item.conf.lr}.pkl", &mut references).unwrap();
        assert_eq!(references.written(&text), "m/${matrix.model}-1.pkl");
        assert_eq!(references.plain(&text, &BTreeMap::from([("model".into(), "cnn".into())])), "m/cnn-1.pkl");
    }
}
