//! A DVC pipeline as a pipeline of Tidemill: `dvc.yaml` in, the text of a `pipeline.toml` out, with notes on what has no
//! counterpart.
//!
//! text → [`yaml`] tree → [`stage`]s with their `${…}` looked up ([`text`], [`vars`], [`fan`]) → who makes what ([`edges`],
//! [`outs`]) → [`step`]s with their [`command`]s → [`write`]. The result is loaded by the engine before anyone gets it.

mod command;
mod drawing;
mod edges;
mod fan;
mod imports;
mod names;
mod note;
mod outs;
mod parts;
mod place;
mod stage;
mod step;
mod text;
mod top;
mod undeclared;
mod vars;
mod write;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tidemill_engine::executors::Executors;
use tidemill_engine::graph::{self, Graph};
use tidemill_engine::name::PipelineName;
use tidemill_engine::project::PIPELINE_FILE;
use tidemill_engine::spec::{Code, Diagnostics, LoadRequest};

pub(crate) use note::Note;

use command::Known;
use edges::Made;
use note::Notes;
use outs::{Facts, Outs};
use parts::Parts;
use place::{normal, rest_below};
use stage::{Reader, Stage};
use step::{Builder, Step, Unit};
use text::{Reference, References, is_reference};
use yaml::Node;

/// What is to be translated.
pub(crate) struct Order<'a> {
    /// The `dvc.yaml` (absolute).
    pub(crate) file: &'a Utf8Path,
    /// The same as it was named.
    pub(crate) shown: &'a Utf8Path,
    /// The folder of the pipeline (absolute).
    pub(crate) folder: &'a Utf8Path,
    /// The pipeline's name.
    pub(crate) name: &'a PipelineName,
}

/// A translated pipeline.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The text of its file.
    pub(crate) text: String,
    /// What is to be known about it.
    pub(crate) notes: Vec<Note>,
}

/// A `dvc.yaml` that cannot be translated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DvcError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no YAML, or has nothing to translate.
    #[error("{path} cannot be translated: {reason}")]
    Unusable {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        reason: String,
        /// What was found on the way.
        notes: Vec<Note>,
    },
}

impl DvcError {
    /// What was found on the way.
    pub(crate) fn notes(&self) -> &[Note] {
        match self {
            Self::Read { .. } => &[],
            Self::Unusable { notes, .. } => notes,
        }
    }
}

