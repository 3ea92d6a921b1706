//! The JSON Schema of the language, for editors; made from the same tables that check a file.
//!
//! Draft 07, since TOML language servers know no later one well. What they can show beyond it is under `x-taplo`: the
//! documentation of a field, and the fields that a new table begins with.

use serde_json::{Map, Value, json};

use super::field::{Field, Naming, PIPELINE_FILE, Shape};
use crate::interface::Interface;

/// The JSON Schema (draft 07) of a pipeline file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(PIPELINE_FILE);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Tidemill pipeline");
    schema["description"] =
        json!("A pipeline: parameters and steps. `tidemill check` tells what no schema can.");
    schema
}

/// The same, and `uses` takes the names of these built-in steps only.
#[must_use]
pub fn schema_for(interfaces: &[Interface]) -> Value {
    let mut schema = schema();
    let uses = &mut schema["properties"]["steps"]["additionalProperties"]["properties"]["uses"];
    uses["enum"] = interfaces.iter().map(|interface| interface.name).collect();
    uses["x-taplo"]["docs"]["enumValues"] = interfaces.iter().map(|interface| interface.summary).collect();
    schema
}

fn table(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut property = shape(&field.shape);
        document(&mut property, field);
        // An editor that shows one of several forms shows the form's own words.
        for form in property.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
            document(form, field);
        }
        if let Shape::Table(fields) = field.shape
            && fields.iter().any(|field| field.required)
        {
            let first = fields.iter().filter(|field| field.required).map(|field| field.name);
            property["x-taplo"]["initKeys"] = first.collect();
        }
        properties.insert(field.name.to_owned(), property);
    }
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

/// What an editor shows of a field: its sentence, and an example.
fn document(property: &mut Value, field: &Field) {
    property["description"] = json!(field.doc);
    let main = format!("{}\n\n```toml\n{}\n```", field.doc, field.example);
    property["x-taplo"] = json!({ "docs": { "main": main } });
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Duration | Shape::Size => json!({ "type": "string" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::Truth => json!({ "type": "boolean" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Any => json!({}),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(item) }),
        Shape::Table(fields) => table(fields),
        Shape::Map(naming, value) => {
            let mut map = json!({ "type": "object", "additionalProperties": self::shape(value) });
            if let Some(pattern) = pattern(*naming) {
                map["propertyNames"] = json!({ "pattern": pattern });
            }
            map
        }
        Shape::OneOf(shapes) => json!({ "anyOf": shapes.iter().map(self::shape).collect::<Vec<_>>() }),
    }
}

fn pattern(naming: Naming) -> Option<&'static str> {
    match naming {
        Naming::Plain | Naming::Step => Some("^[a-z_][a-z0-9_-]{0,63}$"),
        Naming::Variable => Some("^[A-Za-z_][A-Za-z0-9_]*$"),
        Naming::Parameter => Some("^[A-Za-z0-9_-]+$"),
        Naming::Free => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::field::STEP;

    #[test]
    fn every_field_is_in_the_schema_with_a_sentence() {
        let schema = schema();
        let step = &schema["properties"]["steps"]["additionalProperties"];
        for field in STEP {
            assert!(step["properties"][field.name]["description"].is_string(), "{}", field.name);
        }
        assert_eq!(step["additionalProperties"], json!(false));
        assert_eq!(schema["required"], json!(["pipeline"]));
        assert_eq!(schema["properties"]["pipeline"]["x-taplo"]["initKeys"], json!(["name"]));
    }
}
