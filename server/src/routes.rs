//! The protocol's paths: who may ask, which model answers, and the answer.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tidemill_steps::model::TensorSpec;
use tokio::sync::Semaphore;

use crate::answer::Refusal;
use crate::datatype::Datatype;
use crate::decode::{self, wire_shape};
use crate::encode;
use crate::endpoints::{Endpoints, Loaded};
use crate::metrics::Metrics;
use crate::protocol::{
    BINARY_EXTENSION, InferRequest, InferResponse, JSON_LENGTH, ModelMetadata, ServerMetadata, TensorMetadata,
};
use crate::token::Token;

/// The largest body that is taken.
const BODY_LIMIT: usize = 64 << 20;

/// The platform of all models, as the protocol spells it.
const PLATFORM: &str = "onnx_onnxv1";

/// What every request may use.
pub(crate) struct Shared {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) token: Token,
    pub(crate) metrics: Metrics,
    /// As many models compute at once as there are cores; the others wait their turn.
    pub(crate) turns: Arc<Semaphore>,
}

/// The paths of the protocol.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/v2", get(server_metadata))
        .route("/v2/", get(server_metadata))
        .route("/v2/models/{model}", get(model_metadata))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", get(model_metadata))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .route("/metrics", get(metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared.clone(), admit))
        .with_state(shared.clone());
    Router::new()
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .with_state(shared)
        .merge(guarded)
}

/// Lets only those in who bring the token, before anything else is told, also what exists.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if shared.token.admits(given) {
        next.run(request).await
    } else {
        let message = "a token is needed: send the header `Authorization: Bearer TOKEN`";
        Refusal::new(StatusCode::UNAUTHORIZED, message).into_response()
    }
}

async fn live() -> Response {
    Json(json!({ "live": true })).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let ready = shared.endpoints.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "live": true }))).into_response()
}

async fn server_metadata() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: "tidemill",
        version: env!("CARGO_PKG_VERSION"),
        extensions: [BINARY_EXTENSION],
    })
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.metrics.render()).into_response()
}

async fn unknown_path() -> Refusal {
    Refusal::missing("there is nothing under this path; `GET /v2/models/NAME` describes a model")
}

async fn wrong_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
}

/// Which model a path names.
#[derive(Debug, Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

type Named = Result<Path<Target>, PathRejection>;

/// The model that a path names.
fn find(shared: &Shared, named: Named) -> Result<(String, Arc<Loaded>), Refusal> {
    let Path(target) = named.map_err(|_| Refusal::missing("the path names no model"))?;
    let name = target.model;
    let Some(loaded) = shared.endpoints.get(&name) else {
        return Err(Refusal::missing(format!("there is no model {name:?} here")));
    };
    if target.version.is_some_and(|version| version != loaded.version.to_string()) {
        let version = loaded.version;
        return Err(Refusal::missing(format!("model {name:?} is served in version {version} only")));
    }
    Ok((name, loaded))
}

async fn model_ready(State(shared): State<Arc<Shared>>, named: Named) -> Result<Response, Refusal> {
    let (name, _) = find(&shared, named)?;
    Ok(Json(json!({ "name": name, "ready": true })).into_response())
}

async fn model_metadata(State(shared): State<Arc<Shared>>, named: Named) -> Result<Response, Refusal> {
    let (name, loaded) = find(&shared, named)?;
    let metadata = ModelMetadata {
        name: &name,
        versions: [loaded.version.to_string()],
        platform: PLATFORM,
        inputs: loaded.model.inputs().iter().map(tensor_metadata).collect(),
        outputs: loaded.model.outputs().iter().map(tensor_metadata).collect(),
    };
    Ok(Json(metadata).into_response())
}

fn tensor_metadata(spec: &TensorSpec) -> TensorMetadata<'_> {
    let (datatype, shape) = (Datatype::of(spec.element), wire_shape(&spec.shape));
    TensorMetadata { name: &spec.name, datatype, shape }
}

async fn infer(State(shared): State<Arc<Shared>>, named: Named, request: Request) -> Response {
    let arrived = Instant::now();
    let (name, loaded) = match find(&shared, named) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = answer(&shared, &name, loaded.clone(), request).await;
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    shared.metrics.record(&name, loaded.version, response.status().as_u16(), arrived.elapsed());
    response
}

async fn answer(
    shared: &Shared,
    name: &str,
    loaded: Arc<Loaded>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let body = read(&head.headers, body).await?;
    let json_length = json_length(&head.headers, body.len())?;
    let Ok(turn) = shared.turns.clone().acquire_owned().await else { return Err(Refusal::internal()) };
    let name = name.to_owned();
    // A model computes on a thread where it may take its time. The turn goes with it: a client that leaves does not
    // let another model begin beside it.
    let computing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        compute(&name, &loaded, &body, json_length)
    });
    computing.await.map_err(|error| {
        tracing::error!(%error, "a model failed");
        Refusal::internal()
    })?
}

/// The whole body, if it is not too large and not packed.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let packed = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity");
    if packed.is_some() {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "packed bodies are not taken"));
    }
    let too_large = || {
        let limit = BODY_LIMIT >> 20;
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} MiB"))
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        use std::error::Error as _;
        // axum tells a body that is too long from one that broke off only by the source's text.
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        if text.contains("limit") { too_large() } else { Refusal::bad("the body broke off") }
    })
}

/// How long the JSON part of the body is.
fn json_length(headers: &HeaderMap, body: usize) -> Result<usize, Refusal> {
    let Some(value) = headers.get(JSON_LENGTH) else { return Ok(body) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
    length.filter(|length| *length <= body).ok_or_else(|| {
        Refusal::bad("the header Inference-Header-Content-Length is no length within the body")
    })
}

fn compute(name: &str, loaded: &Loaded, body: &[u8], json_length: usize) -> Result<Response, Refusal> {
    let (head, binary) = body.split_at(json_length);
    let request: InferRequest = serde_json::from_slice(head)
        .map_err(|error| Refusal::bad(format!("the body is no inference request: {error}")))?;
    let model = &loaded.model;
    let names: Vec<&str> = model.outputs().iter().map(|output| output.name.as_str()).collect();
    let wanted = encode::wanted(&request, &names)?;
    let inputs = decode::inputs(request.inputs, binary, model.inputs())?;
    let given =
        model.run(inputs).map_err(|error| Refusal::bad(format!("the model cannot take this: {error}")))?;
    let Some(encoded) = encode::outputs(given, &wanted) else {
        tracing::error!("model {name} gave other outputs than it declares");
        return Err(Refusal::internal());
    };
    let answer = InferResponse {
        model_name: name,
        model_version: loaded.version.to_string(),
        id: request.id,
        outputs: encoded.outputs,
    };
    let Ok(mut bytes) = serde_json::to_vec(&answer) else { return Err(Refusal::internal()) };
    if !encoded.any_binary {
        return Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response());
    }
    let length = bytes.len();
    bytes.extend(encoded.binary);
    let mut response = ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response();
    response.headers_mut().insert(JSON_LENGTH, HeaderValue::from(length));
    Ok(response)
}
