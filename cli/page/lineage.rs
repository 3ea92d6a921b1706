//! Where everything came from: each step's inputs and outputs by their digests, followed from output to input.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tidemill_cache::{Digest, Form, Kind};
use tidemill_engine::plan::InputFact;
use tidemill_engine::registry::Registry;

use super::gather::{Run, Step};
use crate::error::CliError;
use crate::ui::text::{clean, count, size};

/// More steps than this are too many for one page.
const MOST: usize = 500;
/// More inputs of one step than this are counted.
const MOST_INPUTS: usize = 100;

/// The steps with what they read and wrote.
#[derive(Debug, Serialize)]
pub(super) struct Lineage {
    steps: Vec<Entry>,
    /// How many are not shown.
    more: usize,
}

/// A step with what it read and wrote.
#[derive(Debug, Serialize)]
struct Entry {
    step: String,
    action: String,
    key: String,
    inputs: Vec<Input>,
    /// How many inputs are not shown.
    more: usize,
    outputs: Vec<Output>,
}

#[derive(Debug, Serialize)]
struct Input {
    name: String,
    from: String,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Output {
    name: String,
    path: String,
    kind: String,
    size: String,
    digest: String,
    whole_digest: String,
}

/// Where an input came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The output of a step of the run, by its place.
    Output(usize, String),
    /// A file of the project.
    File(String),
    /// A registered model.
    Model(String),
    /// Somewhere else.
    Elsewhere,
}

/// Who made which bytes.
pub(super) struct Origins<'a> {
    run: &'a Run<'a>,
    /// The outputs of the run's steps: the place of the step, the output's name and the name of its file.
    outputs: BTreeMap<Digest, Vec<(usize, String, String)>>,
    models: BTreeMap<Digest, String>,
}

impl<'a> Origins<'a> {
    /// All outputs of a run and all registered models.
    pub(super) fn of(run: &'a Run<'a>) -> Result<Self, CliError> {
        let mut outputs: BTreeMap<Digest, Vec<(usize, String, String)>> = BTreeMap::new();
        for (place, step) in run.steps.iter().enumerate() {
            for (name, artifact) in &step.record.outputs {
                let declared = step.facts.as_ref().and_then(|facts| facts.outputs.get(name));
                let file = declared.map(|output| base(&output.path).to_owned()).unwrap_or_default();
                outputs.entry(artifact.digest).or_default().push((place, name.clone(), file));
            }
        }
        let registry = Registry::at(run.project.state());
        let mut models = BTreeMap::new();
        for model in registry.models()? {
            for version in registry.versions(&model)? {
                let name = format!("version {} of {model}", version.version);
                models.entry(version.about.model.digest).or_insert(name);
            }
        }
        Ok(Self { run, outputs, models })
    }

    /// Where an input of the n-th step came from. A folder that was collected from several outputs has several origins.
    fn origins(&self, place: usize, input: &InputFact) -> Vec<(Origin, Digest)> {
        let is_file = !input.at.starts_with("inputs/");
        if is_file {
            return vec![(Origin::File(clean(&input.at)), input.digest)];
        }
        if let Some(origin) = self.maker(place, &input.digest, base(&input.at)) {
            return vec![(origin, input.digest)];
        }
        let collected = self.collected(place, input);
        match (collected.is_empty(), self.models.get(&input.digest)) {
            (false, _) => collected,
            (true, Some(model)) => vec![(Origin::Model(model.clone()), input.digest)],
            (true, None) => vec![(Origin::Elsewhere, input.digest)],
        }
    }

    /// The step before the n-th that made these bytes; of several the one whose file has this name.
    fn maker(&self, place: usize, digest: &Digest, file: &str) -> Option<Origin> {
        let makers = self.outputs.get(digest)?;
        let mut others = makers.iter().filter(|(maker, ..)| *maker != place);
        let named = others.clone().find(|(_, _, name)| name == file);
        named.or_else(|| others.next()).map(|(maker, output, _)| Origin::Output(*maker, output.clone()))
    }

