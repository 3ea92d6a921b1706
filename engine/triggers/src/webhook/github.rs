//! Webhooks of GitHub (<https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>).
//!
//! What is signed is the body and nothing else: neither the name of the event, nor the id of the delivery, nor a time. So
//! the signature itself is the key that tells a repetition, under whatever id it comes. The payload names the time of its
//! repository and its objects, so two events do not have the same one. SHA-1 is not read.
//!
//! The names of types, sources and ids follow the adapter of the specification of `CloudEvents`
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/adapters/github.md>), but a source is always the page
//! of a repository or an organization, so that a trigger can name it.

use http::HeaderMap;
use jiff::Timestamp;
use ring::hmac;
use serde_json::Value;
use url::form_urlencoded;

use super::hook::{Hook, Verified, WebhookError};
use super::request::{content_type, header, is_word, object, proof, text};
use super::secret::{hex, same};
use crate::event::CloudEvent;

const SIGNATURE: &str = "x-hub-signature-256";
const EVENT: &str = "x-github-event";
const DELIVERY: &str = "x-github-delivery";

pub(super) fn verify(
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, WebhookError> {
    let signature = proof(headers, SIGNATURE)?;
    let digest = signature.strip_prefix("sha256=").ok_or(WebhookError::Mismatch)?;
    let fits = |key: hmac::Key| same(hex(hmac::sign(&key, body).as_ref()).as_bytes(), digest.as_bytes());
    if !hook.secrets.iter().any(|secret| fits(secret.plain())) {
        return Err(WebhookError::Mismatch);
    }
    let payload = match content_type(headers)?.as_str() {
        "application/json" => object(body)?,
        "application/x-www-form-urlencoded" => object(form(body)?.as_bytes())?,
        other => return Err(WebhookError::malformed(format!("its content type is `{other}`"))),
    };
    let event = event(headers, payload, now)?;
    Ok(Verified { event, replay_key: hook.key(digest), window: None })
}

/// The payload in a form, which is its only field: no signature covers the content type, so a payload in JSON that has
/// `&payload=` in one of its texts must not be read as a form.
fn form(body: &[u8]) -> Result<String, WebhookError> {
    let mut fields = form_urlencoded::parse(body);
    match (fields.next(), fields.next()) {
        (Some((name, payload)), None) if name == "payload" => Ok(payload.into_owned()),
        _ => Err(WebhookError::malformed("its form is not the one field `payload`")),
    }
}

fn event(headers: &HeaderMap, payload: Value, now: Timestamp) -> Result<CloudEvent, WebhookError> {
    let needed = |name| {
        header(headers, name)?.ok_or_else(|| WebhookError::malformed(format!("header `{name}` is missing")))
    };
    let (name, id) = (needed(EVENT)?, needed(DELIVERY)?);
    if !is_word(name) {
        return Err(WebhookError::malformed(format!("header `{EVENT}` names no event")));
    }
    let kind = match text(&payload, "/action").filter(|action| is_word(action)) {
        Some(action) => format!("com.github.{name}.{action}"),
        None => format!("com.github.{name}"),
    };
    let source = match (text(&payload, "/repository/html_url"), text(&payload, "/organization/login")) {
        (Some(page), _) => page.to_owned(),
        (None, Some(login)) => format!("https://github.com/{login}"),
        (None, None) => "https://github.com".to_owned(),
    };
    let mut event = CloudEvent::new(id, &source, &kind)?.with_time(now)?;
    if let Some(reference) = text(&payload, "/ref") {
        event = event.with_subject(reference)?;
    }
    Ok(event.with_json(payload))
}
