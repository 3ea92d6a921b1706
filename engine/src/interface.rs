//! What a built-in step declares of itself, and the catalog of them that is handed to the engine.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::Value;

/// The typed interface of a built-in step.
#[derive(Debug, Clone, Serialize)]
pub struct Interface {
    /// The name in `uses = "…"`.
    pub name: &'static str,
    /// Enters the key. It rises when the same inputs and `with` would give other outputs.
    pub version: u32,
    /// One sentence for people.
    pub summary: &'static str,
    /// Inputs that it takes.
    pub inputs: Vec<InputPort>,
    /// Outputs that it writes. A pipeline need not declare them: all that are not optional exist.
    pub outputs: Vec<OutputPort>,
    /// The fields of its `with` table.
    pub with: Vec<Field>,
    /// Whether it changes the world outside the cache.
    pub effect: bool,
}

/// An input that a built-in step takes.
#[derive(Debug, Clone, Serialize)]
pub struct InputPort {
    /// Its name in `inputs`.
    pub name: &'static str,
    /// Whether a pipeline must give it.
    pub required: bool,
    /// Whether it takes a list of artifacts or a collected matrix (always a folder in the step's folder, also for one).
    pub many: bool,
    /// One sentence for people.
    pub doc: &'static str,
}

/// An output that a built-in step writes.
#[derive(Debug, Clone, Serialize)]
pub struct OutputPort {
    /// Its name in `${step.name}`.
    pub name: &'static str,
    /// Where it lies in the step's folder.
    pub path: &'static str,
    /// What it is.
    pub kind: OutputKind,
    /// Whether it may be absent.
    pub optional: bool,
    /// One sentence for people.
    pub doc: &'static str,
}

/// A field of a `with` table.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// The type, for people: `number`, `list of texts` …
    pub kind: &'static str,
    /// One sentence for people, with the default.
    pub doc: &'static str,
}

/// What an output is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// A file.
    File,
    /// A folder.
    Dir,
    /// A JSON file of numbers that the engine reads.
    Metrics,
    /// A Vega-Lite specification, a CSV file or an image.
    Plot,
    /// A model file.
    Model,
    /// A report for people or machines.
    Report,
}

impl OutputKind {
    /// The word in the pipeline file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Metrics => "metrics",
            Self::Plot => "plot",
            Self::Model => "model",
            Self::Report => "report",
        }
    }
}

/// What is wrong with a `with` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithProblem {
    /// The way to the value from the top of the table, such as `["columns", "age", "min"]`; list places as numbers.
    pub path: Vec<String>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, if that is known.
    pub help: Option<String>,
}

/// What an effect's target says about the effect's last success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// The target still is as the last success left it: nothing to do.
    Same,
    /// The target no longer shows the last success and nobody claims it (a registry was deleted, say): do it again.
    Gone,
    /// What the effect would bring back is held back by a rollback: leave it alone.
    Held {
        /// What is held, by whom, since when, in a sentence for people.
        message: String,
    },
    /// Someone else moved the target: stop.
    Moved {
        /// What was moved, by whom and when, in a sentence for people.
        message: String,
    },
}

/// The built-in steps, handed to the engine by whoever starts it.
pub trait Catalog: Send + Sync {
    /// All interfaces, in the order of a pipeline's life.
    fn interfaces(&self) -> &[Interface];

    /// What is wrong with this `with` table (all that can be told at once); empty if nothing is.
    fn check(&self, step: &str, with: &Value) -> Vec<WithProblem>;

    /// Asks the target of a built-in effect about its last success.
    ///
    /// `state` is the project's state folder; `with` the step's table; `outcome` what the step's
    /// [`EffectOrder::outcome`] file held after the last success.
    ///
    /// # Errors
    /// If the target cannot be read, in a sentence for people.
    fn probe(
        &self,
        step: &str,
        state: &Utf8Path,
        with: &Value,
        outcome: &serde_json::Value,
    ) -> Result<Standing, String>;

    /// The target of a built-in effect, such as `models/diabetes`: one log of successes is kept per target and step.
    fn target(&self, step: &str, with: &Value) -> String;
}

impl dyn Catalog + '_ {
    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces().iter().find(|interface| interface.name == name)
    }
}

/// What the engine tells a built-in step, in the JSON file that the environment variable `TIDEMILL_ORDER` names.
/// All paths are relative to the step's folder, which is the working folder of the process, or absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The built-in's name.
    pub uses: String,
    /// The id of the step, for messages.
    pub step: String,
    /// Its `with` table as JSON.
    pub with: serde_json::Value,
    /// Where each input lies; an optional input that is absent is not listed.
    pub inputs: std::collections::BTreeMap<String, Vec<String>>,
    /// Where each output is to be written.
    pub outputs: std::collections::BTreeMap<String, String>,
    /// For effects only: the run, the pipeline, the state folder, and the file to write the outcome to.
    pub effect: Option<EffectOrder>,
}

/// What only an effect is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectOrder {
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The git commit, if known.
    pub commit: Option<String>,
    /// The project's state folder (absolute), where the registry and the desired state lie.
    pub state: String,
    /// Who runs it, for records.
    pub by: String,
    /// The file (absolute) to write the outcome to: JSON that is kept with the success and handed to the next probe.
    pub outcome: String,
}
