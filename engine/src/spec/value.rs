//! Values as text, and values from JSON.

use crate::Value;

/// A value as it stands in a text: plain values bare, lists and tables as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::List(_) | Value::Map(_) => serde_json::to_string(value).unwrap_or_else(|_| value.to_string()),
        plain => plain.to_string(),
    }
}

/// What a value is, for people.
pub(crate) fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Text(_) | Value::Bytes(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a table",
    }
}

/// A value from JSON; none for `null` and numbers that are too large.
pub(crate) fn from_json(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None if number.is_f64() => Value::Float(number.as_f64()?),
            None => return None,
        },
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect::<Option<_>>()?),
        serde_json::Value::Object(members) => Value::Map(
            members
                .iter()
                .map(|(name, value)| Some((name.clone(), from_json(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}
