//! All paths of the interface in one table: the routes and the OpenAPI document are made from it, so they cannot differ.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::problem::Problem;
use super::tokens::Scope;
use super::{Api, admit, artifacts, events, openapi, runs, streams, triggers};

/// The largest body that is taken, but for signed messages.
const LARGEST: usize = 1 << 20;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Anybody: what is told tells nothing.
    Open,
    /// Whoever has a token.
    Token,
    /// Whoever has a token with this scope.
    Scope(Scope),
    /// Whoever signs.
    Signed,
}

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Json,
    Text,
    Bytes,
    Events,
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    /// JSON of this schema; whether it must be there.
    Json(fn() -> Value, bool),
    /// A CloudEvent in any form.
    Event,
    /// What its sender signs.
    Signed,
}

/// What may stand in the query of a path: its name, its schema, what it is.
pub(super) type Queried = (&'static str, fn() -> Value, &'static str);

/// A path with a method.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) guard: Guard,
    pub(super) about: &'static str,
    pub(super) body: Body,
    pub(super) query: &'static [Queried],
    /// The status of success, and what it holds.
    pub(super) answer: (u16, Holds),
    /// Other statuses than those that all have.
    pub(super) others: &'static [u16],
    pub(super) handler: fn() -> MethodRouter<Arc<Api>>,
}

fn start_schema() -> Value {
    json!({
        "type": "object",
        "required": ["pipeline"],
        "additionalProperties": false,
        "properties": {
            "pipeline": { "type": "string", "description": "The pipeline, by its name or its file." },
            "params": {
                "type": "object",
                "description": "Values of parameters, by dotted name.",
                "additionalProperties": { "not": { "type": "null" } },
            },
        },
    })
}

fn fire_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { "data": { "description": "The data of the event." } },
    })
}

fn limit_schema() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 1000 })
}

fn text_schema() -> Value {
    json!({ "type": "string" })
}

fn truth_schema() -> Value {
    json!({ "type": "boolean" })
}

const READ: Guard = Guard::Scope(Scope::Read);
const RUN: Guard = Guard::Scope(Scope::Run);
const NOTHING: Endpoint = Endpoint {
    method: "get",
    path: "",
    guard: READ,
    about: "",
    body: Body::None,
    query: &[],
    answer: (200, Holds::Json),
    others: &[404],
    handler: || get(live),
};

