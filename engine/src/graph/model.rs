//! The graph: what is to be done, with every parameter and matrix value filled in, and nothing yet known of the cache.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Digest, RelPath};

use super::{Edit, Origins, Skeleton, Steps};
use crate::Value;
use crate::few::Few;
use crate::interface::OutputKind;
use crate::keep::Keep;
use crate::name::{
    AliasName, AxisName, ExecutorName, InputName, ModelName, OutputName, PipelineName, StepId, StepName,
};
use crate::retries::Retries;
use crate::sandbox::Sandbox;

/// The place of a step in [`Graph::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepIndex(u32);

impl StepIndex {
    /// The index of the n-th step.
    ///
    /// # Panics
    /// Never: a graph is limited to fewer than 2³² steps when it is made.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("a graph has fewer than 2^32 steps"))
    }

    /// As a small number.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// As a place in a list.
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// The digest of a step as the graph has it, cut to what tells any two apart.
pub type Definition = [u8; 16];

/// An expanded pipeline: an acyclic graph of steps.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// What it says of itself.
    pub description: Option<String>,
    /// The pipeline file (absolute).
    pub file: Utf8PathBuf,
    /// The digest of the pipeline file's text.
    pub text: Digest,
    /// What stands for all else that it was made of; none if nothing is kept of it for the next start.
    pub name: Option<Digest>,
    /// By step, if something is kept: the digest of its definition, places of other steps included.
    pub definitions: Vec<Definition>,
    /// The folder of the pipeline file (absolute): paths in it are relative to this.
    pub folder: Utf8PathBuf,
    /// All parameters by dotted name, overrides applied.
    pub params: BTreeMap<String, Value>,
    /// The parameters that were overridden.
    pub overrides: BTreeMap<String, Value>,
    /// The globs that axes of matrices were made of, each with the digest of what it found.
    pub globs: Vec<(String, Digest)>,
    /// The steps, in the order of the file, matrix combinations in the order of their values.
    pub steps: Steps,
    /// Where in the file they come from.
    pub origins: Origins,
    /// What is known of the steps without looking at each.
    pub skeleton: Arc<Skeleton>,
    /// A topological order: every step after all that it depends on; ties in the order of the file.
    pub order: Vec<StepIndex>,
    /// What was edited, if it was made of a kept one.
    pub edit: Option<Edit>,
}

impl Graph {
    /// The step at this place.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &Step {
        &self.steps[index.get()]
    }

    /// The steps that this one depends on, by data or by `needs`; sorted, each once.
    pub fn upstream(&self, index: StepIndex) -> impl ExactSizeIterator<Item = StepIndex> + Clone + use<'_> {
        self.skeleton.upstream(index)
    }

    /// For every step, the steps that depend on it directly.
    #[must_use]
    pub fn downstream(&self) -> Vec<Vec<StepIndex>> {
        let mut downstream = vec![Vec::new(); self.steps.len()];
        for index in (0..self.steps.len()).map(StepIndex::new) {
            for producer in self.upstream(index) {
                downstream[producer.get()].push(index);
            }
        }
        downstream
    }

    /// The step with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<StepIndex> {
        self.steps.iter().position(|step| step.id.as_str() == id).map(StepIndex::new)
    }
}

/// A step: a node of the graph, one combination of a matrix.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Its id, with matrix values.
    pub id: StepId,
    /// What all combinations of its matrix have in common: its fields are read as if they were the step's own.
    pub common: Arc<Common>,
    /// Its matrix values.
    pub axes: Few<AxisName, Value>,
    /// What it does.
    pub action: Action,
    /// What it reads.
    pub inputs: Few<InputName, Input>,
    /// What it writes.
    pub outputs: Few<OutputName, Output>,
    /// Steps that go first without giving data.
    pub needs: Vec<StepIndex>,
    /// The parameters that it refers to, by dotted name, with their values.
    pub params: Few<String, Value>,
    /// Variables of the process.
    pub env: Few<String, Vec<Piece>>,
    /// A command whose output enters the key.
    pub fingerprint: Option<Box<Fingerprint>>,
    /// Whether its `when` holds for these parameters; the text of a condition that is false.
    pub left_out: Option<String>,
    /// Conditions on its metrics that let the downstream steps go on.
    pub gate: Vec<GateCondition>,
    /// What it changes outside the cache, if it does.
    pub effect: Option<Box<Effect>>,
}

/// What all combinations of a step's matrix have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Common {
    /// Its name in the file.
    pub name: StepName,
    /// What it says of itself.
    pub description: Option<String>,
    /// The lifecycle stage that it belongs to, for people.
    pub stage: Option<String>,
    /// Variables of the user's environment that the process gets too; their values enter the key.
    pub pass_env: Vec<String>,
    /// Programs whose digest enters the key.
    pub tools: Vec<String>,
    /// Variables of the user's environment that the process gets and that never enter the key, a log or the history.
    pub secrets: Vec<String>,
    /// How often a failed attempt is made again, beyond the first.
    pub retries: Retries,
    /// What is saved of it while it runs.
    pub checkpoint: Option<Checkpoint>,
    /// The longest that an attempt may take.
    pub timeout: Option<Duration>,
    /// Whether its results are kept and found again.
    pub cache: bool,
    /// Which of its outputs are kept when all steps that read them are done.
    pub keep: Keep,
    /// How strictly it is kept from what it did not declare, if it says so.
    pub sandbox: Option<Sandbox>,
    /// Whether it may use the network.
    pub network: bool,
    /// What it needs while it runs.
    pub resources: Resources,
}

