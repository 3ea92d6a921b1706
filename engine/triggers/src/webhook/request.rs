//! What the requests of all senders have: headers that are there once, and a payload in JSON.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::hook::WebhookError;
use crate::event;

/// Bytes of the longest header that is read: room for a good many signatures.
const LONGEST: usize = 2048;

/// A header, if it is there. It may be there once, in visible ASCII.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, WebhookError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str().map(str::trim) {
            Ok("") => Ok(None),
            Ok(text) if text.len() > LONGEST => {
                Err(WebhookError::malformed(format!("header `{name}` is too long")))
            }
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WebhookError::malformed(format!("header `{name}` is not ASCII"))),
        },
        (Some(_), Some(_)) => {
            Err(WebhookError::malformed(format!("header `{name}` is there more than once")))
        }
    }
}

/// A header that has to be there to prove who sends it.
pub(super) fn proof<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, WebhookError> {
    header(headers, name)?.ok_or(WebhookError::Missing { header: name })
}

/// Type and subtype of the content, in lower case; empty if they are not told.
pub(super) fn content_type(headers: &HeaderMap) -> Result<String, WebhookError> {
    let text = header(headers, CONTENT_TYPE.as_str())?.unwrap_or_default();
    Ok(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A payload, which is a JSON object.
pub(super) fn object(bytes: &[u8]) -> Result<Value, WebhookError> {
    match json(bytes)? {
        value @ Value::Object(_) => Ok(value),
        _ => Err(WebhookError::malformed("the payload is no JSON object")),
    }
}

/// A payload in JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, WebhookError> {
    event::parse(bytes).map_err(|reason| WebhookError::malformed(format!("the payload is no JSON: {reason}")))
}

/// The text that a payload has at a place (a JSON pointer), if it is there and is not empty.
pub(super) fn text<'a>(payload: &'a Value, place: &str) -> Option<&'a str> {
    payload.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether this can be a part of a type: letters, digits, `_` and `-`.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
