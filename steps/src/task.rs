//! The child side of a built-in step: the engine's order, read from the file that it names, and doors to the step's files.

use std::fs;
use std::io::{BufReader, BufWriter, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_engine::interface::{EffectOrder, Order};

use crate::StepError;

/// The environment variable that names the order's file.
const ORDER: &str = "TIDEMILL_ORDER";

/// What a built-in step is to do, and where.
#[derive(Debug)]
pub struct Task {
    order: Order,
    folder: Utf8PathBuf,
}

impl Task {
    /// The task that the engine ordered from this process, in its working folder.
    ///
    /// # Errors
    /// If no order is named, or it cannot be read.
    pub fn from_environment() -> Result<Self, StepError> {
        let path = std::env::var(ORDER).map_err(|_| StepError::Order(format!("{ORDER} names no file")))?;
        let text = fs::read(&path).map_err(|source| StepError::Read { path, source })?;
        let order = serde_json::from_slice(&text).map_err(|error| StepError::Order(error.to_string()))?;
        Ok(Self::new(order, ""))
    }

    /// A task whose paths are relative to this folder; empty for the working folder.
    #[must_use]
    pub fn new(order: Order, folder: impl Into<Utf8PathBuf>) -> Self {
        Self { order, folder: folder.into() }
    }

    /// The name of the built-in step.
    #[must_use]
    pub fn uses(&self) -> &str {
        &self.order.uses
    }

    /// The `with` table.
    ///
    /// # Errors
    /// If it is not of this type.
    pub fn with<W: DeserializeOwned>(&self) -> Result<W, StepError> {
        serde_path_to_error::deserialize(&self.order.with).map_err(|error| StepError::With {
            path: error.path().to_string(),
            message: error.into_inner().to_string(),
        })
    }

    /// Where the input lies.
    ///
    /// # Errors
    /// If it was not given, or is not one path.
    pub fn input(&self, name: &str) -> Result<Utf8PathBuf, StepError> {
        self.optional_input(name)?.ok_or_else(|| StepError::Order(format!("the input `{name}` is missing")))
    }

    /// Where the input lies, if it was given.
    ///
    /// # Errors
    /// If it is not one path.
    pub fn optional_input(&self, name: &str) -> Result<Option<Utf8PathBuf>, StepError> {
        match self.order.inputs.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([path]) => Ok(Some(self.folder.join(path))),
            Some(_) => Err(StepError::Order(format!("the input `{name}` has several paths"))),
        }
    }

    /// All paths of an input; none if it was not given.
    #[must_use]
    pub fn inputs(&self, name: &str) -> Vec<Utf8PathBuf> {
        let paths = self.order.inputs.get(name).into_iter().flatten();
        paths.map(|path| self.folder.join(path)).collect()
    }

    /// Where the output is to be written.
    ///
    /// # Errors
    /// If the order does not name it.
    pub fn output(&self, name: &str) -> Result<Utf8PathBuf, StepError> {
        let path = self.order.outputs.get(name);
        let path = path.ok_or_else(|| StepError::Order(format!("the output `{name}` is missing")))?;
        Ok(self.folder.join(path))
    }

    /// What only an effect is told.
    ///
    /// # Errors
    /// If the step was not ordered as an effect.
    pub fn effect(&self) -> Result<&EffectOrder, StepError> {
        self.order.effect.as_ref().ok_or_else(|| StepError::Order("it is no order for an effect".to_owned()))
    }

    /// Writes an output as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_json(&self, output: &str, value: &impl Serialize) -> Result<(), StepError> {
        let mut bytes =
            serde_json::to_vec_pretty(value).map_err(|error| StepError::Order(error.to_string()))?;
        bytes.push(b'\n');
        self.write(output, &bytes)
    }

    /// Writes an output.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, output: &str, bytes: &[u8]) -> Result<(), StepError> {
        let path = self.output(output)?;
        fs::write(&path, bytes).map_err(|source| StepError::Write { path: path.into(), source })
    }
}

/// Reads a whole file.
pub(crate) fn read(path: &Utf8Path) -> Result<Vec<u8>, StepError> {
    fs::read(path).map_err(|source| StepError::Read { path: path.to_string(), source })
}

/// Reads a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Utf8Path) -> Result<T, StepError> {
    serde_json::from_slice(&read(path)?).map_err(|error| StepError::format(path, error.to_string()))
}

/// Opens a file to read it in pieces.
pub(crate) fn open(path: &Utf8Path) -> Result<BufReader<fs::File>, StepError> {
    let file = fs::File::open(path).map_err(|source| StepError::Read { path: path.to_string(), source })?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// Creates a file to write it in pieces.
pub(crate) fn create(path: &Utf8Path) -> Result<BufWriter<fs::File>, StepError> {
    let file =
        fs::File::create(path).map_err(|source| StepError::Write { path: path.to_string(), source })?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

/// Copies a file byte by byte: the copy is writable and shares nothing with an input that must stay as it is.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), StepError> {
    let mut reader = open(from)?;
    let mut writer = create(to)?;
    std::io::copy(&mut reader, &mut writer)
        .and_then(|_| writer.flush())
        .map_err(|source| StepError::Write { path: to.to_string(), source })
}
