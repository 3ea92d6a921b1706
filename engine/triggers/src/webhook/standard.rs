//! Standard Webhooks 1.0.0, received and sent
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! What is signed is `id.timestamp.body`. Of the schemes, `v1` (HMAC with SHA-256) is read; signatures of others (`v1a`) are
//! passed over, as long as one fits. An id may have no full stop: it could be moved into the time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use url::form_urlencoded;

use super::hook::{Hook, Verified, WebhookError};
use super::request::{content_type, header, json, proof, text};
use super::secret::{Secret, SecretError, same};
use crate::event::{self, CloudEvent, Data};

pub(super) const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
pub(super) const SIGNATURE: &str = "webhook-signature";

/// The type of an event whose body names none.
const KIND: &str = "webhook";

/// The media type of a body that names none.
const BYTES: &str = "application/octet-stream";

/// As many signatures are looked at; senders have one for each secret while they change it.
const SIGNATURES: usize = 16;

/// What a request proved.
pub(super) struct Signed<'a> {
    /// Its id, which stays the same when it is sent again.
    pub(super) id: &'a str,
    /// When it was sent.
    pub(super) time: Timestamp,
}

/// Why a message cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A secret is not fit for it.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Its id is empty, has a full stop, or does not fit into a header.
    #[error("`{id}` is no id of a webhook: visible ASCII characters without a full stop are needed")]
    Id {
        /// The id.
        id: String,
    },
}

/// The headers of a message to be sent, signed by each of these secrets, as receivers need it while they are changed.
/// The id has to stay the same when the message is sent again; the time is that of the attempt.
///
/// # Errors
/// If a secret cannot sign, or if the id is not fit for a header or has a full stop.
pub fn sign_standard(
    secrets: &[Secret],
    id: &str,
    time: Timestamp,
    body: &[u8],
) -> Result<HeaderMap, SignError> {
    if !is_id(id) {
        return Err(SignError::Id { id: id.to_owned() });
    }
    let time = time.as_second().to_string();
    let mut signatures = Vec::new();
    for secret in secrets {
        signatures.push(format!("v1,{}", BASE64.encode(tag(&secret.signing()?, id, &time, body))));
    }
    let values = [(ID, id), (TIMESTAMP, &time), (SIGNATURE, &signatures.join(" "))];
    let value = |text| HeaderValue::from_str(text).expect("ids, numbers and Base64 are visible ASCII");
    Ok(values.into_iter().map(|(name, text)| (http::HeaderName::from_static(name), value(text))).collect())
}

/// What a request proves by the headers of Standard Webhooks.
///
/// # Errors
/// If it proves nothing, or if it was signed outside of the window.
pub(super) fn signed<'a>(
    hook: &Hook,
    headers: &'a HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Signed<'a>, WebhookError> {
    let (id, sent) = (proof(headers, ID)?, proof(headers, TIMESTAMP)?);
    let signatures = proof(headers, SIGNATURE)?;
    if !is_id(id) {
        return Err(WebhookError::malformed(format!("header `{ID}` is no id")));
    }
    let seconds = sent.bytes().all(|byte| byte.is_ascii_digit()).then(|| sent.parse().ok()).flatten();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.ok_or_else(|| WebhookError::malformed(format!("header `{TIMESTAMP}` is no time")))?;
    let given: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
        .take(SIGNATURES)
        .collect();
    let keys = hook.secrets.iter().filter_map(|secret| secret.signing().ok());
    let mut expected = keys.map(|key| tag(&key, id, sent, body));
    if !expected.any(|expected| given.iter().any(|given| same(&expected, given))) {
        return Err(WebhookError::Mismatch);
    }
    let window = SignedDuration::try_from(hook.window).unwrap_or(SignedDuration::MAX);
    if now.duration_since(time).abs() > window {
        return Err(WebhookError::Untimely);
    }
    Ok(Signed { id, time })
}

pub(super) fn verify(
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, WebhookError> {
    let signed = signed(hook, headers, body, now)?;
    let name: String = form_urlencoded::byte_serialize(hook.name.as_bytes()).collect();
    let source = format!("urn:webhook:{}", name.replace('+', "%20"));
    let content = content(headers, body)?;
    let (kind, time) = match &content {
        Some(Data::Json(payload)) => (text(payload, "/type"), text(payload, "/timestamp")),
        _ => (None, None),
    };
    let time = time.and_then(|time| event::time(time).ok()).unwrap_or(signed.time);
    let event = CloudEvent::new(signed.id, &source, kind.unwrap_or(KIND))?.with_time(time)?;
    let event = match content {
        Some(Data::Json(payload)) => event.with_json(payload),
        Some(data) => event.with_data(header(headers, CONTENT_TYPE.as_str())?.unwrap_or(BYTES), data)?,
        None => event,
    };
    Ok(Verified { event, replay_key: hook.key(signed.id), window: Some(hook.window.saturating_mul(2)) })
}

/// The data of a body. The specification recommends an object in JSON with `type`, `timestamp` and `data`, and requires none
/// of it.
fn content(headers: &HeaderMap, body: &[u8]) -> Result<Option<Data>, WebhookError> {
    let kind = content_type(headers)?;
    if body.is_empty() {
        Ok(None)
    } else if kind.is_empty() || kind == "application/json" || kind.ends_with("+json") {
        Ok(Some(Data::Json(json(body)?)))
    } else {
        Ok(Some(Data::Binary(body.to_vec())))
    }
}

fn tag(key: &hmac::Key, id: &str, time: &str, body: &[u8]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
}
