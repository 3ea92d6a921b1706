//! Events: CloudEvents from those who have a token, and webhooks from those who sign.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::json;
use tidemill_engine::graph::{On, Webhook};
use tidemill_engine::name::TriggerName;
use tidemill_engine::trigger::{Addressed, Ask, Received};
use tidemill_triggers::event::{EventError, Limits, received};
use tidemill_triggers::webhook::{Hook, Secret, Verified};

use super::admit::{Caller, too_many};
use super::problem::Problem;
use super::triggers::kept;
use super::{Api, Served};

type Answer<T> = Result<T, Problem>;

/// A signed message is larger only by mistake.
const LARGEST_WEBHOOK: usize = 8 << 20;
/// What is larger takes one of a few turns until it is there.
const SMALL_WEBHOOK: u64 = 256 << 10;
/// A signed message must have come within this time: nobody knows yet whose it is.
const ARRIVES: Duration = Duration::from_secs(10);

fn refused(error: &EventError) -> Problem {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Problem::new(status, error.to_string())
}

/// Takes events, in any of the forms of CloudEvents over HTTP.
pub(super) async fn receive(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let events = received(&headers, &body, &Limits::default()).map_err(|error| refused(&error))?;
    let mut all: Vec<Received> = Vec::new();
    for event in events {
        let event = event.as_value();
        all.extend(kept(served.ask(|reply| Ask::Event { event, only: None, reply }).await?)?);
    }
    Ok(answer(&all))
}

/// What is answered: which triggers took it.
fn answer(all: &[Received]) -> Response {
    let reasons: Vec<&str> = all.iter().filter_map(|received| received.refused.as_deref()).collect();
    if !all.is_empty() && reasons.len() == all.len() {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reasons.join("; ")).into_response();
    }
    (StatusCode::ACCEPTED, Json(json!({ "received": all }))).into_response()
}

/// Takes a signed message for one trigger. Whatever is wrong with its sender is answered alike, also that there is no such trigger.
pub(super) async fn webhook(
    State(api): State<Arc<Api>>,
    Path((project, pipeline, trigger)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Answer<Response> {
    if !api.signed.take(std::time::Instant::now()) {
        return Err(too_many());
    }
    let stranger = || Problem::new(StatusCode::UNAUTHORIZED, "the message is not signed as it must be");
    let (head, body) = request.into_parts();
    let is_small = body.size_hint().upper().is_some_and(|size| size <= SMALL_WEBHOOK);
    let body = async {
        // Those that take their time keep no small ones waiting.
        let _turn = match is_small {
            true => None,
            false => Some(api.bodies.acquire().await.map_err(|error| Problem::internal(&error))?),
        };
        let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "a message has at most 8 MiB");
        to_bytes(body, LARGEST_WEBHOOK).await.map_err(|_| too_large())
    };
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the message did not come in time");
    let body = tokio::time::timeout(ARRIVES, body).await.map_err(late)??;
    let Some(served) = api.projects.get(&project) else { return Err(stranger()) };
    let (file, name, hook) = hook(served, &pipeline, &trigger).await?.ok_or_else(stranger)?;
    let Verified { event, replay_key, .. } =
        hook.verify(&head.headers, &body, Timestamp::now()).map_err(|error| {
            tracing::warn!(project, trigger, %error, "a message was not taken");
            stranger()
        })?;
    let event = event.as_value();
    let only = Some(Addressed { file, trigger: name, replay_key });
    Ok(answer(&kept(served.ask(|reply| Ask::Event { event, only, reply }).await?)?))
}

/// How messages for a trigger are verified; none if there is no such trigger, or its secret is not there.
async fn hook(served: &Served, pipeline: &str, trigger: &str) -> Answer<Option<(String, TriggerName, Hook)>> {
    let pipelines = served.pipelines().await?;
    let Some((file, pipeline)) = pipelines.find(pipeline) else { return Ok(None) };
    let found = pipeline.triggers.iter().find(|own| own.name.as_str() == trigger && own.enabled);
    let Some((own, Webhook { sender, secrets, window })) = found.and_then(|own| match &own.on {
        On::Event(wanted) => wanted.webhook.as_ref().map(|webhook| (own, webhook)),
        _ => None,
    }) else {
        return Ok(None);
    };
    let mut known = Vec::with_capacity(secrets.len());
    for variable in secrets {
        let secret = served.project.variable(variable).map(Secret::new);
        match secret {
            Some(Ok(secret)) if sender.accepts(&secret).is_ok() => known.push(secret),
            _ => tracing::error!(
                trigger,
                variable,
                "the secret of this webhook is not in the environment, or none that its sender could have"
            ),
        }
    }
    if known.is_empty() {
        return Ok(None);
    }
    let name = format!("{}:{trigger}", pipeline.name);
    let hook = Hook { name, sender: *sender, secrets: known, window: *window };
    Ok(Some((file.to_owned(), own.name.clone(), hook)))
}
