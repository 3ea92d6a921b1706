//! What stages make, as outputs of steps: their names, their kinds, where they are published.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::Utf8Path;

use super::edges::{Made, Maker};
use super::names::Taken;
use super::note::Notes;
use super::place::{Place, rest_below, seen_from};
use super::stage::{Member, Out, Role, Stage};
use super::step::{Output, Unit};
use super::text::{References, is_reference};

/// Files that a plot can be.
pub(super) const PLOTS: [&str; 9] = ["csv", "tsv", "json", "png", "jpg", "jpeg", "svg", "gif", "webp"];

/// What the stages become: their steps' names and outputs.
pub(super) struct Outs<'a> {
    pub(super) made: &'a Made,
    stages: &'a [Stage],
    /// By stage and member: the step that it becomes.
    steps: BTreeMap<(usize, usize), Shaped>,
}

/// The outputs of one member, in the order of its outs; none for an out that cannot be an output.
struct Shaped {
    step: String,
    outputs: Vec<Option<Output>>,
    /// The places of the outs, with letters for axes if the step has a matrix.
    shapes: Vec<String>,
}

/// What is known of outs beside the stages.
pub(super) struct Facts<'a, 'r> {
    /// The folder of the pipeline.
    pub(super) folder: &'r Utf8Path,
    /// Places that `dvc.lock` knows as folders.
    pub(super) folders: &'r BTreeSet<String>,
    /// Places that are metrics or plots by the lists at the top of the file, with their lines.
    pub(super) listed: &'r BTreeMap<String, (Role, u64)>,
    pub(super) stages: &'a [Stage],
    pub(super) made: &'a Made,
    pub(super) references: &'r References,
}

impl<'a> Outs<'a> {
    /// The outputs of all stages; `with` says which are one step with a matrix.
    pub(super) fn new(facts: &Facts<'a, '_>, with: &[bool], notes: &mut Notes) -> Self {
        let mut taken = Taken::default();
        let mut steps = BTreeMap::new();
        for (index, stage) in facts.stages.iter().enumerate().filter(|(_, stage)| !stage.frozen) {
            let whole = with[index].then(|| taken.step(&stage.name));
            for (number, member) in stage.members.iter().enumerate() {
                let own = || {
                    let suffix =
                        member.suffix.as_ref().map(|suffix| format!("-{suffix}")).unwrap_or_default();
                    format!("{}{suffix}", stage.name)
                };
                let step = whole.clone().unwrap_or_else(|| taken.step(&own()));
                let shaped = facts.shaped(stage, member, step, with[index], notes);
                steps.insert((index, number), shaped);
            }
        }
        Self { made: facts.made, stages: facts.stages, steps }
    }

    /// The name of the step that a member of a stage becomes.
    pub(super) fn step(&self, stage: usize, member: usize) -> &str {
        self.steps.get(&(stage, member)).map_or("", |shaped| shaped.step.as_str())
    }

    /// The outputs of a step.
    pub(super) fn of(&self, unit: Unit<'_>) -> Vec<Output> {
        let stage = self.stages.iter().position(|stage| std::ptr::eq(stage, unit.stage));
        let member = unit.stage.members.iter().position(|member| std::ptr::eq(member, unit.member));
        let shaped = stage.zip(member).and_then(|place| self.steps.get(&place));
        shaped.map(|shaped| shaped.outputs.iter().flatten().cloned().collect()).unwrap_or_default()
    }

    /// The step, the output and the place of what a maker makes; for a step with a matrix with letters for its axes.
    pub(super) fn made_by(&self, maker: Maker) -> Option<(String, String, String)> {
        let shaped = self.steps.get(&(maker.stage, maker.member))?;
        let output = shaped.outputs.get(maker.out)?.as_ref()?;
        Some((shaped.step.clone(), output.name.clone(), shaped.shapes.get(maker.out)?.clone()))
    }
}

