//! Webhooks of GitLab (<https://docs.gitlab.com/user/project/integrations/webhooks/>).
//!
//! There are two ways. A *signing token* (`whsec_…`, <https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944>, of 2026)
//! signs as Standard Webhooks do, with an id that is also the `Idempotency-Key`. A *secret token* is sent along in
//! `X-Gitlab-Token`: it proves that the sender knows it and nothing of the body, and whoever reads one request can write
//! others. So a hook whose secrets are all signing tokens accepts no secret token, and `whsec_…` is never taken for one.
//!
//! What tells a delivery from others is the `Idempotency-Key`, which stays the same when it is sent again
//! (<https://gitlab.com/gitlab-org/gitlab/-/merge_requests/160952>). Older versions send none. Their `X-Gitlab-Event-UUID`
//! is the same for all that one hook sets off, so the body has to tell them apart; `X-Gitlab-Webhook-UUID` tells hooks.
//!
//! Types follow the adapter of the specification of `CloudEvents`
//! (<https://github.com/cloudevents/spec/blob/main/cloudevents/adapters/gitlab.md>), but what follows the kind of object
//! is its action, or else its status, always.

use http::HeaderMap;
use jiff::Timestamp;
use ring::digest;
use serde_json::Value;

use super::hook::{Hook, Verified, WebhookError};
use super::request::{header, is_word, object, text};
use super::secret::hex;
use super::standard;
use crate::event::CloudEvent;

const TOKEN: &str = "x-gitlab-token";
const INSTANCE: &str = "x-gitlab-instance";
const KEY: &str = "idempotency-key";
const EVENT: &str = "x-gitlab-event-uuid";

pub(super) fn verify(
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, WebhookError> {
    let signs = hook.secrets.iter().any(|secret| secret.is_marked());
    let is_signed = signs && header(headers, standard::SIGNATURE)?.is_some();
    let proved = if is_signed { standard::signed(hook, headers, body, now).map(Some) } else { Ok(None) };
    let signed = match proved {
        Ok(Some(signed)) => Some(signed),
        // While one way is changed for the other, the token may be the one that fits.
        other => match token(hook, headers) {
            Ok(()) => None,
            Err(error) => return Err(other.err().unwrap_or(error)),
        },
    };
    let payload = object(body)?;
    let (id, window) = match signed {
        Some(signed) => (signed.id.to_owned(), Some(hook.window.saturating_mul(2))),
        None => (id(headers, body)?, None),
    };
    Ok(Verified { event: event(headers, payload, &id, now)?, replay_key: hook.key(&id), window })
}

/// Whether a secret token that is not a signing token is sent along.
fn token(hook: &Hook, headers: &HeaderMap) -> Result<(), WebhookError> {
    let mut secrets = hook.secrets.iter().filter(|secret| !secret.is_marked()).peekable();
    let wanted = if secrets.peek().is_some() { TOKEN } else { standard::SIGNATURE };
    let token = match header(headers, TOKEN)? {
        Some(token) if wanted == TOKEN => token,
        _ => return Err(WebhookError::Missing { header: wanted }),
    };
    if secrets.any(|secret| secret.is(token.as_bytes())) { Ok(()) } else { Err(WebhookError::Mismatch) }
}

/// What tells the delivery from others.
fn id(headers: &HeaderMap, body: &[u8]) -> Result<String, WebhookError> {
    if let Some(key) = header(headers, KEY)? {
        return Ok(key.to_owned());
    }
    let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
    Ok(match header(headers, EVENT)? {
        Some(event) => format!("{event}-{digest}"),
        None => digest,
    })
}

fn event(headers: &HeaderMap, payload: Value, id: &str, now: Timestamp) -> Result<CloudEvent, WebhookError> {
    let first = |places: &[&str]| places.iter().find_map(|place| text(&payload, place));
    let name = first(&["/object_kind", "/event_name"]).filter(|name| is_word(name));
    let name =
        name.ok_or_else(|| WebhookError::malformed("it names neither `object_kind` nor `event_name`"))?;
    let change =
        first(&["/object_attributes/action", "/object_attributes/status", "/build_status", "/status"]);
    let kind = match change.filter(|change| is_word(change)) {
        Some(change) => format!("com.gitlab.{name}.{change}"),
        None => format!("com.gitlab.{name}"),
    };
    let source = match first(&["/project/web_url", "/repository/homepage", "/group/web_url"]) {
        Some(page) => page,
        None => header(headers, INSTANCE)?.unwrap_or("https://gitlab.com"),
    };
    let mut event = CloudEvent::new(id, source, &kind)?.with_time(now)?;
    if let Some(reference) = first(&["/ref", "/object_attributes/ref"]) {
        event = event.with_subject(reference)?;
    }
    Ok(event.with_json(payload))
}
