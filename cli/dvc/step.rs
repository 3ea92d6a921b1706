//! From a stage to a step: inputs, outputs, and a command that finds what it reads.
//!
//! A step finds the project's files where they are in the project. What another step makes lies elsewhere, at `${inputs.x}`: so
//! the command gets that reference where it names the path, and where it does not (a script that knows the path itself), a link
//! is laid at the old place first.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::Value;

use super::command::{self, Known, Replacement};
use super::edges::{Maker, Origin};
use super::names::Taken;
use super::note::Notes;
use super::outs::Outs;
use super::place::{Place, rest_below, seen_from, way_up};
use super::stage::{Located, Member, Stage};
use super::text::{Reference, References, quoted};

/// A step as it is written. Texts are ready for the pipeline.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    /// The stage that it comes from, its line, and whether it is the first step of it.
    pub(super) stage: String,
    pub(super) line: u64,
    pub(super) first: bool,
    pub(super) description: Option<String>,
    /// Parameters that the stage lists of files that its script reads.
    pub(super) params: Vec<String>,
    pub(super) matrix: Vec<(String, Vec<Value>)>,
    pub(super) run: String,
    pub(super) inputs: Vec<(String, String)>,
    pub(super) outputs: Vec<Output>,
    pub(super) pass_env: Vec<String>,
    pub(super) cached: bool,
}

/// An output of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) kind: Option<&'static str>,
    pub(super) publish: bool,
}

/// One step to be: a whole stage, or one member of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit<'a> {
    pub(super) stage: &'a Stage,
    pub(super) member: &'a Member,
    /// Whether it is the whole stage, with a matrix.
    pub(super) whole: bool,
    pub(super) first: bool,
}

/// What is known around a step.
pub(super) struct Builder<'a> {
    /// The folder of the pipeline.
    pub(super) folder: &'a Utf8Path,
    pub(super) outs: &'a Outs<'a>,
    pub(super) references: &'a mut References,
    pub(super) notes: &'a mut Notes,
}

/// An artifact that a step reads: the letter of its input, and where DVC had it.
struct Artifact {
    letter: char,
    place: String,
}

/// What the inputs of one step are, as they are found.
#[derive(Default)]
pub(super) struct Inputs {
    taken: Taken,
    written: Vec<(String, String)>,
    /// Places of the project that are declared.
    pub(super) places: Vec<String>,
    artifacts: Vec<Artifact>,
    /// Files elsewhere that the command names by a path that leads out of the step's folder.
    outside: Vec<Artifact>,
    seen: BTreeSet<String>,
}