impl Deref for Step {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Step {
    /// Shares with another combination what is the same in both: there may be a million.
    pub(super) fn share(&mut self, other: &Self) {
        if self.outputs == other.outputs {
            self.outputs = other.outputs.clone();
        }
        if self.inputs == other.inputs {
            self.inputs = other.inputs.clone();
        }
        if self.params == other.params {
            self.params = other.params.clone();
        }
        if self.env == other.env {
            self.env = other.env.clone();
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Action {
    /// A command line for `sh -euc`; parameter and matrix values are already in it, quoted for the shell.
    Shell(Vec<Piece>),
    /// A program and its arguments, executed as they are. A piece list that is one `Input` with several paths becomes
    /// several arguments.
    Exec(Vec<Vec<Piece>>),
    /// A built-in step.
    Builtin {
        /// Its name in the catalog.
        uses: String,
        /// Its interface version.
        version: u32,
        /// Its `with` table, all references filled in.
        with: Value,
    },
}

/// A part of a text whose references to parameters and matrix values are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// `${inputs.name}`: the path, or the paths, in the step's folder.
    Input(InputName),
    /// `${outputs.name}`: the path in the step's folder.
    Output(OutputName),
    /// `${run.id}`, `${run.commit}`, `${run.time}`: only in steps that are not cached and in effects.
    Run(RunField),
    /// `${secrets.NAME}`: only in `env`.
    Secret(String),
}

/// What `${run.…}` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunField {
    /// The run's id.
    Id,
    /// The git commit, or nothing.
    Commit,
    /// The start of the run, RFC 3339, UTC.
    Time,
}

/// A named thing that a step reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it comes from.
    pub source: Source,
    /// Whether it may be absent.
    pub optional: bool,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or folder below the pipeline's folder, by its path relative to it.
    Project(RelPath),
    /// A glob over files below the pipeline's folder, with `/` separators; `*` does not cross them.
    Glob(String),
    /// A file or folder outside the pipeline's folder: absolute, or relative to it with `..`.
    Outside(Utf8PathBuf),
    /// One output of a step.
    Artifact(StepIndex, OutputName),
    /// A list of outputs, or a collected matrix: a folder of entries.
    Collection(Vec<(StepIndex, OutputName)>),
    /// The model that a candidate has to beat: `{ model = "name@alias" }`.
    Rival {
        /// The registered model.
        model: ModelName,
        /// Its alias.
        alias: AliasName,
    },
}

impl Source {
    /// The outputs that it reads, in order.
    pub fn producers(&self) -> impl Iterator<Item = (StepIndex, &OutputName)> {
        let (one, many) = match self {
            Self::Artifact(step, output) => (Some((*step, output)), [].as_slice()),
            Self::Collection(entries) => (None, entries.as_slice()),
            _ => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().map(|(step, output)| (*step, output)))
    }
}

/// A named file or folder that a step writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Where, in the step's folder.
    pub path: RelPath,
    /// What it is.
    pub kind: OutputKind,
    /// Whether it may be absent.
    pub optional: bool,
    /// Where it is also placed, relative to the pipeline's folder.
    pub publish: Option<RelPath>,
    /// If each machine of the step makes its own: how many there are. It is a folder then, with one for each.
    pub ranks: Option<u32>,
}

impl Output {
    /// Whether it is a mere way from its step to those that read it, as far as it tells itself: a file or folder that is not
    /// placed in the project. Metrics, plots, reports and models are what a pipeline is run for.
    #[must_use]
    pub fn is_passed_on(&self) -> bool {
        matches!(self.kind, OutputKind::File | OutputKind::Dir) && self.publish.is_none()
    }
}

/// A command whose output enters the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// For `sh -euc`, in the pipeline's folder.
    pub command: String,
    /// The longest that it may take.
    pub timeout: Duration,
    /// How long its last output may be used again.
    pub max_age: Option<Duration>,
}

/// What a step changes outside the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What is changed, such as `qa`; the step's id if nothing was said. For a built-in the catalog names it.
    pub target: String,
    /// A command for `sh -euc` that exits 0 if the target still shows the last success.
    pub probe: Option<String>,
}

/// What a step needs while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resources {
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// GPUs.
    pub gpus: u32,
    /// What GPUs, in the executor's own word.
    pub gpu_type: Option<String>,
    /// Memory of each GPU in bytes.
    pub vram: Option<u64>,
    /// Machines, each with all that is said here.
    pub nodes: u32,
    /// Where it runs, if not on this machine.
    pub placement: Option<Placement>,
    /// Named tokens, such as licences.
    pub tokens: BTreeMap<String, u32>,
}

/// Where a step runs, if not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placement {
    /// The executor.
    pub executor: ExecutorName,
    /// What the step says otherwise than the project file, as JSON of a table.
    pub with: String,
}

impl Placement {
    /// What the step says otherwise.
    #[must_use]
    pub fn overrides(&self) -> BTreeMap<String, Value> {
        serde_json::from_str(&self.with).unwrap_or_default()
    }
}

/// A folder of a step that is saved while it runs, and is there again when its next attempt begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where, in the step's folder.
    pub path: RelPath,
    /// How often.
    pub every: Duration,
}

/// One condition of a gate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateCondition {
    /// As written, parameters filled in.
    pub text: String,
    /// What it says.
    pub expression: crate::graph::Expression,
}
