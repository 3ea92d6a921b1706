//! Runs: starting one, the list, one of them, its cancellation.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tidemill_engine::load;
use tidemill_engine::name::RunId;
use tidemill_engine::record::{OfPipeline, Query as Question, RecordError, RunRecord, StopError};
use tidemill_engine::trigger::Ask;
use tokio::task::spawn_blocking;

use super::admit::Caller;
use super::problem::Problem;
use super::triggers::{accepted, kept, key, read};
use super::{Api, Served};

type Answer<T> = Result<T, Problem>;

/// So many runs are listed if nothing else is said, and at most.
const LISTED: usize = 50;
const MOST_LISTED: usize = 1_000;

/// What a request for a run says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    /// The pipeline, by its name or its file.
    pipeline: String,
    /// Values of parameters, by dotted name.
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

/// Starts a run.
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let Start { pipeline, params } = read(&body)?;
    if let Some(name) = params.iter().find(|(_, value)| value.is_null()).map(|(name, _)| name) {
        return Err(Problem::bad(format!("the parameter {name:?} cannot be null")));
    }
    let (file, pipeline) = served.pipeline(&pipeline).await?;
    if !params.is_empty() {
        served.check_params(&file, json!(params)).await?;
    }
    let (key, by) = (key(&headers, &caller)?, caller.0.name.clone());
    let received = kept(served.ask(|reply| Ask::Run { pipeline, file, params, key, by, reply }).await?)?;
    Ok(accepted(&project, &received))
}

impl Served {
    /// Refuses values that no parameter of a pipeline can take: its run would end before it begins.
    async fn check_params(&self, file: &str, params: Value) -> Answer<()> {
        let (project, file) = (self.project.clone(), self.project.root().join(file));
        let wrong = spawn_blocking(move || load::check_params(&project, &file, params.to_string())).await;
        match wrong.map_err(|error| Problem::internal(&error))? {
            Ok(wrong) if !wrong.is_empty() => {
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, wrong.join("; ")))
            }
            // A file that has gone in this moment is the dispatcher's.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Which runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    pipeline: Option<String>,
    limit: Option<usize>,
}

/// The newest runs.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Answer<Json<Value>> {
    let served = caller.project(&api, &project)?;
    let Query(Which { pipeline, limit }) = which.map_err(|error| Problem::bad(error.body_text()))?;
    let limit = limit.unwrap_or(LISTED);
    if limit == 0 || limit > MOST_LISTED {
        return Err(Problem::bad(format!("limit goes from 1 to {MOST_LISTED}")));
    }
    let file = match &pipeline {
        Some(name) => Some(served.pipeline(name).await?.0),
        None => None,
    };
    let question = Question {
        pipeline: pipeline.map(|name| OfPipeline { name, file }),
        conditions: Vec::new(),
        sort: None,
        columns: None,
        limit,
    };
    let history = served.history.clone();
    let found = spawn_blocking(move || history.select(&question)).await;
    let found =
        found.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::internal(&error))?;
    Ok(Json(json!({ "runs": found.runs, "matched": found.matched })))
}

impl Served {
    /// The run with this id.
    pub(super) async fn run(&self, run: &str) -> Answer<RunRecord> {
        let none = || Problem::missing(format!("there is no run {run:?}"));
        let id = RunId::new(run).map_err(|_| none())?;
        let history = self.history.clone();
        let found = spawn_blocking(move || history.find(id.as_str())).await;
        match found.map_err(|error| Problem::internal(&error))? {
            // A beginning of an id is one for people.
            Ok(record) if record.run.as_str() == run => Ok(record),
            Ok(_)
            | Err(RecordError::NotFound { .. } | RecordError::Ambiguous { .. } | RecordError::Empty) => {
                Err(none())
            }
            Err(error) => Err(Problem::internal(&error)),
        }
    }
}

/// One run.
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run)): Path<(String, String)>,
) -> Answer<Json<RunRecord>> {
    Ok(Json(caller.project(&api, &project)?.run(&run).await?))
}

/// Asks a run to stop. It ends when its steps have.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run)): Path<(String, String)>,
) -> Answer<(StatusCode, Json<Value>)> {
    let served = caller.project(&api, &project)?;
    let record = served.run(&run).await?;
    match served.history.stop(&record.run) {
        Ok(was_alive) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "run": record.run, "was_alive": was_alive }))))
        }
        Err(error @ (StopError::Unknown { .. } | StopError::Elsewhere { .. })) => {
            Err(Problem::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error) => Err(Problem::internal(&error)),
    }
}
