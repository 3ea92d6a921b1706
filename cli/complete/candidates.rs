//! The candidates for each kind of name.

use std::ffi::OsStr;

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};
use tidemill_engine::event::Outcome;
use tidemill_engine::name::ModelName;
use tidemill_engine::project;
use tidemill_engine::record::History;
use tidemill_engine::registry::Registry;
use tidemill_engine::spec::{Code, explained};

use super::typed::Typed;
use crate::ui::text::{clean, time};

/// Of so many runs, the newest, the outcome is looked up.
const RUNS_WITH_OUTCOME: usize = 50;
/// So many runs are offered.
const MOST_RUNS: usize = 500;

/// Names of pipelines, and files and folders.
pub(super) fn pipelines(current: &OsStr) -> Vec<CompletionCandidate> {
    let named = Typed::line().and_then(|typed| project::pipelines(&project::root_of(&typed.folder)).ok());
    let named = named.unwrap_or_default().into_iter().map(|(name, file)| {
        let help = file.file_name().map(|name| format!("pipeline in {name}"));
        (name, help)
    });
    let mut candidates = beginning(current, named);
    candidates.extend(PathCompleter::any().complete(current));
    candidates
}

/// Steps, by their names and with their matrix values.
pub(super) fn steps(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::line() else { return Vec::new() };
    let steps = typed.names().iter().flat_map(|names| &names.steps);
    let words = steps.flat_map(|step| std::iter::once(&step.step).chain(&step.ids));
    beginning(current, words.map(|word| (word.clone(), None)))
}

/// Outputs of steps: `train.model`.
pub(super) fn outputs(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::line() else { return Vec::new() };
    let steps = typed.names().iter().flat_map(|names| &names.steps);
    let words = steps.flat_map(|step| {
        let ids = if step.ids.is_empty() { std::slice::from_ref(&step.step) } else { step.ids.as_slice() };
        ids.iter().flat_map(|id| step.outputs.iter().map(move |output| format!("{id}.{output}")))
    });
    beginning(current, words.map(|word| (word, None)))
}

/// Parameters, as `--set` takes them.
pub(super) fn params(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::line() else { return Vec::new() };
    let params = typed.names().iter().flat_map(|names| &names.params);
    beginning(
        current,
        params.map(|(name, value)| (format!("{name}="), Some(format!("now {}", clean(value))))),
    )
}

/// Runs, newest first.
pub(super) fn runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(state) = Typed::line().and_then(|typed| typed.state()) else { return Vec::new() };
    let history = History::below(&state);
    let ids = history.ids().unwrap_or_default();
    let last = ids.first().map(|_| ("last".to_owned(), Some("the newest run".to_owned())));
    let ids = ids.into_iter().take(MOST_RUNS).enumerate().map(|(place, run)| {
        let outcome = (place < RUNS_WITH_OUTCOME).then(|| history.outcome(&run)).flatten();
        (run.to_string(), outcome.map(|(outcome, at)| format!("{}, {}", word(outcome), time(at))))
    });
    beginning(current, last.into_iter().chain(ids))
}

/// Registered models.
pub(super) fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(registry) = registry() else { return Vec::new() };
    let models = registry.models().unwrap_or_default();
    beginning(current, models.into_iter().map(|model| (model.to_string(), None)))
}

/// Aliases of the model that is typed already.
pub(super) fn aliases(current: &OsStr) -> Vec<CompletionCandidate> {
    let summary = model().and_then(|(registry, model)| registry.summary(&model).ok());
    let aliases = summary.map(|summary| summary.aliases).unwrap_or_default();
    beginning(current, aliases.iter().map(|(alias, at)| (alias.to_string(), Some(format!("version {at}")))))
}

/// Codes of mistakes.
pub(super) fn codes(current: &OsStr) -> Vec<CompletionCandidate> {
    let codes = Code::ALL.iter().map(|&code| (code.to_string(), Some(explained(code).title.to_owned())));
    beginning(current, codes)
}

/// Versions of the model that is typed already, newest first.
pub(super) fn versions(current: &OsStr) -> Vec<CompletionCandidate> {
    let versions = model().and_then(|(registry, model)| registry.versions(&model).ok()).unwrap_or_default();
    let versions = versions.iter().rev();
    beginning(
        current,
        versions.map(|version| {
            (version.version.to_string(), Some(format!("registered {}", time(version.created))))
        }),
    )
}

fn registry() -> Option<Registry> {
    Typed::line().and_then(|typed| typed.state()).map(Registry::at)
}

fn model() -> Option<(Registry, ModelName)> {
    let typed = Typed::line()?;
    let model = ModelName::new(&typed.value("model")?).ok()?;
    Some((Registry::at(typed.state()?), model))
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "done",
        Outcome::StepFailed => "failed",
        Outcome::GateClosed => "gate closed",
        Outcome::InfrastructureFailed => "machine failed",
        Outcome::Interrupted => "interrupted",
    }
}

/// The words that begin as the current one does, in their order.
fn beginning(
    current: &OsStr,
    words: impl IntoIterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let words = words.into_iter().filter(|(word, _)| word.starts_with(current.as_ref()));
    words.map(|(word, help)| CompletionCandidate::new(word).help(help.map(Into::into))).collect()
}
