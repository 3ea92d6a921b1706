//! Reading a pipeline file and the files and settings that override its parameters.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::Digest;

use crate::graph::{self, Graph, Trigger};
use crate::name::PipelineName;
use crate::project::Project;
use crate::spec::{self, Code, Diagnostics, LoadRequest, Notify};

/// What overrides the parameters of a pipeline.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Names and values, as `--set` gives them; the last one counts.
    pub set: Vec<(String, String)>,
    /// TOML or JSON files with values, weaker than `set`.
    pub params_files: Vec<Utf8PathBuf>,
}

/// Why a pipeline could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is wrong.
    #[error("the pipeline has mistakes")]
    Diagnostics(Diagnostics),
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Loads a pipeline: reads, checks and expands it.
///
/// # Errors
/// If a file cannot be read, or has mistakes.
pub fn load(project: &Project, file: &Utf8Path, overrides: &Overrides) -> Result<Graph, LoadError> {
    let read = |path: &Utf8Path| {
        fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
    };
    let text = read(file)?;
    let mut params_files = Vec::with_capacity(overrides.params_files.len());
    for path in &overrides.params_files {
        params_files.push((path.clone(), read(path)?));
    }
    let request = LoadRequest {
        file,
        text: &text,
        set: &overrides.set,
        params_files: &params_files,
        catalog: project.catalog(),
        executors: project.executors(),
    };
    let name = name(project, &request);
    if let Some(graph) = graph::stashed(project.cache(), &name, &request) {
        return Ok(graph);
    }
    let mut graph = graph::load(&request).map_err(LoadError::Diagnostics)?;
    if graph.steps.len() >= project.many_steps() {
        graph::stash(project.cache(), &name, &mut graph, &text);
    }
    Ok(graph)
}

/// The name of a pipeline, and what starts runs of it by itself. Nothing is expanded.
///
/// # Errors
/// If its file cannot be read, or has mistakes that are seen without expanding it.
pub fn triggers(project: &Project, file: &Utf8Path) -> Result<(PipelineName, Vec<Trigger>), LoadError> {
    let read = fs::read_to_string(file);
    let text = read.map_err(|source| LoadError::Read { path: file.to_owned(), source })?;
    let (catalog, executors) = (project.catalog(), project.executors());
    let request = LoadRequest { file, text: &text, set: &[], params_files: &[], catalog, executors };
    graph::read_triggers(&request).map_err(LoadError::Diagnostics)
}

/// What is wrong with values for parameters of a pipeline, each in words: `params` is the text of a JSON object. Nothing is expanded, and what
/// else may be wrong with the file is not said.
///
/// # Errors
/// If the file cannot be read.
pub fn check_params(project: &Project, file: &Utf8Path, params: String) -> Result<Vec<String>, LoadError> {
    let read = fs::read_to_string(file);
    let text = read.map_err(|source| LoadError::Read { path: file.to_owned(), source })?;
    let (catalog, executors) = (project.catalog(), project.executors());
    let given = [(Utf8PathBuf::from(GIVEN), params)];
    let request = LoadRequest { file, text: &text, set: &[], params_files: &given, catalog, executors };
    let Err(found) = graph::read_triggers(&request) else { return Ok(Vec::new()) };
    let is_of_params = |code| matches!(code, Code::ParamsFile | Code::UnknownParameter | Code::ParameterType);
    let words = found.items.into_iter().filter(|item| is_of_params(item.code)).map(|item| {
        let message = item.message.trim_start_matches(GIVEN).trim_start_matches(": ").to_owned();
        item.help.map_or(message.clone(), |help| format!("{message}; {help}"))
    });
    Ok(words.collect())
}

/// What stands for a file of parameters that is none.
const GIVEN: &str = "params.json";

/// Who is told of runs of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// The name that the pipeline gives itself, if it has one.
    pub pipeline: Option<PipelineName>,
    /// Who is told, in the order of the file; without those of whom something is wrong.
    pub notify: Vec<Notify>,
}

/// Who is told of runs of a pipeline. All else in its file may be wrong. None if it is no TOML.
///
/// # Errors
/// If the file cannot be read.
pub fn notify(file: &Utf8Path) -> Result<Option<Notified>, std::io::Error> {
    let text = fs::read_to_string(file)?;
    if !text.contains(NOTIFY) {
        // Most pipelines tell nobody, and a large one takes long to read.
        return Ok(Some(Notified { pipeline: None, notify: Vec::new() }));
    }
    Ok(spec::read_notify(&text).map(|(name, notify)| Notified {
        pipeline: name.and_then(|name| PipelineName::new(&name).ok()),
        notify,
    }))
}

/// What is in the text of each file that tells somebody.
const NOTIFY: &str = "notify";

/// The name under which the graph of a request is put away: of all that it is made of, but for the text of the pipeline, which
/// changes often, and what globs find. The program is part of it, since another one may expand in another way.
fn name(project: &Project, request: &LoadRequest<'_>) -> Digest {
    let mut bytes = Vec::new();
    let mut add = |part: &[u8]| {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    };
    add(project.program_stamp());
    add(request.file.as_str().as_bytes());
    add(request.executors.fingerprint().as_bytes());
    for (name, value) in request.set {
        add(b"set");
        add(name.as_bytes());
        add(value.as_bytes());
    }
    for (path, text) in request.params_files {
        add(b"file");
        add(path.as_str().as_bytes());
        add(text.as_bytes());
    }
    Digest::of(&bytes)
}
