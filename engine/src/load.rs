//! Reading a pipeline file and the files and settings that override its parameters.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::graph::{self, Graph};
use crate::project::Project;
use crate::spec::{Diagnostics, LoadRequest};

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
    };
    graph::load(&request).map_err(LoadError::Diagnostics)
}
