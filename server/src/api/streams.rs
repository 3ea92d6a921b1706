//! What grows while it is read: the events of a run, and the log of a step. A stream ends with what it tells of, or with the server.

use std::convert::Infallible;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use camino::Utf8PathBuf;
use serde::Deserialize;
use tidemill_engine::artifact::log_of;
use tidemill_engine::event::Stamped;
use tidemill_engine::name::RunId;
use tidemill_engine::record::History;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::Api;
use super::admit::Caller;
use super::problem::Problem;

type Answer<T> = Result<T, Problem>;

/// How often it is looked for more.
const OFTEN: Duration = Duration::from_millis(250);
/// So many pieces wait for who reads slowly.
const AHEAD: usize = 16;
/// The size of a piece of a log, in bytes.
const PIECE: usize = 64 << 10;

/// The events of a run, from its beginning, while it goes on.
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run)): Path<(String, String)>,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let run = served.run(&run).await?.run;
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(AHEAD);
    tokio::spawn(tell_events(served.history.clone(), run, sender, api.stopping.clone()));
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (event, receiver))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

async fn tell_events(
    history: History,
    run: RunId,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut follower = history.follow(&run);
    let mut number = 0_u64;
    loop {
        // Of a run that does not live the journal is complete; so this is asked first.
        let is_alive = history.is_alive(&run);
        let read = spawn_blocking(move || {
            let more = follower.more();
            (follower, more)
        });
        let Ok((again, more)) = read.await else { return };
        follower = again;
        let more: Vec<Stamped> = match more {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "the journal of a run cannot be read");
                return;
            }
        };
        let none = more.is_empty();
        for stamped in more {
            number += 1;
            let Ok(event) = Event::default().id(number.to_string()).json_data(&stamped) else { continue };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if none && !is_alive {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(OFTEN) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sender.closed() => return,
        }
    }
}

/// How a log is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    follow: bool,
}

/// The log of a step in a run: of its last attempt there, or of the one that made its result.
pub(super) async fn log(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run, step)): Path<(String, String, String)>,
    how: Result<Query<How>, axum::extract::rejection::QueryRejection>,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let Query(How { follow }) = how.map_err(|error| Problem::bad(error.body_text()))?;
    let record = served.run(&run).await?;
    let (project, run_id, name) = (served.project.clone(), record.run.clone(), step.clone());
    let found = spawn_blocking(move || log_of(&project, Some(run_id.as_str()), &name)).await;
    let found = found.map_err(|error| Problem::internal(&error))?;
    let log = found.map_err(|_| Problem::missing(format!("there is no log of {step:?} in this run")))?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let Some(path) = log.path.filter(|_| follow && record.alive) else {
        return Ok((kind, log.text).into_response());
    };
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(AHEAD);
    tokio::spawn(tell_log(served.history.clone(), record.run, step, path, sender, api.stopping.clone()));
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Ok((kind, Body::from_stream(stream)).into_response())
}

/// Tells what is appended to a log for as long as its step runs.
async fn tell_log(
    history: History,
    run: RunId,
    step: String,
    path: Utf8PathBuf,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut read = 0_u64;
    loop {
        let (asked, id, name) = (history.clone(), run.clone(), step.clone());
        let runs = spawn_blocking(move || {
            let record = asked.find(id.as_str()).ok();
            record.is_some_and(|record| {
                record.alive
                    && record.steps.iter().any(|own| own.step.as_str() == name && own.state == "running")
            })
        });
        let is_running = runs.await.unwrap_or(false);
        loop {
            let (from, path) = (read, path.clone());
            let piece = spawn_blocking(move || piece(&path, from)).await;
            let Ok(Ok(piece)) = piece else { return };
            if piece.is_empty() {
                break;
            }
            read += piece.len() as u64;
            if sender.send(Ok(Bytes::from(piece))).await.is_err() {
                return;
            }
        }
        if !is_running {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(OFTEN) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sender.closed() => return,
        }
    }
}

fn piece(path: &Utf8PathBuf, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut piece = Vec::new();
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}
