//! A step folder that is open for a person: what is in it, and what its step would be started with.

use std::collections::BTreeMap;
use std::fs::File;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::execute::{Card, Origin, StepFolder, clear_but, leave, remove};
use crate::plan::Paths;
use crate::process::Fence;
use crate::project::Project;
use crate::sandbox::Sandbox;

/// A step folder that is open. Nobody removes it meanwhile.
#[derive(Debug, Serialize)]
pub struct DebugFolder {
    /// Whether an attempt failed in it, or it was just made.
    pub origin: Origin,
    /// What is known of the attempt.
    #[serde(flatten)]
    pub card: Card,
    /// How the step of the pipeline as it is now stands to that attempt.
    pub present: Present,
    /// The folder that the step works in.
    pub folder: Utf8PathBuf,
    /// A script that starts the step's command there, with its variables.
    pub script: Utf8PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The variables; none for the value of one that comes from a secret.
    pub env: BTreeMap<String, Option<String>>,
    /// Where the step writes its outputs, in the folder.
    pub outputs: BTreeMap<String, String>,
    /// Large files that are the cache's or the project's too, because a copy would be too much.
    pub shared: Vec<Utf8PathBuf>,
    /// How strictly the step is kept from what it did not declare, in fact.
    pub sandbox: Sandbox,
    /// What the step changes outside of its folder, if it does.
    pub target: Option<String>,
    #[serde(skip)]
    pub(super) fence: Option<Fence>,
    #[serde(skip)]
    pub(super) variables: BTreeMap<String, String>,
    #[serde(skip)]
    pub(super) place: StepFolder,
    #[serde(skip)]
    pub(super) in_use: File,
}

/// How a step of the pipeline as it is now stands to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "now")]
pub enum Present {
    /// It has the same key.
    Same,
    /// It has another key.
    Differs {
        /// Why, in a few words.
        reason: String,
    },
    /// It has no key yet, or cannot have one.
    Unknown {
        /// Why, in a few words.
        reason: String,
    },
}

/// What becomes of a folder that nobody works in any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It stays; older ones of its step that were kept for the same reason go.
    Stay,
    /// It goes.
    Remove,
}

impl DebugFolder {
    /// All variables of the step's process, with the values of secrets.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// What the step's process may reach, if that is limited. For a step that is traced nothing is.
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// What the command sees of each input, relative to the folder.
    #[must_use]
    pub fn inputs(&self) -> &Paths {
        &self.card.paths
    }

    /// Ends the work in it.
    pub fn close(self, project: &Project, ending: Ending) {
        match (ending, self.origin) {
            (Ending::Remove, _) => remove(project, self.place.base()),
            (Ending::Stay, Origin::Fresh) => clear_but(project, Origin::Fresh, &self.card),
            (Ending::Stay, Origin::Failed) => {}
        }
        leave(project, &self.place, self.in_use);
    }
}
