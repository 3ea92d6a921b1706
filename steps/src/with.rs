//! The `with` table of a built-in step: read from its type, checked all at once, and described by its comments.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tidemill_engine::Value;
use tidemill_engine::interface::{Field, WithProblem};

use crate::nearest::nearest;
use crate::{StepError, Task};

/// The type of a `with` table.
pub(crate) trait With: DeserializeOwned + JsonSchema {
    /// What is wrong although every value has the right type.
    fn problems(&self) -> Vec<WithProblem> {
        Vec::new()
    }
}

/// A problem at this place.
pub(crate) fn problem(path: &[&str], message: impl Into<String>) -> WithProblem {
    let path = path.iter().map(|&part| part.to_owned()).collect();
    WithProblem { path, message: message.into(), help: None }
}

/// A problem if the share is not in its range.
pub(crate) fn share(path: &[&str], share: f64) -> Option<WithProblem> {
    let wrong = !(0.0..1.0).contains(&share);
    wrong.then(|| problem(path, format!("{share} is no share: at least 0 and less than 1")))
}

/// The `with` table of a task.
pub(crate) fn read<W: With>(task: &Task) -> Result<W, StepError> {
    let with: W = task.with()?;
    match with.problems().into_iter().next() {
        None => Ok(with),
        Some(problem) => Err(StepError::With { path: problem.path.join("."), message: problem.message }),
    }
}

/// What is wrong with a table: everything that can be told at once.
pub(crate) fn check<W: With>(with: &Value) -> Vec<WithProblem> {
    let Ok(mut json) = serde_json::to_value(with) else {
        return vec![problem(&[], "the table cannot be read")];
    };
    if json.is_null() {
        json = Json::Object(serde_json::Map::new());
    }
    let mut problems: Vec<WithProblem> = Vec::new();
    // Reading stops at the first mistake, so the mistake is noted and taken out, and the rest is read again.
    loop {
        let error = match serde_path_to_error::deserialize::<_, W>(&json) {
            Ok(with) if problems.is_empty() => return with.problems(),
            Ok(_) => return problems,
            Err(error) => error,
        };
        let found = describe(&error);
        let removed = !found.path.is_empty() && remove(&mut json, &found.path);
        let follows_from_removal = problems.iter().any(|known| {
            known.path.last().is_some_and(|name| found.message == format!("missing field `{name}`"))
        });
        if !follows_from_removal {
            problems.push(found);
        }
        if !removed {
            return problems;
        }
    }
}

fn describe(error: &serde_path_to_error::Error<serde_json::Error>) -> WithProblem {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    };
    let mut path: Vec<String> = error.path().iter().filter_map(segment).collect();
    let message = error.inner().to_string();
    // The words between back quotes: what is unknown first, then what is known.
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let help = match words.split_first() {
        Some((word, known)) if unknown => {
            nearest(word, known.iter().copied()).map(|near| format!("is `{near}` meant?"))
        }
        _ => None,
    };
    if let (true, Some(word)) = (message.starts_with("unknown field"), words.first())
        && path.last().map(String::as_str) != Some(*word)
    {
        path.push((*word).to_owned());
    }
    WithProblem { path, message, help }
}

/// Takes out the value at the path, or what holds it if that is no table.
fn remove(json: &mut Json, path: &[String]) -> bool {
    let (Json::Object(map), Some((name, rest))) = (json, path.split_first()) else { return false };
    let inner = map.get_mut(name).filter(|_| !rest.is_empty());
    inner.is_some_and(|inner| remove(inner, rest)) || map.remove(name).is_some()
}

/// The fields of a table with their manual, from the type's comments.
pub(crate) fn fields<W: With>() -> Vec<Field> {
    let schema = schemars::schema_for!(W);
    let text = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let required = |name: &str| {
        let names = schema.get("required").and_then(Json::as_array);
        names.is_some_and(|names| names.iter().any(|other| other == name))
    };
    let properties = schema.get("properties").and_then(Json::as_object);
    let field = |(name, property): (&String, &Json)| Field {
        name: text(name.clone()),
        required: required(name),
        kind: text(kind(property, schema.as_value())),
        doc: text(property["description"].as_str().unwrap_or_default().replace('\n', " ")),
    };
    properties.into_iter().flatten().map(field).collect()
}

/// The type of a property in words.
fn kind(property: &Json, schema: &Json) -> String {
    if let Some(path) = property["$ref"].as_str() {
        return schema.pointer(path.trim_start_matches('#')).map_or_else(String::new, |p| kind(p, schema));
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = property[choice].as_array() {
            let kinds: Vec<String> =
                choices.iter().map(|c| kind(c, schema)).filter(|k| !k.is_empty()).collect();
            return kinds.join(" or ");
        }
    }
    if let Some(words) = property["enum"].as_array() {
        return words
            .iter()
            .filter_map(Json::as_str)
            .map(|w| format!("`{w}`"))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    if let Some(word) = property["const"].as_str() {
        return format!("`{word}`");
    }
    let types = match &property["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).filter(|t| *t != "null").collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    };
    let word = |name: &str| match name {
        "number" => "number".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" => "text".to_owned(),
        "array" => format!("list of {}", kind(&property["items"], schema)),
        "object" => "table".to_owned(),
        _ => String::new(),
    };
    types.into_iter().map(word).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A table for these tests.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the names and types matter")]
    struct Sample {
        /// What to predict.
        target: String,
        /// How much to hold back; by default 0.2.
        #[serde(default)]
        test: f64,
        /// Names.
        #[serde(default)]
        features: Option<Vec<String>>,
        #[serde(default)]
        inner: std::collections::BTreeMap<String, Inner>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the names and types matter")]
    struct Inner {
        #[serde(default)]
        min: Option<f64>,
    }

    impl With for Sample {}

    fn value(pairs: &[(&str, Value)]) -> Value {
        Value::map(pairs.iter().cloned())
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let column = value(&[("mni", Value::Int(1))]);
        let with = value(&[
            ("tset", Value::Float(0.2)),
            ("target", Value::Int(3)),
            ("features", Value::List(vec![Value::text("a"), Value::Int(1)])),
            ("inner", value(&[("age", column)])),
        ]);
        let problems = check::<Sample>(&with);
        let paths: Vec<String> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(problems.len(), 4, "{problems:#?}");
        for path in ["tset", "target", "features.1", "inner.age.mni"] {
            assert!(paths.contains(&path.to_owned()), "{path} in {paths:?}");
        }
        let slip = problems.iter().find(|problem| problem.path == ["tset"]).unwrap();
        assert_eq!(slip.help.as_deref(), Some("is `test` meant?"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let problems = check::<Sample>(&value(&[]));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "missing field `target`");
    }

    #[test]
    fn the_comments_are_the_manual() {
        let fields = fields::<Sample>();
        let described: Vec<_> = fields.iter().map(|f| (f.name, f.required, f.kind, f.doc)).collect();
        assert_eq!(described[0], ("target", true, "text", "What to predict."));
        assert_eq!(described[1], ("test", false, "number", "How much to hold back; by default 0.2."));
        assert_eq!(described[2].2, "list of text");
    }
}