impl Builder<'_> {
    /// The step.
    pub(super) fn step(&mut self, name: &str, unit: Unit<'_>) -> Step {
        let mut inputs = Inputs::default();
        for dep in &unit.member.deps {
            self.dep(unit, dep, &mut inputs);
        }
        for (params, _) in &unit.member.params {
            self.params(unit, params, &mut inputs);
        }
        let outputs = self.outs.of(unit);
        let run = self.run(unit, &mut inputs, &outputs);
        let member = unit.member;
        let commands = member.commands.join("\n");
        let pass_env = command::variables(&self.references.plain(&commands, &member.axes));
        if !pass_env.is_empty() {
            let what = format!(
                "its command reads {} of the environment, which is now in the key",
                pass_env.join(", ")
            );
            self.notes.stage(
                unit.stage.line,
                &unit.stage.name,
                what,
                "use `secrets` for what must not be kept",
            );
        }
        let does_nothing = member.deps.is_empty() && member.outs.is_empty() && member.params.is_empty();
        Step {
            name: name.to_owned(),
            stage: unit.stage.name.clone(),
            line: unit.stage.line,
            first: unit.first,
            description: unit.stage.description.clone(),
            params: unit.member.params.iter().flat_map(|(_, names)| names.clone()).collect(),
            matrix: if unit.whole { unit.stage.axes.clone() } else { Vec::new() },
            run,
            inputs: inputs.written,
            outputs,
            pass_env,
            cached: !unit.stage.always_changed && !does_nothing,
        }
    }

    /// The text for this step: with letters for axes if it has a matrix, else with their values.
    fn shown(&self, unit: Unit<'_>, text: &str) -> String {
        match unit.whole {
            true => text.to_owned(),
            false => self.references.fixed(text, &unit.member.axes),
        }
    }

    fn dep(&mut self, unit: Unit<'_>, dep: &Located, inputs: &mut Inputs) {
        let stage = &unit.stage.name;
        match self.outs.made.origin(&dep.place) {
            Origin::Made(maker) => self.artifact(maker, inputs),
            Origin::Around(makers) => {
                makers.iter().for_each(|maker| self.artifact(*maker, inputs));
                if let Place::Inside(folder) = &dep.place {
                    self.rest_of(folder, inputs);
                    let what =
                        format!("{folder} holds what other stages make: its parts are inputs of their own");
                    self.notes.stage(dep.line, stage, what, "add what should be in it and is not there yet");
                }
            }
            Origin::Given => match (&dep.shape, &dep.place) {
                (Place::Remote(address), _) | (_, Place::Remote(address)) => {
                    let advice =
                        "fetch it with a step of its own, with a `fingerprint` that tells when it changed";
                    self.notes.stage(
                        dep.line,
                        stage,
                        format!("{address} is no file and is left out"),
                        advice,
                    );
                }
                (Place::Inside(_), Place::Inside(place)) if place.is_empty() => {
                    let what = "the whole folder of the pipeline cannot be an input, and is left out";
                    self.notes.stage(dep.line, stage, what, "name the files and folders that the step reads");
                }
                (Place::Inside(shape), Place::Inside(place)) => {
                    self.tell_missing(dep.line, stage, place);
                    let shape = self.shown(unit, shape);
                    self.given(&shape, inputs);
                }
                (Place::Outside(shape), _) | (Place::Inside(shape), _) => {
                    let shape = self.shown(unit, shape);
                    self.elsewhere(&shape, inputs);
                }
            },
        }
    }

    /// A file or folder of the project, if it is not declared yet.
    pub(super) fn given(&self, shape: &str, inputs: &mut Inputs) {
        if inputs.places.iter().any(|known| rest_below(known, shape).is_some()) {
            return;
        }
        // What lies in a folder that is an input is there already.
        let covered = |known: &String| rest_below(shape, known).is_some();
        let covered: Vec<String> = inputs.places.extract_if(.., |known| covered(known)).collect();
        inputs
            .written
            .retain(|(_, value)| !covered.iter().any(|known| self.references.written(known) == *value));
        inputs.places.push(shape.to_owned());
        let name = inputs.taken.of_path(shape);
        inputs.written.push((name, self.references.written(shape)));
    }

    fn elsewhere(&mut self, shape: &str, inputs: &mut Inputs) {
        let name = inputs.taken.of_path(shape);
        if let Some(letter) = self.references.letter(Reference::Input(name.clone())) {
            inputs.outside.push(Artifact { letter, place: shape.to_owned() });
        }
        inputs.written.push((name, self.references.written(shape)));
    }

    fn artifact(&mut self, maker: Maker, inputs: &mut Inputs) {
        let Some((step, output, place)) = self.outs.made_by(maker) else { return };
        if !inputs.seen.insert(format!("{step}.{output}")) {
            return;
        }
        let name = inputs.taken.name([output.as_str(), &format!("{step}-{output}")]);
        if let Some(letter) = self.references.letter(Reference::Input(name.clone())) {
            inputs.artifacts.push(Artifact { letter, place });
        }
        inputs.written.push((name, format!("${{{step}.{output}}}")));
    }

    /// What lies in a folder beside what stages make in it.
    fn rest_of(&mut self, folder: &str, inputs: &mut Inputs) {
        let Ok(listing) = self.folder.join(folder).read_dir_utf8() else { return };
        let mut names: Vec<String> = listing.flatten().map(|entry| entry.file_name().to_owned()).collect();
        names.sort();
        for name in names {
            let place = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match self.outs.made.origin(&Place::Inside(place.clone())) {
                Origin::Given if !place.ends_with(".dvc") && !place.ends_with(".gitignore") => {
                    self.given(&place, inputs);
                }
                Origin::Around(_) => self.rest_of(&place, inputs),
                Origin::Made(_) | Origin::Given => {}
            }
        }
    }

    fn params(&mut self, unit: Unit<'_>, params: &Located, inputs: &mut Inputs) {
        let (Place::Inside(shape), Place::Inside(place)) = (&params.shape, &params.place) else { return };
        let stage = &unit.stage.name;
        self.notes.params(params.line, stage, place);
        self.tell_missing(params.line, stage, place);
        let shape = self.shown(unit, shape);
        self.given(&shape, inputs);
    }

    fn tell_missing(&mut self, line: u64, stage: &str, place: &str) {
        if self.folder.join(place).exists() {
            return;
        }
        let advice = match self.folder.join(format!("{place}.dvc")).exists() {
            true => "get it with `dvc pull`",
            false => "it must be there before the first run",
        };
        self.notes.stage(line, stage, format!("{place} is not here"), advice);
    }

    /// The command: links and the change of folder where they are needed, then what the stage runs.
    fn run(&mut self, unit: Unit<'_>, inputs: &mut Inputs, outputs: &[Output]) -> String {
        let member = unit.member;
        let up = way_up(&member.folder);
        let replacement = |artifact: &Artifact| Replacement {
            from: seen_from(&member.folder, &artifact.place),
            to: format!("{up}{}", artifact.letter),
        };
        let outside = inputs.outside.iter().map(|artifact| match artifact.place.starts_with('/') {
            true => Replacement { from: artifact.place.clone(), to: format!("{up}{}", artifact.letter) },
            false => Replacement {
                from: format!("{up}{}", artifact.place),
                to: format!("{up}{}", artifact.letter),
            },
        });
        let replacements: Vec<Replacement> =
            inputs.artifacts.iter().map(replacement).chain(outside).collect();
        let commands: Vec<String> = member.commands.iter().map(|command| self.shown(unit, command)).collect();
        let paths = paths(unit);
        let references = &*self.references;
        let written = |replacements: &[Replacement]| -> Vec<command::Written> {
            let known = Known { replacements, paths: &paths, references, axes: &member.axes };
            commands.iter().map(|command| command::write(command, known)).collect()
        };
        let first = written(&replacements);
        let somewhere = |place: usize| first.iter().any(|written| written.replaced[place]);
        let nowhere_kept = |place: usize| {
            first
                .iter()
                .all(|written| written.replaced[place] || !written.text.contains(&replacements[place].from))
        };
        let sound: Vec<bool> =
            (0..replacements.len()).map(|place| somewhere(place) && nowhere_kept(place)).collect();
        let usable: Vec<Replacement> = replacements
            .iter()
            .zip(&sound)
            .filter(|(_, sound)| **sound)
            .map(|(one, _)| one.clone())
            .collect();
        let last = written(&usable);
        let words: Vec<String> = first.into_iter().flat_map(|written| written.words).collect();
        self.add_named(unit, &words, inputs, outputs);
        self.add_module(unit, &words, inputs);
        self.add_imported(unit, inputs);
        let mut lines = Vec::new();
        for (artifact, sound) in inputs.artifacts.iter().zip(&sound) {
            if !sound {
                link(artifact, &mut lines);
            }
        }
        if !member.folder.is_empty() {
            let there = inputs
                .places
                .iter()
                .map(String::as_str)
                .chain(outputs.iter().map(|output| output.path.as_str()));
            let is_there = there
                .into_iter()
                .any(|place| rest_below(&member.folder, place).is_some_and(|rest| !rest.is_empty()));
            if !is_there {
                lines.push(format!("mkdir -p {}", quoted(&member.folder)));
            }
            lines.push(format!("cd {}", quoted(&member.folder)));
        }
        for command::Written { text, .. } in last {
            // Each command of a list is a shell of its own.
            let changes_folder =
                commands.len() > 1 && text.split_whitespace().any(|word| word == "cd" || word == "export");
            lines.push(if changes_folder { format!("({text})") } else { text });
        }
        self.tell_kept(unit, &inputs.outside, &sound[inputs.artifacts.len()..]);
        self.references.written(&lines.join("\n"))
    }

    fn tell_kept(&mut self, unit: Unit<'_>, outside: &[Artifact], sound: &[bool]) {
        for (artifact, _) in
            outside.iter().zip(sound).filter(|(artifact, sound)| !**sound && !artifact.place.starts_with('/'))
        {
            let what = format!(
                "{} is outside of the pipeline's folder, and its command does not name it",
                artifact.place
            );
            self.notes.stage(
                unit.stage.line,
                &unit.stage.name,
                what,
                "hand `${inputs.…}` over in the command",
            );
        }
    }
}

/// What a member reads and writes, as its commands name it.
fn paths(unit: Unit<'_>) -> Vec<String> {
    let deps = unit.member.deps.iter();
    let located = deps.chain(unit.member.outs.iter().map(|out| &out.at));
    let inside = located.filter_map(|located| match (&located.shape, unit.whole) {
        (Place::Inside(shape), true) => Some(shape),
        _ => match &located.place {
            Place::Inside(place) => Some(place),
            Place::Outside(_) | Place::Remote(_) => None,
        },
    });
    inside.map(|place| seen_from(&unit.member.folder, place)).collect()
}

/// Lays an artifact where DVC had it.
fn link(artifact: &Artifact, lines: &mut Vec<String>) {
    let (folder, _) = artifact.place.rsplit_once('/').unwrap_or(("", ""));
    let make = format!("mkdir -p {}", quoted(folder));
    if !folder.is_empty() && !lines.contains(&make) {
        lines.push(make);
    }
    lines.push(format!("ln -s {}{} {}", way_up(folder), artifact.letter, quoted(&artifact.place)));
}
