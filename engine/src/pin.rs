//! Pins: what people say must stay, whatever else garbage collection removes.
//!
//! A pin has a name and a log of its own, `pins/<name>/00000001.json` …: an entry says what was pinned, or that it no longer is. The
//! newest one counts. Entries are read strictly, for a pin that is misread is work that is lost.

use std::collections::BTreeSet;

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Digest, Key, Log};

use crate::artifact;
use crate::error::EngineError;
use crate::graph::Graph;
use crate::name::{OutputName, PinName, PipelineName, RunId, StepId};
use crate::project::Project;
use crate::record::History;

/// What is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pinned {
    /// All that a run referred to.
    Run {
        /// The run.
        run: RunId,
    },
    /// The result of a step.
    Step {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepId,
        /// Its key.
        key: Key,
    },
    /// An output of a step.
    Output {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepId,
        /// The output.
        output: OutputName,
        /// What it was.
        artifact: Artifact,
    },
}

/// A pin.
#[derive(Debug, Clone, Serialize)]
pub struct Pin {
    /// Its name.
    pub name: PinName,
    /// What it keeps.
    pub pinned: Pinned,
    /// Who pinned it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An entry of the log of a pin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// None: it was unpinned.
    pinned: Option<Pinned>,
    by: String,
    at: Timestamp,
}

impl std::fmt::Display for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run { run } => write!(f, "run {run}"),
            Self::Step { pipeline, step, key } => write!(f, "{step} of {pipeline}, key {}", key.short()),
            Self::Output { pipeline, step, output, artifact } => {
                write!(f, "{step}.{output} of {pipeline}, {}", artifact.digest.short())
            }
        }
    }
}

/// All pins, by name.
///
/// # Errors
/// If one cannot be read.
pub fn pins(state: &Utf8Path) -> Result<Vec<Pin>, EngineError> {
    let folder = state.join("pins");
    let io = |source| EngineError::Io { path: folder.clone(), source };
    let listing = match folder.read_dir_utf8() {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut pins = Vec::new();
    for entry in listing {
        let entry = entry.map_err(io)?;
        if let Ok(name) = PinName::new(entry.file_name()) {
            pins.extend(find(state, &name)?);
        }
    }
    pins.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pins)
}

/// The pin of this name, if there is one.
fn find(state: &Utf8Path, name: &PinName) -> Result<Option<Pin>, EngineError> {
    let last = log(state, name).last::<Entry>()?;
    Ok(last
        .and_then(|(_, Entry { pinned, by, at })| Some(Pin { name: name.clone(), pinned: pinned?, by, at })))
}

/// Pins something under a name that nothing else has.
///
/// # Errors
/// If the name is taken, or the record cannot be written.
pub fn pin(project: &Project, name: &PinName, pinned: Pinned) -> Result<Pin, EngineError> {
    let log = log(project.state(), name);
    let last = log.last::<Entry>()?;
    if let Some(Entry { pinned: Some(known), .. }) = last.as_ref().map(|(_, entry)| entry) {
        return Err(EngineError::Pinned { name: name.to_string(), what: known.to_string() });
    }
    let number = last.map_or(0, |(number, _)| number) + 1;
    let (by, at) = (project.user().to_owned(), Timestamp::now());
    // Who pins under the same name at the same time gets no second one.
    log.create(number, &Entry { pinned: Some(pinned.clone()), by: by.clone(), at })?;
    Ok(Pin { name: name.clone(), pinned, by, at })
}

/// Takes a pin away.
///
/// # Errors
/// If there is none of this name, or the record cannot be written.
pub fn unpin(project: &Project, name: &PinName) -> Result<Pin, EngineError> {
    let Some(pin) = find(project.state(), name)? else {
        let known = pins(project.state())?.into_iter().map(|pin| pin.name.to_string()).collect();
        return Err(EngineError::NotPinned { name: name.to_string(), known });
    };
    let entry = Entry { pinned: None, by: project.user().to_owned(), at: Timestamp::now() };
    log(project.state(), name).append(&entry)?;
    Ok(pin)
}

/// The run that a text means, if it has the form of one: an id, the beginning of one, or `last`.
///
/// # Errors
/// If there is none, or several.
pub fn run_of(project: &Project, text: &str) -> Result<Option<Pinned>, EngineError> {
    // No name of a step begins with a digit.
    if text != "last" && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(None);
    }
    let record = History::below(project.state()).find(text)?;
    Ok(Some(Pinned::Run { run: record.run }))
}

/// What `STEP` or `STEP.OUTPUT` means for the pipeline as it is now; all its contents have to be there.
///
/// # Errors
/// If there is no such thing, or it has to be made first.
pub async fn step_of(project: &Project, graph: &Graph, text: &str) -> Result<Pinned, EngineError> {
    let pipeline = graph.pipeline.clone();
    if graph.find(text).is_none() && text.contains('.') {
        let found = artifact::get(project, graph, text).await?;
        let artifact::Found { step, output, artifact } = found;
        return Ok(Pinned::Output { pipeline, step, output, artifact });
    }
    let (step, key) = artifact::result_of(project, graph, text).await?;
    Ok(Pinned::Step { pipeline, step, key })
}

/// The keys and contents that pins name, but for runs.
///
/// # Errors
/// If a pin cannot be read.
pub(crate) fn pinned_contents(state: &Utf8Path) -> Result<(BTreeSet<Key>, BTreeSet<Digest>), EngineError> {
    let (mut keys, mut digests) = (BTreeSet::new(), BTreeSet::new());
    for pin in pins(state)? {
        match pin.pinned {
            Pinned::Run { .. } => {}
            Pinned::Step { key, .. } => keys.extend([key]),
            Pinned::Output { artifact, .. } => digests.extend([artifact.digest]),
        }
    }
    Ok((keys, digests))
}

fn log(state: &Utf8Path, name: &PinName) -> Log {
    Log::at(state.join("pins").join(name.as_str()))
}
