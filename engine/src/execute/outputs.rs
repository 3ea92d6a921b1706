//! Taking the outputs of a step that exited 0 into the cache. A declared output that is not there is a failure.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8Path;
use tidemill_cache::{Artifact, CacheError, IgnoreRules};

use crate::failure::{Failure, InfraFailure, StepFailure};
use crate::graph::{Output, Step};
use crate::interface::OutputKind;
use crate::project::Project;

/// Puts what a step wrote into the folder of its rank, where each has one.
///
/// # Errors
/// If a folder cannot be moved.
pub(crate) fn arrange(step: &Step, root: &Utf8Path, rank: Option<u32>) -> Result<(), Failure> {
    for (name, output) in step.outputs.iter().filter(|(_, output)| output.ranks.is_some()) {
        let path = output.path.below(root);
        check(name.as_str(), output, root).map_err(Failure::Step)?;
        if !path.exists() {
            continue;
        }
        let moved = || {
            let own = path.join(rank.unwrap_or(0).to_string());
            let aside = path.with_file_name(format!(".tidemill-rank-{name}"));
            fs::rename(&path, &aside)?;
            fs::create_dir(&path)?;
            fs::rename(&aside, &own)
        };
        moved().map_err(|error: std::io::Error| {
            let message = format!("{path} cannot be moved: {error}");
            Failure::Infrastructure(InfraFailure::Storage { message })
        })?;
    }
    Ok(())
}

/// Checks and captures the outputs of a step from its folder: all that it has, or what a rank has to give.
///
/// # Errors
/// If one is missing or of the wrong kind, or the cache cannot take it.
pub(crate) fn capture(
    project: &Project,
    step: &Step,
    root: &Utf8Path,
    rank: Option<u32>,
) -> Result<BTreeMap<String, Option<Artifact>>, Failure> {
    // Everything is checked before anything is moved, so that a step with one output missing leaves nothing behind.
    let of_rank = || {
        let is_given = |(_, output): &(&_, &Output)| output.ranks.is_some() || rank.unwrap_or(0) == 0;
        step.outputs.iter().filter(is_given)
    };
    for (name, output) in of_rank() {
        check(name.as_str(), output, root).map_err(Failure::Step)?;
    }
    let rules = IgnoreRules::builtin();
    let mut captured = BTreeMap::new();
    for (name, output) in of_rank() {
        let artifact =
            project.cache().capture(&output.path.below(root), &rules).map_err(|error| match error {
                CacheError::Io { .. } => {
                    Failure::Infrastructure(InfraFailure::Storage { message: describe(&error) })
                }
                _ => Failure::Step(StepFailure::OutputInvalid {
                    output: name.to_string(),
                    reason: describe(&error),
                }),
            })?;
        captured.insert(name.to_string(), artifact);
    }
    Ok(captured)
}

/// An error with its causes in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn check(name: &str, output: &Output, root: &Utf8Path) -> Result<(), StepFailure> {
    let path = output.path.below(root);
    let invalid = |reason: String| StepFailure::OutputInvalid { output: name.to_owned(), reason };
    let Ok(data) = fs::metadata(&path) else {
        return match output.optional {
            true => Ok(()),
            false => {
                Err(StepFailure::OutputMissing { output: name.to_owned(), path: output.path.to_string() })
            }
        };
    };
    match output.kind {
        OutputKind::Dir if !data.is_dir() => Err(invalid(format!("{} is no folder", output.path))),
        OutputKind::File | OutputKind::Metrics | OutputKind::Plot if data.is_dir() => {
            Err(invalid(format!("{} is a folder; declare it with kind = \"dir\"", output.path)))
        }
        OutputKind::Metrics => check_metrics(&path).map_err(|why| invalid(format!("{}: {why}", output.path))),
        _ => Ok(()),
    }
}

fn check_metrics(path: &Utf8Path) -> Result<(), String> {
    let data = fs::metadata(path).map_err(|error| error.to_string())?;
    if data.len() > crate::plan::METRICS_LIMIT {
        return Err(format!("a metrics file may have {} bytes at most", crate::plan::METRICS_LIMIT));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("it is not valid JSON: {error}"))?;
    match value.is_object() {
        true => Ok(()),
        false => Err("metrics are a JSON object of names and numbers".to_owned()),
    }
}