/// Translates a `dvc.yaml`. Nothing is written.
///
/// # Errors
/// If nothing of it can be used.
pub(crate) fn translate(order: &Order<'_>) -> Result<Translation, DvcError> {
    let path = || order.shown.to_owned();
    let unusable = |reason: String| DvcError::Unusable { path: path(), reason, notes: Vec::new() };
    let bytes = fs::read(order.file).map_err(|source| DvcError::Read { path: path(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
    if text.contains(is_reference) {
        return Err(unusable("it has characters of Unicode's private use area".to_owned()));
    }
    let tree = yaml::parse(&text).map_err(unusable)?;
    let folder = order.file.canonicalize_utf8().ok().and_then(|file| file.parent().map(Utf8Path::to_owned));
    let folder = folder.or_else(|| order.file.parent().map(Utf8Path::to_owned)).unwrap_or_default();
    let below = rest_below(order.folder.as_str(), folder.as_str()).map(normal);
    let below = below.ok_or_else(|| {
        unusable(format!("{} is not the folder that it is in, and none above it", order.folder))
    })?;
    let notes = Notes::new(order.shown.as_str());
    let translator =
        Translator { order, folder: &folder, below: &below, references: References::default(), notes };
    translator.translate(&tree)
}

struct Translator<'a> {
    order: &'a Order<'a>,
    /// The folder of the `dvc.yaml`.
    folder: &'a Utf8Path,
    /// The same, relative to the pipeline's.
    below: &'a str,
    references: References,
    notes: Notes,
}

impl Translator<'_> {
    fn translate(mut self, tree: &Node) -> Result<Translation, DvcError> {
        let stages = self.stages(tree);
        let made = Made::by(&stages);
        let top = top::read(tree, self.below, &mut self.notes);
        let folders = top::folders(tree, self.folder, self.below);
        let stuck: Vec<bool> = stages.iter().map(|stage| self.is_stuck(stage)).collect();
        let with = edges::with_matrix(&stages, &made, &stuck);
        let facts = Facts {
            folder: self.order.folder,
            folders: &folders,
            listed: &top.listed,
            stages: &stages,
            made: &made,
            references: &self.references,
        };
        let outs = Outs::new(&facts, &with, &mut self.notes);
        let mut builder = Builder {
            folder: self.order.folder,
            outs: &outs,
            references: &mut self.references,
            notes: &mut self.notes,
        };
        let mut steps = Vec::new();
        for (index, stage) in stages.iter().enumerate().filter(|(_, stage)| !stage.frozen) {
            let count = if with[index] { 1 } else { stage.members.len() };
            for (number, member) in stage.members.iter().enumerate().take(count) {
                let unit = Unit { stage, member, whole: with[index], first: number == 0 };
                steps.push(builder.step(outs.step(index, number), unit));
            }
        }
        let parts = Parts { outs: &outs, stages: &stages, with: &with, notes: &mut self.notes };
        steps.extend(parts.steps(&top));
        self.finish(steps)
    }

    /// The stages that can be read. A frozen one whose outs are all there is none: what it made is taken as it is.
    fn stages(&mut self, tree: &Node) -> Vec<Stage> {
        let vars = vars::of_file(tree, self.folder, &mut self.notes);
        let mut stages = Vec::new();
        for (key, node) in tree.get("stages").map_or(&[][..], Node::members) {
            let mut reader = Reader {
                folder: self.folder,
                below: self.below,
                vars: &vars,
                references: &mut self.references,
                notes: &mut self.notes,
            };
            let Some(mut stage) = reader.stage(&key.text, key.line, node) else { continue };
            if stage.frozen {
                self.frozen(&mut stage);
            }
            stages.push(stage);
        }
        stages
    }

    fn frozen(&mut self, stage: &mut Stage) {
        let outs = stage.members.iter().flat_map(|member| &member.outs);
        let missing = outs.filter_map(|out| match &out.at.place {
            place::Place::Inside(place) if !self.order.folder.join(place).exists() => Some(place.clone()),
            _ => None,
        });
        match missing.collect::<Vec<_>>().first() {
            None => {
                let what = "it is frozen: there is no step for it, and what it made is taken as it is in the project";
                self.notes.stage(stage.line, &stage.name, what, "");
            }
            Some(missing) => {
                let what =
                    format!("it is frozen, but {missing} is not here: translated like any other stage");
                self.notes.stage(stage.line, &stage.name, what, "");
                stage.frozen = false;
            }
        }
    }

    /// Whether a command of a stage has a value of the matrix where no reference can stand.
    fn is_stuck(&self, stage: &Stage) -> bool {
        stage.members.first().is_some_and(|member| {
            let known =
                Known { replacements: &[], paths: &[], references: &self.references, axes: &member.axes };
            let write = |text: &String| command::write(text, known);
            member.commands.iter().any(|text| write(text).stuck)
        })
    }

    /// Writes the pipeline and has it loaded.
    fn finish(self, mut steps: Vec<Step>) -> Result<Translation, DvcError> {
        let path = self.order.shown.to_owned();
        let mut notes = self.notes.sorted();
        if steps.is_empty() {
            return Err(DvcError::Unusable {
                path,
                reason: "it has no stage that can be a step".to_owned(),
                notes,
            });
        }
        let params = params(&steps, &self.references);
        let file = self.order.folder.join(PIPELINE_FILE);
        let text = |steps: &[Step], notes: &[Note]| {
            write::pipeline(self.order.shown.as_str(), self.order.name, &params, steps, notes)
        };
        let first = text(&steps, &notes);
        let Err(mistakes) = load(&file, &first) else { return Ok(Translation { text: first, notes }) };
        // Outs that DVC lets lie in each other's way can still be outputs, though not be put into the project.
        let reason =
            mistakes.items.iter().map(|mistake| mistake.message.as_str()).collect::<Vec<_>>().join("; ");
        let of_publishing = [Code::PublishClash, Code::PublishInput];
        if mistakes.items.iter().all(|mistake| of_publishing.contains(&mistake.code)) {
            steps.iter_mut().flat_map(|step| &mut step.outputs).for_each(|output| output.publish = false);
            notes.insert(
                0,
                Note {
                    file: path.to_string(),
                    line: 1,
                    stage: None,
                    what: format!("nothing is published to the project: {reason}"),
                    advice: Some(
                        "add `publish` to the outputs that should be there, or get one with `tidemill get`"
                            .to_owned(),
                    ),
                },
            );
            let second = text(&steps, &notes);
            if load(&file, &second).is_ok() {
                return Ok(Translation { text: second, notes });
            }
        }
        Err(DvcError::Unusable { path, reason: format!("what comes out is not sound: {reason}"), notes })
    }
}

fn load(file: &Utf8Path, text: &str) -> Result<Graph, Diagnostics> {
    let catalog = tidemill_steps::catalog();
    graph::load(&LoadRequest {
        file,
        text,
        set: &[],
        params_files: &[],
        catalog: catalog.as_ref(),
        executors: Executors::none(),
    })
}

/// The parameters that commands refer to.
fn params(steps: &[Step], references: &References) -> BTreeMap<String, Value> {
    let used = |reference: &&Reference| match reference {
        Reference::Param(name, _) => {
            steps.iter().any(|step| step.run.contains(&format!("${{params.{name}}}")))
        }
        _ => false,
    };
    let param = |reference: &Reference| match reference {
        Reference::Param(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    references.all().filter(used).filter_map(param).collect()
}