/// The table.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/api/v1/health/live",
        guard: Guard::Open,
        about: "Whether the daemon lives.",
        others: &[],
        handler: || get(live),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/health/ready",
        guard: Guard::Open,
        about: "Whether the daemon takes requests: it does not while it stops.",
        others: &[503],
        handler: || get(ready),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/openapi.json",
        guard: Guard::Token,
        about: "This document.",
        others: &[],
        handler: || get(openapi::document),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects",
        about: "The projects that the token may see.",
        others: &[],
        handler: || get(projects),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/pipelines",
        about: "The pipelines of a project.",
        handler: || get(triggers::pipelines),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/triggers",
        about: "The triggers of a project.",
        handler: || get(triggers::list),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/queue",
        about: "What waits, what runs, and what was done with lately.",
        query: &[("limit", limit_schema, "How many of what was done with, at most (20).")],
        others: &[400, 404],
        handler: || get(triggers::queue),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/arrivals/{arrival}",
        about: "What became of one arrival.",
        handler: || get(triggers::arrival),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs",
        about: "The newest runs.",
        query: &[
            ("pipeline", text_schema, "Only runs of this pipeline."),
            ("limit", limit_schema, "How many, at most (50)."),
        ],
        others: &[400, 404],
        handler: || get(runs::list),
        ..NOTHING
    },
    Endpoint {
        method: "post",
        path: "/api/v1/projects/{project}/runs",
        guard: RUN,
        about: "Start a run. With the header Idempotency-Key, the same request again leads to the same run.",
        body: Body::Json(start_schema, true),
        answer: (202, Holds::Json),
        others: &[400, 404, 413, 422],
        handler: || post(runs::start),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs/{run}",
        about: "One run with its steps.",
        handler: || get(runs::one),
        ..NOTHING
    },
    Endpoint {
        method: "post",
        path: "/api/v1/projects/{project}/runs/{run}/cancel",
        guard: RUN,
        about: "Ask a run to stop.",
        answer: (202, Holds::Json),
        others: &[404, 409],
        handler: || post(runs::cancel),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs/{run}/events",
        about: "The events of a run, from its beginning, while it goes on (server-sent events).",
        answer: (200, Holds::Events),
        handler: || get(streams::events),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs/{run}/steps/{step}/log",
        about: "What a step said; with follow=true while it goes on.",
        query: &[("follow", truth_schema, "Whether to wait for more while the step runs.")],
        answer: (200, Holds::Text),
        others: &[400, 404],
        handler: || get(streams::log),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs/{run}/artifacts",
        about: "The outputs of a run.",
        handler: || get(artifacts::list),
        ..NOTHING
    },
    Endpoint {
        path: "/api/v1/projects/{project}/runs/{run}/artifacts/{step}/{output}",
        guard: Guard::Scope(Scope::Artifacts),
        about: "The bytes of an output, or what is in it if it is a folder.",
        answer: (200, Holds::Bytes),
        others: &[404, 410],
        handler: || get(artifacts::output),
        ..NOTHING
    },
    Endpoint {
        method: "post",
        path: "/api/v1/projects/{project}/pipelines/{pipeline}/triggers/{trigger}/fire",
        guard: RUN,
        about: "Have a trigger act as if its event had come.",
        body: Body::Json(fire_schema, false),
        answer: (202, Holds::Json),
        others: &[400, 404, 413, 422],
        handler: || post(triggers::fire),
        ..NOTHING
    },
    Endpoint {
        method: "post",
        path: "/api/v1/projects/{project}/events",
        guard: Guard::Scope(Scope::Event),
        about: "Send an event: a CloudEvent in binary or structured form, or a batch of them.",
        body: Body::Event,
        answer: (202, Holds::Json),
        others: &[400, 404, 413, 415, 422],
        handler: || post(events::receive),
        ..NOTHING
    },
    Endpoint {
        method: "post",
        path: "/api/v1/projects/{project}/pipelines/{pipeline}/triggers/{trigger}/webhook",
        guard: Guard::Signed,
        about: "Send a signed message to a trigger (GitHub, GitLab, Standard Webhooks).",
        body: Body::Signed,
        answer: (202, Holds::Json),
        others: &[400, 408, 413, 422],
        handler: || post(events::webhook).layer(DefaultBodyLimit::disable()),
        ..NOTHING
    },
];

/// The routes.
pub(super) fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let handler = (endpoint.handler)();
        let scope = match endpoint.guard {
            Guard::Open | Guard::Signed => None,
            Guard::Token => Some(None),
            Guard::Scope(scope) => Some(Some(scope)),
        };
        let handler = match scope {
            Some(scope) => handler.layer(from_fn_with_state((api.clone(), scope), admit::admit)),
            None => handler,
        };
        router = router.route(endpoint.path, handler);
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(from_fn(admit::within_time))
        .with_state(api)
}

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(api): State<Arc<Api>>) -> Response {
    let ready = !*api.stopping.borrow();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready }))).into_response()
}

async fn projects(
    State(api): State<Arc<Api>>,
    axum::Extension(caller): axum::Extension<admit::Caller>,
) -> Json<Value> {
    let seen: Vec<&String> = api.projects.keys().filter(|name| caller.may_see(name)).collect();
    Json(json!({ "projects": seen }))
}

/// What exists is told to those only who have a token.
async fn unknown_path(State(api): State<Arc<Api>>, headers: HeaderMap) -> Problem {
    match api.caller(&headers) {
        Ok(_) => {
            Problem::missing("there is nothing under this path; /api/v1/openapi.json says what there is")
        }
        Err(problem) => problem,
    }
}

async fn wrong_method(State(api): State<Arc<Api>>, headers: HeaderMap) -> Problem {
    match api.caller(&headers) {
        Ok(_) => Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method"),
        Err(problem) => problem,
    }
}
