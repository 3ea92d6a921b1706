//! The pipelines of a project with their triggers and with who is told of their runs, as their files are now. A file that has a mistake keeps
//! what it had.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::Digest;
use tidemill_triggers::webhook::Secret;

use super::queue::{Arrival, Known, Rule};
use crate::graph::{EventMatch, On, Trigger, Webhook};
use crate::load::{self, LoadError};
use crate::name::PipelineName;
use crate::project::{self, Project, ProjectError};
use crate::spec::Notify;

/// A pipeline and what starts it.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// Its file (absolute).
    pub path: Utf8PathBuf,
    /// Its triggers, in the order of the file.
    pub triggers: Vec<Trigger>,
    /// Who is told of its runs.
    pub notify: Vec<Notify>,
    /// Why its file cannot be used as it is now.
    pub mistake: Option<String>,
    /// The digest of its text.
    text: Option<Digest>,
}

/// All pipelines of a project, by file, relative to the project.
#[derive(Debug, Clone, Default)]
pub struct Pipelines {
    of: BTreeMap<String, Pipeline>,
}

impl Pipelines {
    /// Reads all of them. `before`: as they were.
    ///
    /// # Errors
    /// If the project file cannot be used.
    pub fn read(project: &Project, before: &Self) -> Result<Self, ProjectError> {
        let mut of = BTreeMap::new();
        for (name, path) in project::pipelines(project.root())? {
            let file = project.relative(&path).to_string();
            let text = fs::read(&path).ok().map(|bytes| Digest::of(&bytes));
            let known = before.of.get(&file);
            // What makes a mistake may lie in another file.
            let is_same = |known: &&Pipeline| known.mistake.is_none() && text.is_some() && known.text == text;
            if let Some(known) = known.filter(is_same) {
                of.insert(file, known.clone());
                continue;
            }
            let notify = match load::notify(&path) {
                Ok(Some(found)) => found.notify,
                Ok(None) | Err(_) => known.map(|known| known.notify.clone()).unwrap_or_default(),
            };
            let pipeline = match load::triggers(project, &path) {
                Ok((name, triggers)) => Pipeline { name, path, triggers, notify, mistake: None, text },
                Err(error) => {
                    let triggers = known.map(|known| known.triggers.clone()).unwrap_or_default();
                    let Ok(name) = PipelineName::new(&name) else { continue };
                    Pipeline { name, path, triggers, notify, mistake: Some(words(&error)), text }
                }
            };
            of.insert(file, pipeline);
        }
        // A file that has lost its name for a moment keeps what it had.
        for (file, known) in &before.of {
            if !of.contains_key(file) && known.path.exists() {
                let mistake = Some("it is no pipeline any more: it has no name".to_owned());
                let text = fs::read(&known.path).ok().map(|bytes| Digest::of(&bytes));
                of.insert(file.clone(), Pipeline { mistake, text, ..known.clone() });
            }
        }
        Ok(Self { of })
    }

    /// Whether these are the same files with the same texts and mistakes.
    #[must_use]
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let same =
            |(left, right): (&Pipeline, &Pipeline)| left.text == right.text && left.mistake == right.mistake;
        self.of.keys().eq(other.of.keys()) && self.of.values().zip(other.of.values()).all(same)
    }

    /// Each with its file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pipeline)> {
        self.of.iter().map(|(file, pipeline)| (file.as_str(), pipeline))
    }

    /// Each trigger that is enabled, with the file and the pipeline.
    pub fn triggers(&self) -> impl Iterator<Item = (&str, &Pipeline, &Trigger)> {
        let all = self.iter().flat_map(|(file, pipeline)| {
            pipeline.triggers.iter().map(move |trigger| (file, pipeline, trigger))
        });
        all.filter(|(_, _, trigger)| trigger.enabled)
    }

    /// The pipeline with this name or file.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(&str, &Pipeline)> {
        self.iter().find(|(file, pipeline)| *file == name || pipeline.name.as_str() == name)
    }

    /// The pipeline in this file, relative to the project.
    #[must_use]
    pub(super) fn of(&self, file: &str) -> Option<&Pipeline> {
        self.of.get(file)
    }

    /// How an arrival is treated.
    pub(super) fn rule(&self, project: &Project, arrival: &Arrival) -> Known {
        let Some(pipeline) = self.of.get(&arrival.file) else {
            // It has such a mistake that nobody sees that it is a pipeline; or it is being written.
            let is_there = project.root().join(&arrival.file).exists();
            return if is_there { Known::Unreadable } else { Known::Gone };
        };
        let Some(name) = &arrival.trigger else { return Known::Rule(Rule::default()) };
        match pipeline.triggers.iter().find(|trigger| trigger.name == *name) {
            Some(trigger) if trigger.enabled => {
                Known::Rule(Rule { concurrency: trigger.concurrency, cooldown: trigger.cooldown })
            }
            None if pipeline.mistake.is_some() => Known::Unreadable,
            _ => Known::Gone,
        }
    }
}

/// What is to be said of webhooks whose secrets are not in the environment: their messages are refused.
#[must_use]
pub fn without_secret(project: &Project) -> Vec<String> {
    let Ok(pipelines) = Pipelines::read(project, &Pipelines::default()) else { return Vec::new() };
    let mut told = Vec::new();
    for (_, own, trigger) in pipelines.triggers() {
        let On::Event(EventMatch { webhook: Some(Webhook { sender, secrets, .. }), .. }) = &trigger.on else {
            continue;
        };
        for variable in secrets {
            let why = match project.variable(variable).map(Secret::new) {
                None => "is not in the environment".to_owned(),
                Some(Err(error)) => format!("holds no secret: {error}"),
                Some(Ok(secret)) => match sender.accepts(&secret) {
                    Ok(()) => continue,
                    Err(error) => format!("holds no secret of its sender: {error}"),
                },
            };
            told.push(format!("{}#{}: messages are refused, for {variable} {why}", own.name, trigger.name));
        }
    }
    told
}

fn words(error: &LoadError) -> String {
    match error {
        LoadError::Diagnostics(diagnostics) => diagnostics.to_string(),
        LoadError::Read { path, source } => format!("cannot read {path}: {source}"),
    }
}

/// What must be looked at to see that a pipeline came, went or changed.
#[must_use]
pub(super) fn watched(root: &Utf8Path, pipelines: &Pipelines) -> super::Reads {
    let files = pipelines.of.values().map(|pipeline| pipeline.path.clone());
    super::Reads::of_pipelines(root, files, &project::pipeline_globs(root).unwrap_or_default())
}
