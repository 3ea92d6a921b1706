//! The structured form: an event as one JSON object (JSON format, section 3), and JSON without repeated members.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::cloud_event::{Attributes, CloudEvent, media_type};
use super::data::{Data, ExtensionValue};
use super::error::EventError;

impl CloudEvent {
    /// The event as one JSON object: its attributes, its extensions and `data` (or `data_base64`, if it is bytes). It is the
    /// structured form, and what filters and templates see.
    #[must_use]
    pub fn as_value(&self) -> Value {
        let mut members: Map<String, Value> =
            self.attributes().map(|(name, value)| (name.to_owned(), value.to_member())).collect();
        match self.data() {
            None => None,
            Some(Data::Json(value)) => members.insert("data".to_owned(), value.clone()),
            Some(Data::Text(text)) => members.insert("data".to_owned(), text.as_str().into()),
            Some(Data::Binary(bytes)) => {
                members.insert("data_base64".to_owned(), BASE64.encode(bytes).into())
            }
        };
        Value::Object(members)
    }

    /// The structured form as bytes. Its media type is `application/cloudevents+json`.
    #[must_use]
    pub fn to_structured(&self) -> Vec<u8> {
        self.as_value().to_string().into_bytes()
    }
}

impl Serialize for CloudEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CloudEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is kept was accepted once; how much is accepted may have changed since.
        read(Once { levels: usize::MAX }.deserialize(deserializer)?, usize::MAX).map_err(D::Error::custom)
    }
}

/// The event that a JSON object is (JSON format, sections 2.2 and 3.1.2).
pub(super) fn read(value: Value, limit: usize) -> Result<CloudEvent, EventError> {
    let Value::Object(mut members) = value else {
        return Err(EventError::Json { reason: "it is no object".to_owned() });
    };
    let data = members.shift_remove("data");
    let bytes = members.shift_remove("data_base64").filter(|bytes| !bytes.is_null());
    let mut attributes = Attributes::new();
    for (name, value) in members {
        super::attribute::name(&name)?;
        if let Some(value) = ExtensionValue::of_member(&name, value)? {
            attributes.insert(name, value);
        }
    }
    let kind = match attributes.get("datacontenttype") {
        Some(text) => Some(media_type(&text.to_string())?),
        None => None,
    };
    let data = match (data, bytes) {
        (Some(_), Some(_)) => return Err(EventError::data("is there twice: as `data` and as `data_base64`")),
        (None, None) => None,
        (Some(value), None) => Some(Data::of_member(kind.as_ref(), value)?),
        (None, Some(Value::String(text))) => match BASE64.decode(text) {
            Ok(bytes) => Some(Data::of_bytes(kind.as_ref(), bytes)),
            Err(error) => return Err(EventError::data(format!("in `data_base64` is no Base64: {error}"))),
        },
        (None, Some(_)) => return Err(EventError::data("in `data_base64` is no text")),
    };
    CloudEvent::of(attributes, data, limit)
}

/// As many levels as JSON from outside may be nested: far less than the 127 of `serde_json`, so that an event can be kept
/// within other JSON and be read again.
const LEVELS: usize = 64;

/// JSON in which no object has two members of one name, and which is not nested deeper than 64 levels.
///
/// # Errors
/// If it is none; says why not.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Once { levels: LEVELS }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads a value and refuses members that are there more than once, which readers understand differently.
#[derive(Clone, Copy)]
struct Once {
    /// As many levels may be below.
    levels: usize,
}

impl Once {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        levels.map(|levels| Self { levels }).ok_or_else(|| E::custom("it is nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let (below, mut values) = (self.below()?, Vec::new());
        while let Some(value) = elements.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (below, mut values) = (self.below()?, Map::new());
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member `{name}` is there more than once")));
            }
            let value = members.next_value_seed(below)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}
