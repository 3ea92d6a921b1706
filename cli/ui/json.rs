//! Results for programs: the very types, with the version of their form.

use serde::Serialize;
use serde_json::{Map, Value};

/// The version of what `--json` prints; it rises when an old reader would misunderstand.
pub(crate) const VERSION: u32 = 1;

/// A value as JSON text. An object gets a field `version`; anything else is put into one, under `value`.
pub(crate) fn render<T: Serialize>(value: &T) -> String {
    format!("{:#}\n", object(value))
}

/// The same on one line, for streams of many.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    format!("{}\n", object(value))
}

fn object<T: Serialize>(value: &T) -> Value {
    let value = serde_json::to_value(value).unwrap_or_else(|error| {
        // Our types have text keys only, so this cannot be; a program would rather read why than nothing.
        Value::String(format!("no JSON form: {error}"))
    });
    let mut object = Map::new();
    object.insert("version".to_owned(), VERSION.into());
    match value {
        Value::Object(fields) => object.extend(fields),
        other => {
            object.insert("value".to_owned(), other);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Answer {
        steps: u32,
    }

    #[test]
    fn the_version_comes_first() {
        assert_eq!(render(&Answer { steps: 8 }), "{\n  \"version\": 1,\n  \"steps\": 8\n}\n");
        assert_eq!(line(&Answer { steps: 8 }), "{\"version\":1,\"steps\":8}\n");
        assert_eq!(render(&[1]), "{\n  \"version\": 1,\n  \"value\": [\n    1\n  ]\n}\n");
    }
}
