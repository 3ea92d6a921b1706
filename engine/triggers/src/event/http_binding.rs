//! Events as HTTP brings them, and how one is sent: binary, structured and batched mode (HTTP binding, section 3).

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::cloud_event::{Attributes, CloudEvent, media_type};
use super::data::{Data, ExtensionValue};
use super::error::{EventError, Limits};
use super::media::MediaType;
use super::{json, percent};

/// What the names of the headers of an event begin with (section 3.1.3.1).
const PREFIX: &str = "ce-";

/// The events that a request brings: one in binary or structured mode, any number in batched mode. `Content-Type` decides
/// which mode it is (section 3). If one event of a batch is wrong, none is accepted.
///
/// # Errors
/// If it is no event, a wrong one, one in a format that is not read, or more than is accepted.
pub fn received(headers: &HeaderMap, body: &[u8], limits: &Limits) -> Result<Vec<CloudEvent>, EventError> {
    if body.len() > limits.body {
        return Err(EventError::BodyTooLarge { bytes: body.len(), limit: limits.body });
    }
    let text = match only(headers, CONTENT_TYPE.as_str())? {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| {
            EventError::attribute(
                "datacontenttype",
                "has other than printable ASCII characters in its header",
            )
        })?),
    };
    let kind = text.map(media_type).transpose()?;
    let parsed = || json::parse(body).map_err(|reason| EventError::Json { reason });
    match kind {
        Some(kind) if kind.essence == "application/cloudevents+json" => {
            kind.check_charset()?;
            Ok(vec![json::read(parsed()?, limits.attribute)?])
        }
        Some(kind) if kind.essence == "application/cloudevents-batch+json" => {
            kind.check_charset()?;
            batch(parsed()?, limits)
        }
        Some(kind) if kind.essence.starts_with("application/cloudevents") => Err(EventError::Unsupported {
            content_type: kind.essence,
            reason: "of the formats of events, JSON is",
        }),
        kind => Ok(vec![binary(headers, text, kind.as_ref(), body, limits)?]),
    }
}

/// JSON format, section 4.
fn batch(value: Value, limits: &Limits) -> Result<Vec<CloudEvent>, EventError> {
    let Value::Array(values) = value else {
        return Err(EventError::Json { reason: "a batch is an array".to_owned() });
    };
    if values.len() > limits.batch {
        return Err(EventError::BatchTooLarge { events: values.len(), limit: limits.batch });
    }
    let numbered = (1..).zip(values);
    numbered
        .map(|(number, value)| {
            json::read(value, limits.attribute)
                .map_err(|error| EventError::InBatch { number, error: Box::new(error) })
        })
        .collect()
}

/// Section 3.1.
fn binary(
    headers: &HeaderMap,
    content_type: Option<&str>,
    kind: Option<&MediaType>,
    body: &[u8],
    limits: &Limits,
) -> Result<CloudEvent, EventError> {
    let mut attributes = Attributes::new();
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else { continue };
        if name == "datacontenttype" {
            let reason = "is told by `Content-Type`; a header `ce-datacontenttype` may not be there";
            return Err(EventError::attribute(name, reason));
        }
        if let Some(value) = only(headers, header.as_str())? {
            let value =
                percent::decoded(value.as_bytes()).map_err(|reason| EventError::attribute(name, reason))?;
            attributes.insert(name.to_owned(), ExtensionValue::Text(value));
        }
    }
    if !attributes.contains_key("specversion") {
        return Err(EventError::Missing { name: "specversion" });
    }
    if let Some(text) = content_type {
        attributes.insert("datacontenttype".to_owned(), text.into());
    }
    CloudEvent::of(attributes, Data::of_body(kind, body)?, limits.attribute)
}

/// The one value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, EventError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(EventError::RepeatedHeader { name: name.to_owned() }),
        (value, None) => Ok(value),
    }
}

impl CloudEvent {
    /// The event in binary mode: its headers, `Content-Type` among them if it has one, and its body.
    #[must_use]
    pub fn to_binary(&self) -> (HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        for (name, value) in self.attributes() {
            let (name, value) = match name {
                "datacontenttype" => (CONTENT_TYPE, value.to_string()),
                _ => (header(name), percent::encoded(&value.to_string())),
            };
            let value = HeaderValue::from_str(&value)
                .expect("a media type and percent-encoded text are visible ASCII");
            headers.insert(name, value);
        }
        if matches!(self.data(), Some(Data::Binary(_))) {
            // Without a media type, what looks like JSON would be read as JSON.
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        }
        (headers, self.data().map(Data::to_bytes).unwrap_or_default())
    }
}

fn header(name: &str) -> HeaderName {
    let name = format!("{PREFIX}{name}");
    HeaderName::try_from(name).expect("names of attributes are lower-case letters and digits")
}
