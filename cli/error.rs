//! Whatever can end a command early: its words, its advice, its exit code.

use std::error::Error;
use std::io;

use camino::Utf8PathBuf;
use serde_json::json;
use tidemill_cache::{CacheError, LogError};
use tidemill_engine::outbox::OutboxError;
use tidemill_engine::project::ProjectError;
use tidemill_engine::record::{RecordError, StopError};
use tidemill_engine::registry::RegistryError;
use tidemill_engine::spec::Diagnostics;
use tidemill_engine::store::StoreError;
use tidemill_engine::trigger::{DispatchError, QueueError};
use tidemill_engine::{EngineError, LoadError};

use crate::dvc::DvcError;
use crate::exit::Exit;
use crate::ui::diagnostic;
use crate::ui::sink::{Form, Ui};
use crate::ui::style::{Paint, Tone};
use crate::ui::text::clean;

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The arguments contradict each other or the world.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// No pipeline, or not exactly one.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The pipeline file has mistakes.
    #[error("{0}")]
    Pipeline(Diagnostics),
    /// A `dvc.yaml` could not be translated.
    #[error(transparent)]
    Dvc(#[from] DvcError),
    /// A verb of the engine could not be done.
    #[error(transparent)]
    Engine(EngineError),
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A page could not be made from its template, which is a bug of ours.
    #[error("the page could not be made, which is a bug")]
    Page(#[source] minijinja::Error),
    /// A program could not be started.
    #[error("cannot start {program}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
    /// Triggers cannot be answered.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// What is to be told cannot be found or kept.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A run cannot be asked to stop.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// A worker has no report to give.
    #[error(transparent)]
    Worker(#[from] tidemill_engine::remote::WorkerError),
    /// Tidemill itself could not be set up on this machine.
    #[error("cannot {action}")]
    Setup {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

macro_rules! engine_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Engine(error.into())
            }
        }
    )*};
}

engine_errors!(EngineError, CacheError, LogError, RecordError, RegistryError, StoreError);

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Diagnostics(diagnostics) => Self::Pipeline(diagnostics),
            LoadError::Read { path, source } => Self::File { action: "read", path, source },
        }
    }
}

impl CliError {
    /// An error of the arguments, without advice.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// Turns an I/O error into this error: `.map_err(CliError::file("read", &path))`.
    pub(crate) fn file(action: &'static str, path: &camino::Utf8Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// Its exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Pipeline(_) | Self::NotStarted { .. } | Self::Dvc(_) => Exit::Usage,
            Self::Project(ProjectError::Io { .. })
            | Self::Page(_)
            | Self::Output(_)
            | Self::Worker(_)
            | Self::Setup { .. } => Exit::Infrastructure,
            Self::Project(_)
            | Self::Outbox(OutboxError::NotFound { .. } | OutboxError::Ambiguous { .. })
            | Self::Stop(StopError::Elsewhere { .. } | StopError::Unknown { .. })
            | Self::Dispatch(DispatchError::Project(_) | DispatchError::Queue(QueueError::Busy { .. })) => {
                Exit::Usage
            }
            Self::Dispatch(_) | Self::Stop(_) | Self::Outbox(_) => Exit::Infrastructure,
            Self::Engine(error) => error.kind().into(),
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::AlreadyExists
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidData => Exit::Usage,
                _ => Exit::Infrastructure,
            },
        }
    }

    /// What to do, if that can be told.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Project(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Dispatch(DispatchError::Queue(error)) => error.hint().map(str::to_owned),
            Self::Dispatch(DispatchError::Project(error)) => error.hint(),
            Self::Stop(error) => error.hint(),
            Self::Outbox(OutboxError::NotFound { .. } | OutboxError::Ambiguous { .. }) => {
                Some("`tidemill outbox list` shows them".to_owned())
            }
            Self::Dvc(_)
            | Self::Pipeline(_)
            | Self::File { .. }
            | Self::Dispatch(_)
            | Self::Outbox(_)
            | Self::NotStarted { .. }
            | Self::Page(_)
            | Self::Output(_)
            | Self::Worker(_)
            | Self::Setup { .. } => None,
        }
    }

    /// Tells the user: drawn on standard error, or, with `--json`, as an object on standard output.
    pub(crate) fn tell(&self, ui: &Ui, width: usize) {
        match ui.form {
            // Nothing more can be said to who does not read standard output.
            Form::Json => ui.result(&self.json(), String::new).unwrap_or_default(),
            Form::Text => ui.tell(&self.text(ui.err.paint, width)),
        }
    }

    /// The words for people.
    pub(crate) fn text(&self, paint: Paint, width: usize) -> String {
        if let Self::Pipeline(diagnostics) = self {
            return diagnostic::draw(diagnostics, paint, width);
        }
        let mut text = format!("{}: {}\n", paint.text(Tone::Bad, "error"), clean(&self.to_string()));
        for cause in self.causes() {
            text.push_str(&format!("  because: {}\n", clean(&cause)));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("{}: {}\n", paint.text(Tone::Strong, "hint"), clean(&hint)));
        }
        text
    }

    /// The words for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let diagnostics = match self {
            Self::Pipeline(diagnostics) => serde_json::to_value(diagnostics).ok(),
            _ => None,
        };
        json!({ "error": {
            "message": self.to_string(),
            "causes": self.causes(),
            "hint": self.hint(),
            "exit": self.exit().code(),
            "diagnostics": diagnostics,
        }})
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut source = self.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_what_to_do() {
        let error = CliError::file("read", "a.toml".into())(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error.text(Paint::Plain, 80), "error: cannot read a.toml\n  because: entity not found\n");
        assert_eq!(error.exit(), Exit::Usage);
        let error =
            CliError::from(EngineError::UnknownStep { name: "trian".into(), near: Some("train".into()) });
        let text = "error: the pipeline has no step \"trian\"\nhint: did you mean \"train\"?\n";
        assert_eq!(error.text(Paint::Plain, 80), text);
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn the_same_goes_out_as_data() {
        let error = CliError::file("read", "a.toml".into())(io::Error::from(io::ErrorKind::PermissionDenied));
        let json = error.json();
        assert_eq!(json["error"]["message"], "cannot read a.toml");
        assert_eq!(json["error"]["causes"][0], "permission denied");
        assert_eq!(json["error"]["exit"], 4);
    }
}
