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
    /// The store of the team could not do what was asked.
    #[error(transparent)]
    Store(#[from] tidemill_store::StoreError),
    /// The project has no store, or it is switched off.
    #[error("this project uses no store")]
    NoStore,
    /// A setting of the store cannot be one.
    #[error("the store cannot be used: {what}: {reason}")]
    StoreSetting {
        /// The setting, or the variable.
        what: String,
        /// Why.
        reason: String,
    },
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
    /// The project file is wrong.
    #[error("{message}")]
    ProjectFile {
        /// Which and why.
        message: String,
    },
    /// A state folder was named that cannot be one.
    #[error("the state folder {text:?} of {origin} cannot be used: {reason}")]
    State {
        /// As it was named.
        text: String,
        /// Who names it: the project file or a variable.
        origin: &'static str,
        /// Why it cannot be one.
        reason: String,
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
    /// There is nothing that a step could be compared with.
    #[error("nothing can be compared with {text:?}: {reason}")]
    Against {
        /// What was named.
        text: String,
        /// Why not.
        reason: String,
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
    /// A step that is asked for has no result yet.
    #[error("step {step} has no result for the pipeline as it is now: {reason}")]
    NoResult {
        /// The step.
        step: String,
        /// Why it would run.
        reason: String,
    },
    /// An output was made, and its bytes are not in the cache any more.
    #[error(
        "the output {output} of step {step} was made, but {}",
        if *by_choice { "not kept (`keep = \"final\"`): all that reads it is done" } else { "its bytes are gone from the cache" }
    )]
    NotKept {
        /// The step.
        step: String,
        /// The output.
        output: String,
        /// Whether the pipeline says that it need not be kept.
        by_choice: bool,
    },
    /// A variable of the environment makes no sense.
    #[error("the variable {name} cannot be used: {reason}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// A pin has this name already.
    #[error("there is a pin {name} already: {what}")]
    Pinned {
        /// The name.
        name: String,
        /// What it keeps.
        what: String,
    },
    /// No pin has this name.
    #[error("there is no pin {name}")]
    NotPinned {
        /// The name.
        name: String,
        /// The pins there are.
        known: Vec<String>,
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
    /// An executor cannot be used.
    #[error("the executor {name} cannot be used: {reason}")]
    Executor {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Steps run elsewhere, and there is no store through which their data could travel.
    #[error("steps run on the executor {name}, and there is no store that takes what they read")]
    ExecutorWithoutStore {
        /// The executor.
        name: String,
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
    /// A step cannot be started, because one before it has no current result.
    #[error("step {step} cannot be started: {needed} has no current result ({reason})")]
    NotReady {
        /// The step.
        step: String,
        /// The step before it.
        needed: String,
        /// Why that one would run.
        reason: String,
    },
    /// A step cannot be started.
    #[error("step {step} cannot be started: {reason}")]
    NotStarting {
        /// The step.
        step: String,
        /// Why.
        reason: String,
    },
    /// Nothing is meant by what was named as bad.
    #[error("nothing is quarantined for {text:?}: {reason}")]
    NothingToQuarantine {
        /// What was named.
        text: String,
        /// Why it means nothing.
        reason: String,
    },
    /// A quarantine cannot be undone.
    #[error("quarantine {number} cannot be undone: {reason}")]
    NotQuarantined {
        /// Its number.
        number: u64,
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
            Self::Store(error) if error.is_outage() => ErrorKind::Infrastructure,
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
            Self::Against { .. } => Some(
                "name a run (see `tidemill runs`), `last`, or a key or the first digits of one".to_owned(),
            ),
            Self::State { .. } => Some(
                "name a folder of its own: absolute, relative to the project's root, or below `~/`"
                    .to_owned(),
            ),
            Self::ExecutorWithoutStore { .. } => Some(
                "name one in tidemill.toml, for both sides to reach: `[store]` with `url = \"s3://bucket/prefix\"`, or \
                 a folder that they share, `url = \"file:///shared/store\"`; it must be writable"
                    .to_owned(),
            ),
            Self::NotReady { needed, .. } => {
                // Only a NUL byte cannot be quoted, and no id of a step holds one.
                let needed = shlex::try_quote(needed).unwrap_or_default();
                Some(format!("`tidemill run --until {needed}` makes it"))
            }
            Self::NotMade { .. } | Self::NoResult { .. } => Some("`tidemill run` makes it".to_owned()),
            Self::NotKept { step, .. } => {
                let step = shlex::try_quote(step).unwrap_or_default();
                Some(format!("`tidemill run --until {step} --force {step}` makes it again and keeps it"))
            }
            Self::Pinned { name, .. } => {
                Some(format!("choose another name, or take it away with `tidemill cache unpin {name}`"))
            }
            Self::NotPinned { known, .. } if !known.is_empty() => {
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::InputMissing { input, .. } => {
                Some(format!("create it, correct the path, or declare `{input}` with `optional = true`"))
            }
            Self::OutsideSelection { needed, .. } => {
                Some(format!("select {needed} too, or run the pipeline without --only/--from"))
            }
            Self::Cache(CacheError::Busy) => Some("try again when it has ended".to_owned()),
            Self::NoStore => Some(
                "name one in tidemill.toml: `[store]` with `url = \"s3://BUCKET/PREFIX\"`, or in TIDEMILL_STORE_URL".to_owned(),
            ),
            Self::Store(error) => error.hint().map(str::to_owned),
            Self::NothingToQuarantine { .. } => Some(
                "`tidemill runs` lists runs; `tidemill show --json` has the keys of steps and the digests of outputs"
                    .to_owned(),
            ),
            Self::NotQuarantined { .. } => Some("`tidemill cache quarantine --list` lists them".to_owned()),
            Self::TooLarge { .. } => Some("lower the step's `resources`".to_owned()),
            Self::Record(error) => error.hint(),
            _ => None,
        }
    }
}
