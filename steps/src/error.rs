//! Why a built-in step failed, in words that name the file, the column and the row.

use std::io;

use camino::Utf8Path;

use crate::model::ModelError;

/// Why a built-in step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// There is no built-in step of this name.
    #[error("there is no built-in step `{0}`")]
    UnknownStep(String),
    /// The order that the engine wrote cannot be read, or does not fit the step.
    #[error("the order is not right: {0}")]
    Order(String),
    /// The `with` table is not right.
    #[error("with.{path}: {message}")]
    With {
        /// The way to the value, with dots.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not in the format that it should have.
    #[error("`{path}`: {problem}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong, with the line if it is known.
        problem: String,
    },
    /// A column cannot be used as it is.
    #[error("column `{column}` of `{path}`: {problem}")]
    Column {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// What is wrong, with the row if it is known.
        problem: String,
    },
    /// The data do not satisfy the rules.
    #[error("the data break {} of {rules} rules:\n  {}", broken.len(), broken.join("\n  "))]
    Invalid {
        /// How many rules there are.
        rules: usize,
        /// The rules that the data break, each in a sentence.
        broken: Vec<String>,
    },
    /// A model cannot be trained on these data.
    #[error("cannot train: {0}")]
    Training(String),
    /// A model cannot be loaded or run.
    #[error("the model `{path}`: {source}")]
    Model {
        /// The model file.
        path: String,
        /// Why.
        source: ModelError,
    },
    /// Models cannot be compared.
    #[error("cannot compare: {0}")]
    Comparison(String),
    /// The registry or an endpoint cannot be read or changed.
    #[error(transparent)]
    Registry(#[from] tidemill_engine::registry::RegistryError),
    /// A model was tried over HTTP before it is deployed, and something was not as it should be.
    #[error("the smoke test failed, nothing was deployed: {0}")]
    Smoke(String),
}

impl StepError {
    /// A file that is not in the format that it should have.
    pub(crate) fn format(path: &Utf8Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_string(), problem: problem.into() }
    }

    /// A column that cannot be used as it is.
    pub(crate) fn column(path: &Utf8Path, column: &str, problem: impl Into<String>) -> Self {
        Self::Column { path: path.to_string(), column: column.to_owned(), problem: problem.into() }
    }
}
