//! What an event carries, and the values that extension attributes have.

use std::fmt;

use serde_json::Value;

use super::attribute;
use super::error::EventError;
use super::json;
use super::media::{Form, MediaType};

/// What an event carries. Its media type decides which of these it is; bytes that are what the media type announces do not
/// stay bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A JSON value, where the media type is JSON.
    Json(Value),
    /// Text, where the media type is `text/*`, XML or YAML, or where the structured form gave text.
    Text(String),
    /// Bytes of any other kind.
    Binary(Vec<u8>),
}

/// The value of an extension attribute. Binary values, URIs and times are texts, as they are in JSON (JSON format, section
/// 2.2). A header tells no types, so what came in binary mode is always text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionValue {
    /// Yes or no.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// Anything else.
    Text(String),
}

impl fmt::Display for ExtensionValue {
    /// The canonical string of `spec.md`, Type System.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl From<&str> for ExtensionValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl ExtensionValue {
    /// The value that a member of a JSON object has; none if it is null (JSON format, section 2.2).
    pub(super) fn of_member(name: &str, value: Value) -> Result<Option<Self>, EventError> {
        match value {
            Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(Self::Boolean(value))),
            Value::String(value) => Ok(Some(Self::Text(value))),
            Value::Number(number) => match number.as_i64().map(i32::try_from) {
                Some(Ok(value)) => Ok(Some(Self::Integer(value))),
                _ => Err(EventError::attribute(name, "is no whole number of 32 bits")),
            },
            Value::Array(_) | Value::Object(_) => {
                Err(EventError::attribute(name, "is neither text nor a whole number nor a boolean"))
            }
        }
    }

    pub(super) fn to_member(&self) -> Value {
        match self {
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), EventError> {
        match self {
            Self::Text(value) => attribute::text(name, value),
            Self::Boolean(_) | Self::Integer(_) => Ok(()),
        }
    }
}

impl Data {
    /// The data that a member `data` holds (JSON format, section 3.1.2).
    pub(super) fn of_member(kind: Option<&MediaType>, value: Value) -> Result<Self, EventError> {
        kind.map_or(Ok(()), MediaType::check_charset)?;
        match (kind.map_or(Form::Json, MediaType::form), value) {
            (Form::Json, value) => Ok(Self::Json(value)),
            (_, Value::String(text)) => Ok(Self::Text(text)),
            _ => Err(EventError::data("is no text, though its media type is not JSON")),
        }
    }

    /// The data that bytes of a media type are. They stay bytes if they are not what it announces, or if none is named.
    pub(super) fn of_bytes(kind: Option<&MediaType>, bytes: Vec<u8>) -> Self {
        match kind.map(|kind| Self::of_body(Some(kind), &bytes)) {
            Some(Ok(Some(data))) => data,
            _ => Self::Binary(bytes),
        }
    }

    /// The data that a body holds (HTTP binding, section 3.1.2). An empty one holds none.
    ///
    /// Where no media type is given, JSON is taken for JSON: there are SDKs that leave the header out and mean it.
    pub(super) fn of_body(kind: Option<&MediaType>, body: &[u8]) -> Result<Option<Self>, EventError> {
        if body.is_empty() {
            return Ok(None);
        }
        let binary = || Self::Binary(body.to_vec());
        let Some(kind) = kind else {
            return Ok(Some(json::parse(body).map_or_else(|_| binary(), Self::Json)));
        };
        let data = match kind.form() {
            Form::Binary => binary(),
            Form::Json => {
                kind.check_charset()?;
                let wrong = |reason| EventError::data(format!("is not the JSON that is announced: {reason}"));
                Self::Json(json::parse(body).map_err(wrong)?)
            }
            Form::Text => {
                kind.check_charset()?;
                match str::from_utf8(body) {
                    Ok(text) => Self::Text(text.to_owned()),
                    // XML may name its encoding inside, and old text names none.
                    Err(_) if !kind.has_charset() => binary(),
                    Err(_) => return Err(EventError::data("is not the UTF-8 that is announced")),
                }
            }
        };
        Ok(Some(data))
    }

    /// # Errors
    /// If data of this media type is not held so.
    pub(super) fn check(&self, kind: &MediaType) -> Result<(), EventError> {
        if !matches!(self, Self::Binary(_)) {
            kind.check_charset()?;
        }
        match (self, kind.form()) {
            (Self::Json(_), Form::Json)
            | (Self::Text(_), Form::Text | Form::Binary)
            | (Self::Binary(_), _) => Ok(()),
            (Self::Json(_), _) => Err(EventError::data("is JSON, though its media type is not")),
            (Self::Text(_), Form::Json) => Err(EventError::data("is text, though its media type is JSON")),
        }
    }

    /// The bytes that a body has.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
            Self::Binary(bytes) => bytes.clone(),
        }
    }
}
