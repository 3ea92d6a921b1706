//! The outputs of a run: what there is, and its bytes. A folder is told by what is in it, and its files are had one by one.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use camino::Utf8PathBuf;
use serde_json::{Value, json};
use tidemill_cache::{Artifact, CacheError, Entry, Form, Kind, Place};
use tidemill_engine::Project;
use tidemill_engine::record::RunRecord;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Api;
use super::admit::Caller;
use super::problem::Problem;

type Answer<T> = Result<T, Problem>;

/// The size of a piece, in bytes, and how many wait for who reads slowly.
const PIECE: usize = 256 << 10;
const AHEAD: usize = 4;

/// The outputs of a run.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let record = caller.project(&api, &project)?.run(&run).await?;
    let mut outputs = Vec::new();
    for step in &record.steps {
        for (output, artifact) in &step.outputs {
            outputs.push(json!({ "step": step.step, "output": output, "artifact": artifact }));
        }
    }
    Ok(Json(json!({ "outputs": outputs })))
}

fn find(record: &RunRecord, step: &str, output: &str) -> Answer<Artifact> {
    let found = record.step(step).and_then(|step| step.outputs.get(output));
    found.cloned().ok_or_else(|| Problem::missing("the run has no such output"))
}

/// The bytes of an output, or what is in it if it is a folder.
pub(super) async fn output(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((project, run, step, output)): Path<(String, String, String, String)>,
) -> Answer<Response> {
    let served = caller.project(&api, &project)?;
    let artifact = find(&served.run(&run).await?, &step, &output)?;
    if artifact.form != Form::Folder {
        return bytes(served.project.clone(), artifact).await;
    }
    let project = served.project.clone();
    let manifest = spawn_blocking(move || project.cache().manifest(&artifact)).await;
    let manifest = manifest.map_err(|error| Problem::internal(&error))?.map_err(|error| gone(&error))?;
    let entries: Vec<Value> = manifest.entries().iter().map(entry).collect();
    Ok(Json(json!({ "folder": entries })).into_response())
}

fn entry(entry: &Entry) -> Value {
    let path = entry.path.as_str();
    match &entry.kind {
        Kind::File { executable, size, digest } => {
            json!({ "path": path, "kind": "file", "size": size, "digest": digest, "executable": executable })
        }
        Kind::Folder => json!({ "path": path, "kind": "folder" }),
        Kind::Link { target } => json!({ "path": path, "kind": "link", "target": target }),
    }
}

/// What is told of an output that is not here.
fn gone(error: &CacheError) -> Problem {
    tracing::warn!(%error, "an output that was asked for is not there");
    Problem::new(StatusCode::GONE, "the output is not in the cache any more: a run makes it again")
}

/// The bytes of a file, piece by piece.
async fn bytes(project: Project, artifact: Artifact) -> Answer<Response> {
    let (digest, size) = (artifact.digest.to_string(), artifact.size);
    let opened = spawn_blocking(move || open(&project, &artifact)).await;
    let mut file = opened.map_err(|error| Problem::internal(&error))??;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(AHEAD);
    spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece);
            let is_last = !matches!(&read, Ok(count) if *count > 0);
            let told = match read {
                Ok(0) => break,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(Bytes::from(piece))
                }
                Err(error) => Err(error),
            };
            if sender.blocking_send(told).is_err() || is_last {
                break;
            }
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::ETAG, format!("\"{digest}\"")),
        // Whatever it holds is shown by no browser.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
    ];
    Ok((head, Body::from_stream(stream)).into_response())
}

/// Opens a file of the cache. It can be read to its end whatever becomes of the cache meanwhile.
fn open(project: &Project, artifact: &Artifact) -> Answer<File> {
    let internal = |error: &dyn std::error::Error| Problem::internal(error);
    let cache = project.cache();
    // From looking until it is open, no collection of garbage removes it.
    let _using = cache.running().map_err(|error| internal(&error))?;
    let below = cache.state().join("get");
    std::fs::create_dir_all(&below).map_err(|error| internal(&error))?;
    let folder = tempfile::tempdir_in(&below).map_err(|error| internal(&error))?;
    let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned())
        .map(|path| (folder, path))
        .map_err(|_| Problem::busy("the state folder has a name that is not UTF-8"))?;
    let path = folder.1.join("artifact");
    cache.place(artifact, &path, Place::ReadOnly).map_err(|error| gone(&error))?;
    File::open(&path).map_err(|error| internal(&error))
}
