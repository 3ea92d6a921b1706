//! An action result: what running a key once produced.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Artifact, Key};

/// What running a key once produced. An immutable, numbered record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResult {
    /// Its number among the results of its key, from 1.
    pub number: u64,
    /// The key that was run.
    pub key: Key,
    /// Each output by name; `None` if it is optional and was not written.
    pub outputs: BTreeMap<String, Option<Artifact>>,
    /// What the step printed.
    pub log: Option<Artifact>,
    /// What it used.
    pub usage: Usage,
    /// When it ended.
    pub finished: Timestamp,
    /// The run in which it ran.
    pub run: String,
    /// The step that was run.
    pub step: String,
    /// The pipeline that the step belongs to.
    #[serde(default)]
    pub pipeline: String,
    /// The machine that ran it.
    pub host: String,
    /// Who ran it.
    #[serde(default)]
    pub user: String,
    /// The root of the project in which it ran, on that machine.
    #[serde(default)]
    pub project: String,
    /// How strictly it was kept from what it did not declare; empty if that is not known.
    #[serde(default)]
    pub sandbox: String,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Processor time in user mode, in milliseconds.
    pub user_ms: u64,
    /// Processor time in the kernel, in milliseconds.
    pub system_ms: u64,
    /// The largest resident memory, in bytes.
    pub peak_memory: u64,
}

/// An action result that has no number yet.
#[derive(Debug, Clone)]
pub struct NewResult {
    /// The number of the newest result that the caller saw for this key; 0 if there was none. A newer one wins.
    pub after: u64,
    /// Each output by name; `None` if it is optional and was not written.
    pub outputs: BTreeMap<String, Option<Artifact>>,
    /// What the step printed.
    pub log: Option<Artifact>,
    /// What it used.
    pub usage: Usage,
    /// When it ended.
    pub finished: Timestamp,
    /// The run in which it ran.
    pub run: String,
    /// The step that was run.
    pub step: String,
    /// The pipeline that the step belongs to.
    pub pipeline: String,
    /// The machine that ran it.
    pub host: String,
    /// Who ran it.
    pub user: String,
    /// The root of the project in which it ran, on that machine.
    pub project: String,
    /// How strictly it was kept from what it did not declare.
    pub sandbox: String,
}

impl NewResult {
    /// The result without a number (0): as it is while nothing was published.
    #[must_use]
    pub fn unpublished(self, key: Key) -> ActionResult {
        ActionResult {
            number: 0,
            key,
            outputs: self.outputs,
            log: self.log,
            usage: self.usage,
            finished: self.finished,
            run: self.run,
            step: self.step,
            pipeline: self.pipeline,
            host: self.host,
            user: self.user,
            project: self.project,
            sandbox: self.sandbox,
        }
    }
}

impl ActionResult {
    /// Every artifact that it refers to.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.outputs.values().flatten().chain(&self.log)
    }
}
