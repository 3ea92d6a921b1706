//! The catalog of the built-in steps: one entry each, handed to the engine as data.

use std::sync::{Arc, LazyLock};

use camino::Utf8Path;
use serde_json::Value as Json;
use tidemill_engine::Value;
use tidemill_engine::interface::{Catalog, Interface, Standing, WithProblem};

use crate::{StepError, Task};

/// A built-in step: to add one, write its folder and list its entry in [`ENTRIES`].
pub(crate) struct Entry {
    /// What it declares of itself.
    pub(crate) interface: fn() -> Interface,
    /// What is wrong with a `with` table.
    pub(crate) check: fn(&Value) -> Vec<WithProblem>,
    /// Its work, in a process of its own.
    pub(crate) run: fn(&Task) -> Result<(), StepError>,
    /// What the engine asks of an effect; `None` for a step that changes nothing outside the cache.
    pub(crate) effect: Option<Effect>,
}

/// What the engine asks of a built-in effect.
pub(crate) struct Effect {
    /// See [`Catalog::probe`]: the state folder, the `with` table, the last outcome.
    pub(crate) probe: fn(&Utf8Path, &Value, &Json) -> Result<Standing, String>,
    /// See [`Catalog::target`].
    pub(crate) target: fn(&Value) -> String,
}

/// All built-in steps, in the order of a pipeline's life.
const ENTRIES: &[Entry] = &[
    crate::ingest::ENTRY,
    crate::validate::ENTRY,
    crate::preprocess::ENTRY,
    crate::train::ENTRY,
    crate::evaluate::ENTRY,
    crate::register::ENTRY,
    crate::deploy::ENTRY,
];

/// The entries with their interfaces, which are made once for the whole process.
struct BuiltIns {
    interfaces: Vec<Interface>,
}

static BUILT_INS: LazyLock<Arc<BuiltIns>> = LazyLock::new(|| {
    Arc::new(BuiltIns { interfaces: ENTRIES.iter().map(|entry| (entry.interface)()).collect() })
});

/// The built-in steps, for the engine.
#[must_use]
pub fn catalog() -> Arc<dyn Catalog> {
    BUILT_INS.clone()
}

/// Does a built-in step's work: the child side of `tidemill step NAME`.
///
/// # Errors
/// If there is no such step, the engine's order cannot be read, or the step fails.
pub fn run(name: &str) -> Result<(), StepError> {
    let task = Task::from_environment()?;
    if task.uses() != name {
        return Err(StepError::Order(format!("it is for `{}`, not for `{name}`", task.uses())));
    }
    perform(&task)
}

/// Does the work that the task names, in this process.
///
/// # Errors
/// If there is no such step, or the step fails.
pub fn perform(task: &Task) -> Result<(), StepError> {
    let entry = BUILT_INS.entry(task.uses()).ok_or_else(|| StepError::UnknownStep(task.uses().to_owned()))?;
    (entry.run)(task)
}

impl BuiltIns {
    fn entry(&self, name: &str) -> Option<&'static Entry> {
        let place = self.interfaces.iter().position(|interface| interface.name == name)?;
        ENTRIES.get(place)
    }

    fn effect(&self, name: &str) -> Option<&'static Effect> {
        self.entry(name)?.effect.as_ref()
    }
}

impl Catalog for BuiltIns {
    fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    fn check(&self, step: &str, with: &Value) -> Vec<WithProblem> {
        self.entry(step).map(|entry| (entry.check)(with)).unwrap_or_default()
    }

    fn probe(&self, step: &str, state: &Utf8Path, with: &Value, outcome: &Json) -> Result<Standing, String> {
        match self.effect(step) {
            Some(effect) => (effect.probe)(state, with, outcome),
            None => Err(format!("`{step}` is no effect")),
        }
    }

    fn target(&self, step: &str, with: &Value) -> String {
        self.effect(step).map_or_else(|| step.to_owned(), |effect| (effect.target)(with))
    }
}
