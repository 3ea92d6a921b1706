//! Fingerprints: commands whose output enters a key, for state that no file shows. They run side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_cache::Digest;
use tokio::task::JoinSet;

use crate::error::EngineError;
use crate::graph::{Fingerprint, Graph};
use crate::process::{Command, LazyWarden, Status, run_quick};
use crate::project::Project;

/// Where outputs with a `max_age` are remembered.
const SPACE: &str = "fingerprint";

#[derive(Serialize, Deserialize)]
struct Remembered {
    taken: jiff::Timestamp,
    output: String,
}

/// Takes the fingerprints that the skeleton of the graph asks for, in its order, equal commands once.
///
/// # Errors
/// If one fails, takes too long or prints something that is not text.
pub(crate) async fn take_all(
    project: &Project,
    graph: &Graph,
    warden: &LazyWarden,
) -> Result<Vec<Option<String>>, EngineError> {
    let mut outputs: BTreeMap<&str, String> = BTreeMap::new();
    let mut running = JoinSet::new();
    for (question, step) in graph.skeleton.watched() {
        let Some(fingerprint) = &question.fingerprint else { continue };
        if outputs.contains_key(fingerprint.command.as_str()) {
            continue;
        }
        let remembered = recall(project, graph, fingerprint);
        let fresh = remembered.is_some();
        outputs.insert(&fingerprint.command, remembered.unwrap_or_default());
        if fresh {
            continue;
        }
        let warden = warden.get().await?;
        let command = Command {
            id: format!("fingerprint-{}", Digest::of(fingerprint.command.as_bytes()).short()),
            argv: ["sh", "-euc", &fingerprint.command].map(String::from).to_vec(),
            env: project.plain_environment(),
            folder: graph.folder.clone(),
            log: "/dev/null".into(),
            redact: Vec::new(),
            kind: None,
            fence: None,
            trace: None,
        };
        let (step, fingerprint) = (graph.step(*step).id.to_string(), fingerprint.clone());
        running.spawn(async move {
            let answer = run_quick(&warden, command, fingerprint.timeout).await;
            let wrong = |reason: String| EngineError::KeyPart {
                step: step.clone(),
                what: "its fingerprint".to_owned(),
                reason: format!("`{}` {reason}", fingerprint.command),
            };
            let (exit, output) = answer.map_err(|error| wrong(format!("failed: {error}")))?;
            match exit.status {
                Status::Code(0) => {}
                Status::Code(code) => return Err(wrong(format!("exited with {code}"))),
                Status::Signal(signal) => return Err(wrong(format!("was ended by signal {signal}"))),
            }
            let output = String::from_utf8(output)
                .map_err(|_| wrong("printed something that is not UTF-8 text".to_owned()))?;
            Ok((fingerprint, output.trim_end().to_owned()))
        });
    }
    while let Some(joined) = running.join_next().await {
        let (fingerprint, output) = joined.expect("a fingerprint's task does not panic")?;
        remember(project, graph, &fingerprint, &output);
        if let Some(slot) = outputs.get_mut(fingerprint.command.as_str()) {
            *slot = output;
        }
    }
    let of = |fingerprint: &Fingerprint| outputs.get(fingerprint.command.as_str()).cloned();
    Ok(graph
        .skeleton
        .watched()
        .iter()
        .map(|(question, _)| question.fingerprint.as_ref().and_then(of))
        .collect())
}

fn memory_key(graph: &Graph, fingerprint: &Fingerprint) -> Vec<u8> {
    format!("{}\0{}", graph.folder, fingerprint.command).into_bytes()
}

fn recall(project: &Project, graph: &Graph, fingerprint: &Fingerprint) -> Option<String> {
    let max_age = fingerprint.max_age?;
    let bytes = project.cache().recall(SPACE, &memory_key(graph, fingerprint))?;
    let remembered: Remembered = serde_json::from_slice(&bytes).ok()?;
    // A time from the future makes the conversion fail: then it is taken anew.
    let age = Duration::try_from(jiff::Timestamp::now().duration_since(remembered.taken)).ok()?;
    (age <= max_age).then_some(remembered.output)
}

fn remember(project: &Project, graph: &Graph, fingerprint: &Fingerprint, output: &str) {
    if fingerprint.max_age.is_some() {
        let remembered = Remembered { taken: jiff::Timestamp::now(), output: output.to_owned() };
        if let Ok(bytes) = serde_json::to_vec(&remembered) {
            project.cache().remember(SPACE, &memory_key(graph, fingerprint), &bytes);
        }
    }
}
