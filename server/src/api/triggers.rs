//! Triggers and the queue: what there is, what waits, and firing one.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidemill_engine::graph::On;
use tidemill_engine::name::{PipelineName, TriggerName};
use tidemill_engine::project::ProjectError;
use tidemill_engine::trigger::{ArrivalId, Ask, Order, Pipelines, QueueError, Received, View};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::admit::Caller;
use super::problem::Problem;
use super::{Api, Served};

type Answer<T> = Result<T, Problem>;

/// A trigger as it is told.
#[derive(Debug, Serialize)]
struct Told {
    pipeline: String,
    file: String,
    trigger: TriggerName,
    kind: &'static str,
    enabled: bool,
    /// When its next time comes, if it waits for times.
    next: Option<Timestamp>,
}

impl Served {
    /// Asks the dispatcher.
    pub(super) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let gone = || Problem::busy("the project is not answered any more");
        self.asks.send(ask(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// The pipelines as their files are now: only what changed is read again.
    pub(super) async fn pipelines(&self) -> Answer<Pipelines> {
        let (project, before) = (self.project.clone(), Arc::clone(&self.pipelines));
        let read = spawn_blocking(move || {
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            let pipelines = Pipelines::read(&project, &before)?;
            before.clone_from(&pipelines);
            Ok::<_, ProjectError>(pipelines)
        });
        read.await.map_err(|error| Problem::internal(&error))?.map_err(|error| {
            tracing::error!(%error, project = %self.project.root(), "its project file or its folder cannot be read");
            Problem::busy("the project cannot be read as it is now; the log of the daemon says why")
        })
    }

    /// The file and the name of the pipeline that a text names.
    pub(super) async fn pipeline(&self, pipeline: &str) -> Answer<(String, PipelineName)> {
        let pipelines = self.pipelines().await?;
        let found = pipelines.find(pipeline).map(|(file, own)| (file.to_owned(), own.name.clone()));
        found.ok_or_else(|| Problem::missing(format!("the project has no pipeline {pipeline:?}")))
    }
}

/// What became of a request that the queue was to keep.
pub(super) fn kept<T>(answer: Result<T, QueueError>) -> Answer<T> {
    answer.map_err(|error| match error {
        QueueError::Full { .. } => Problem::busy(error.to_string()),
        error => Problem::internal(&error),
    })
}

/// The triggers of a project.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Answer<Json<Value>> {
    let pipelines = caller.project(&api, &project)?.pipelines().await?;
    let now = Timestamp::now();
    let mut triggers = Vec::new();
    for (file, pipeline) in pipelines.iter() {
        for trigger in &pipeline.triggers {
            let next = match &trigger.on {
                On::Cron { schedule, .. } if trigger.enabled => schedule.next_after(now),
                _ => None,
            };
            triggers.push(Told {
                pipeline: pipeline.name.to_string(),
                file: file.to_owned(),
                trigger: trigger.name.clone(),
                kind: trigger.on.kind(),
                enabled: trigger.enabled,
                next,
            });
        }
    }
    Ok(Json(json!({ "triggers": triggers })))
}

/// The pipelines of a project.
pub(super) async fn pipelines(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Answer<Json<Value>> {
    let pipelines = caller.project(&api, &project)?.pipelines().await?;
    let told: Vec<Value> = pipelines
        .iter()
        .map(|(file, pipeline)| {
            let triggers: Vec<_> = pipeline.triggers.iter().map(|trigger| &trigger.name).collect();
            json!({ "name": pipeline.name, "file": file, "triggers": triggers, "mistake": pipeline.mistake })
        })
        .collect();
    Ok(Json(json!({ "pipelines": told })))
}

/// How much is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HowMuch {
    limit: Option<usize>,
}

/// So many of what was done with lately are told if nothing else is said.
const TOLD: usize = 20;

/// What the queue of a project holds.
pub(super) async fn queue(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    how: Result<Query<HowMuch>, QueryRejection>,
) -> Answer<Json<View>> {
    let Query(HowMuch { limit }) = how.map_err(|error| Problem::bad(error.body_text()))?;
    let recent = limit.unwrap_or(TOLD);
    if !(1..=1_000).contains(&recent) {
        return Err(Problem::bad("limit goes from 1 to 1000"));
    }
    Ok(Json(caller.project(&api, &project)?.ask(|reply| Ask::Look { recent, reply }).await?))
}

/// What became of one arrival.
pub(super) async fn arrival(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, id)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let project = caller.project(&api, &project)?;
    let none = || Problem::missing("nothing of this id is waiting, running, or was done with lately");
    let id: ArrivalId = id.parse().map_err(|_| none())?;
    let view = project.ask(|reply| Ask::Find { id, reply }).await?;
    if let Some(waiting) = view.waiting.first() {
        return Ok(Json(json!({ "state": "waiting", "arrival": waiting.arrival })));
    }
    if let Some(running) = view.running.first() {
        return Ok(Json(json!({ "state": "running", "run": running.run, "arrival": running.arrival })));
    }
    let settled = view.recent.first().ok_or_else(none)?;
    Ok(Json(json!({ "state": "settled", "settled": settled })))
}

/// What a request to fire says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fire {
    #[serde(default)]
    data: Value,
}

/// Has a trigger act as if its event had come.
pub(super) async fn fire(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, pipeline, trigger)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let (file, _) = served.pipeline(&pipeline).await?;
    let none = || Problem::missing(format!("the pipeline has no trigger {trigger:?} that is enabled"));
    let trigger = TriggerName::new(&trigger).map_err(|_| none())?;
    let Fire { data } = if body.is_empty() { Fire { data: Value::Null } } else { read(&body)? };
    let order = Order { id: key(&headers, &caller)?, file, trigger: trigger.clone(), data };
    let received = kept(served.ask(|reply| Ask::Fire { order, reply }).await?)?;
    Ok(accepted(&project, &received.ok_or_else(none)?))
}

/// What a body says.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Answer<T> {
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("the body cannot be read: {error}")))
}

/// The longest key of a request, in characters.
const LONGEST_KEY: usize = 255;

/// What tells a request from another one, as its sender says, or else by chance.
pub(super) fn key(headers: &HeaderMap, caller: &Caller) -> Answer<String> {
    let Some(key) = headers.get("idempotency-key") else {
        use rand::Rng as _;
        let bits: [u8; 16] = rand::rng().random();
        return Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect());
    };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => Ok(format!("{} {key}", caller.0.name)),
        _ => Err(Problem::bad("Idempotency-Key must have 1 to 255 visible ASCII characters")),
    }
}

/// What is answered when something was kept that leads to a run.
pub(super) fn accepted(project: &str, received: &Received) -> Response {
    if let Some(reason) = &received.refused {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason.clone()).into_response();
    }
    let place = format!("/api/v1/projects/{project}/arrivals/{}", received.arrival);
    (StatusCode::ACCEPTED, [("location", place)], Json(received.clone())).into_response()
}
