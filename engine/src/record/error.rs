//! What can go wrong with a history: it cannot be read, or a question makes no sense.

use std::io;

use camino::Utf8PathBuf;

use crate::name::{PipelineName, RunId};

/// A history that could not be read or written, or a question that it cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not even an index in memory could be made.
    #[error("the history cannot be searched")]
    Search(#[source] rusqlite::Error),
    /// No run is meant.
    #[error("there is no run {text:?}")]
    NotFound {
        /// What was asked for.
        text: String,
    },
    /// There is no run at all.
    #[error("nothing has run in this project yet")]
    Empty,
    /// Several runs are meant.
    #[error("{text:?} may mean several runs: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// The first few of them.
        candidates: Vec<String>,
    },
    /// There is nothing to compare a run with.
    #[error("there is no run of {pipeline} before {run} to compare it with")]
    NoEarlier {
        /// The run.
        run: RunId,
        /// Its pipeline.
        pipeline: PipelineName,
    },
    /// No run has this column.
    #[error("there is no column, metric or parameter {name:?}")]
    UnknownColumn {
        /// What was asked for.
        name: String,
        /// The nearest one.
        near: Option<String>,
    },
    /// Several columns are meant.
    #[error("{name:?} may mean several columns: {}", candidates.join(", "))]
    AmbiguousColumn {
        /// What was asked for.
        name: String,
        /// The first few of them.
        candidates: Vec<String>,
    },
    /// No run is of this pipeline.
    #[error("no run is of the pipeline {name:?}")]
    UnknownPipeline {
        /// What was asked for.
        name: String,
    },
    /// A condition makes no sense.
    #[error("the condition `{text}` cannot be used: {reason}")]
    Condition {
        /// As it was written.
        text: String,
        /// What is wrong.
        reason: String,
    },
}

impl RecordError {
    /// Whether the user named something wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Search(_))
    }

    /// What to do, if that can be told.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownColumn { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::UnknownColumn { near: None, .. } => {
                Some("`tidemill metrics` and `tidemill params` show those of the last run".to_owned())
            }
            Self::AmbiguousColumn { .. } => Some("name the step, as in `evaluate.rmse`".to_owned()),
            Self::NoEarlier { .. } => Some("name the runs; `tidemill runs` lists them".to_owned()),
            _ => None,
        }
    }
}

/// What can stop a question to the index: the index, or what it is made from.
pub(super) enum Trouble {
    Sql(rusqlite::Error),
    Record(RecordError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<RecordError> for Trouble {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}