    fn collected(&self, place: usize, input: &InputFact) -> Vec<(Origin, Digest)> {
        if !input.folder {
            return Vec::new();
        }
        let folder = tidemill_cache::Artifact { form: Form::Folder, digest: input.digest, size: 0, files: 0 };
        // A folder that is gone from the cache has lost its entries.
        let Ok(manifest) = self.run.project.cache().manifest(&folder) else { return Vec::new() };
        let entries = manifest.entries().iter().filter_map(|entry| match &entry.kind {
            Kind::File { digest, .. } => Some((self.maker(place, digest, "")?, *digest)),
            Kind::Folder | Kind::Link { .. } => None,
        });
        entries.collect()
    }

    fn told(&self, origin: &Origin) -> String {
        match origin {
            Origin::Output(place, output) => format!("{}.{}", self.run.steps[*place].name(), clean(output)),
            Origin::File(path) => path.clone(),
            Origin::Model(model) => clean(model),
            Origin::Elsewhere => "outside of the project".to_owned(),
        }
    }

    /// The steps and the project files that the output of this run with these bytes came from: `step.output`, its key, the
    /// steps before it, and the files with their digests.
    pub(super) fn trace(&self, digest: &Digest) -> Option<Trace> {
        // Whoever passed the bytes on last is nearest to what was done with them.
        let (place, output, _) = self.outputs.get(digest)?.last()?;
        let mut trace = Trace {
            output: self.told(&Origin::Output(*place, output.clone())),
            key: self.run.steps[*place].record.key.map(|key| key.short()).unwrap_or_default(),
            steps: BTreeSet::new(),
            files: BTreeSet::new(),
        };
        let mut seen = BTreeSet::new();
        let mut waiting = vec![*place];
        while let Some(place) = waiting.pop() {
            if !seen.insert(place) {
                continue;
            }
            trace.steps.insert(self.run.steps[place].name());
            for input in self.run.steps[place].facts.iter().flat_map(|facts| &facts.inputs) {
                for (origin, digest) in self.origins(place, input) {
                    match origin {
                        Origin::Output(maker, _) => waiting.push(maker),
                        Origin::File(path) => _ = trace.files.insert((path, digest.short())),
                        Origin::Model(_) | Origin::Elsewhere => {}
                    }
                }
            }
        }
        Some(trace)
    }
}

/// What an output came from.
#[derive(Debug, Serialize)]
pub(super) struct Trace {
    output: String,
    key: String,
    steps: BTreeSet<String>,
    files: BTreeSet<(String, String)>,
}

impl Lineage {
    /// The lineage of a run.
    pub(super) fn of(run: &Run<'_>, origins: &Origins<'_>) -> Self {
        let known = || run.steps.iter().enumerate().filter(|(_, step)| step.facts.is_some());
        let steps = known().take(MOST).map(|(place, step)| Entry::of(place, step, origins)).collect();
        Self { steps, more: known().count().saturating_sub(MOST) }
    }
}

impl Entry {
    fn of(place: usize, step: &Step<'_>, origins: &Origins<'_>) -> Self {
        let facts = step.facts.clone().unwrap_or_default();
        let mut inputs = Vec::new();
        for input in &facts.inputs {
            for (origin, digest) in origins.origins(place, input) {
                inputs.push(Input {
                    name: clean(&input.input),
                    from: origins.told(&origin),
                    digest: digest.short(),
                });
            }
        }
        let more = inputs.len().saturating_sub(MOST_INPUTS);
        inputs.truncate(MOST_INPUTS);
        let outputs = step.record.outputs.iter().map(|(name, artifact)| {
            let declared = facts.outputs.get(name);
            let files = match artifact.form {
                Form::Folder => {
                    format!(" in {}", count(usize::try_from(artifact.files).unwrap_or(usize::MAX), "file"))
                }
                Form::File | Form::Executable => String::new(),
            };
            Output {
                name: clean(name),
                path: declared.map(|output| clean(&output.path)).unwrap_or_default(),
                kind: declared.map(|output| clean(&output.kind)).unwrap_or_default(),
                size: format!("{}{files}", size(artifact.size)),
                digest: artifact.digest.short(),
                whole_digest: artifact.digest.to_string(),
            }
        });
        Self {
            step: step.name(),
            action: facts.action.lines().map(clean).collect::<Vec<_>>().join("\n"),
            key: step.record.key.map(|key| key.to_string()).unwrap_or_default(),
            inputs,
            more,
            outputs: outputs.collect(),
        }
    }
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
