//! What can go wrong before or beside the steps themselves, one variant per room.

use camino::Utf8PathBuf;
use tidemill_cache::{CacheError, DocumentError, LogError};

use crate::process::ProcessError;
use crate::record::RecordError;

/// Why a verb of the engine could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A log of records could not be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The model registry could not be read or written.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// A helper process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The history could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file could not be read or written.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value has no canonical form.
    #[error("step {step}: a value cannot be part of a key")]
    Document {
        /// The step.
        step: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// A step was named that the pipeline does not have.
    #[error("the pipeline has no step {name:?}")]
    UnknownStep {
        /// What was named.
        name: String,
        /// The nearest step.
        near: Option<String>,
    },
    /// A step has no such output.
    #[error("step {step} has no output {output:?}")]
    UnknownOutput {
        /// The step.
        step: String,
        /// What was named.
        output: String,
        /// The outputs that it has.
        known: Vec<String>,
    },
    /// `get` was given something else than `STEP.OUTPUT`.
    #[error("{text:?} names no output: write STEP.OUTPUT")]
    NotAnOutput {
        /// What was given.
        text: String,
    },
    /// An output that is asked for does not exist yet.
    #[error("the output {output} of step {step} does not exist for the pipeline as it is now: {reason}")]
    NotMade {
        /// The step.
        step: String,
        /// The output.
        output: String,
        /// Why the step would run.
        reason: String,
    },
    /// A declared input is not there.
    #[error("step {step}: the input {input} does not exist: {path}")]
    InputMissing {
        /// The step.
        step: String,
        /// The input.
        input: String,
        /// Where it was expected.
        path: String,
    },
    /// A part of a key cannot be computed.
    #[error("step {step}: {what} cannot be determined: {reason}")]
    KeyPart {
        /// The step.
        step: String,
        /// What part.
        what: String,
        /// Why.
        reason: String,
    },
    /// An ancestor of the selected steps has no current result and may not run.
    #[error("step {needed} has no current result ({reason}), and the selection does not let it run")]
    OutsideSelection {
        /// The ancestor.
        needed: String,
        /// Why it would run.
        reason: String,
    },
    /// A step asks for more than this machine has.
    #[error("step {step} asks for {wanted}, and this machine has {available}")]
    TooLarge {
        /// The step.
        step: String,
        /// What it asks for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// A gate cannot be asked.
    #[error("step {step}: the gate `{condition}` cannot be answered: {reason}")]
    Gate {
        /// The step.
        step: String,
        /// The condition as written.
        condition: String,
        /// Why.
        reason: String,
    },
    /// No attempt's log is known.
    #[error("there is no log of step {step} in {place}")]
    NoLog {
        /// The step.
        step: String,
        /// The run that was looked at.
        place: String,
    },
}

/// Whose turn it is after an [`EngineError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user's: a file, a name or an argument is wrong.
    Usage,
    /// The machine's.
    Infrastructure,
}

impl EngineError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cache(CacheError::Io { .. } | CacheError::Missing { .. } | CacheError::Json(_)) => {
                ErrorKind::Infrastructure
            }
            Self::Record(error) if error.is_usage() => ErrorKind::Usage,
            Self::Log(_) | Self::Process(_) | Self::Record(_) | Self::Io { .. } => ErrorKind::Infrastructure,
            Self::Registry(error) => match error.is_usage() {
                true => ErrorKind::Usage,
                false => ErrorKind::Infrastructure,
            },
            _ => ErrorKind::Usage,
        }
    }

    /// What to do, if that can be told.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownStep { near, .. } => near.as_ref().map(|near| format!("did you mean {near:?}?")),
            Self::UnknownOutput { known, .. } if !known.is_empty() => {
                Some(format!("its outputs are: {}", known.join(", ")))
            }
            Self::NotMade { .. } => Some("`tidemill run` makes it".to_owned()),
            Self::InputMissing { input, .. } => {
                Some(format!("create it, correct the path, or declare `{input}` with `optional = true`"))
            }
            Self::OutsideSelection { needed, .. } => {
                Some(format!("select {needed} too, or run the pipeline without --only/--from"))
            }
            Self::TooLarge { .. } => Some("lower the step's `resources`".to_owned()),
            _ => None,
        }
    }
}