impl Facts<'_, '_> {
    fn shaped(&self, stage: &Stage, member: &Member, step: String, whole: bool, notes: &mut Notes) -> Shaped {
        let mut taken = Taken::default();
        let mut shaped = Shaped { step, outputs: Vec::new(), shapes: Vec::new() };
        for out in &member.outs {
            let (Place::Inside(shape), Place::Inside(place)) = (&out.at.shape, &out.at.place) else {
                let advice = "make the pipeline in a folder further up: `tidemill init DIR --from …`";
                notes.stage(
                    out.at.line,
                    &stage.name,
                    "an out is outside of the pipeline's folder and is left out",
                    advice,
                );
                shaped.outputs.push(None);
                shaped.shapes.push(String::new());
                continue;
            };
            let shape = if whole { shape } else { place };
            let words: String = shape.chars().filter(|letter| !is_reference(*letter)).collect();
            shaped.outputs.push(Some(Output {
                name: taken.of_path(&words),
                path: self.references.written(shape),
                kind: self.kind((stage, member), place, out, notes),
                publish: true,
            }));
            shaped.shapes.push(shape.clone());
        }
        shaped
    }

    fn kind(
        &self,
        (stage, member): (&Stage, &Member),
        place: &str,
        out: &Out,
        notes: &mut Notes,
    ) -> Option<&'static str> {
        let role = self.listed.get(place).map_or(out.role, |(role, _)| *role);
        let line = out.at.line;
        let extension = Utf8Path::new(place).extension().unwrap_or_default().to_lowercase();
        if self.is_folder(place) {
            return Some("dir");
        }
        match role {
            Role::Metrics if extension == "json" && self.may_be_metrics(place) => Some("metrics"),
            Role::Metrics => {
                let what =
                    format!("{place} is kept as a file: metrics are JSON, an object of names and numbers");
                notes.stage(
                    line,
                    &stage.name,
                    what,
                    "let the script write them so, and add `kind = \"metrics\"`",
                );
                None
            }
            Role::Plot if PLOTS.contains(&extension.as_str()) => Some("plot"),
            Role::Plot => {
                let what = format!("{place} is kept as a file: a plot is CSV, JSON or an image");
                notes.stage(line, &stage.name, what, "");
                None
            }
            Role::Out if extension.is_empty() && !self.is_file(member, place) => {
                notes.folder(line, place);
                Some("dir")
            }
            Role::Out | Role::Rows => None,
        }
    }

    /// Whether something is known to be a folder: it is one now, `dvc.lock` says so, or something in it is named.
    fn is_folder(&self, place: &str) -> bool {
        let deps = self.stages.iter().flat_map(|stage| &stage.members).flat_map(|member| &member.deps);
        let named = deps.filter_map(|dep| match &dep.place {
            Place::Inside(place) => Some(place.as_str()),
            _ => None,
        });
        let mut named = named.chain(self.listed.keys().map(String::as_str));
        self.folder.join(place).is_dir()
            || self.folders.contains(place)
            || named.any(|named| rest_below(place, named).is_some_and(|rest| !rest.is_empty()))
    }

    /// Whether something is known to be a file: it is one now, or what a command prints goes there.
    fn is_file(&self, member: &Member, place: &str) -> bool {
        let path = seen_from(&member.folder, place);
        let plain = |command: &String| self.references.plain(command, &member.axes);
        let printed = |command: String| {
            let targets = command
                .split('>')
                .skip(1)
                .map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned());
            targets
                .into_iter()
                .any(|target| target.trim_matches(['"', '\'', ';']).trim_start_matches("./") == path)
        };
        self.folder.join(place).is_file() || member.commands.iter().map(plain).any(printed)
    }

    /// Whether what lies there now could be metrics; nothing could.
    fn may_be_metrics(&self, place: &str) -> bool {
        let Ok(bytes) = fs::read(self.folder.join(place)) else { return true };
        serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|value| value.is_object())
    }
}
