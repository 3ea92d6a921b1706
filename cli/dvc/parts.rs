//! Steps that no stage is: they take metrics and plots out of folders that other steps make, and draw rows as curves, so that
//! the engine reads and shows them.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::drawing::Drawing;
use super::edges::Maker;
use super::note::Notes;
use super::outs::{Outs, PLOTS};
use super::place::rest_below;
use super::stage::{Role, Stage};
use super::step::{Output, Step};
use super::text::quoted;
use super::top::Top;

/// Makes the steps.
pub(super) struct Parts<'a> {
    pub(super) outs: &'a Outs<'a>,
    pub(super) stages: &'a [Stage],
    /// Which stages are one step with a matrix.
    pub(super) with: &'a [bool],
    pub(super) notes: &'a mut Notes,
}

/// What is taken out of an output.
struct Part<'a> {
    maker: Maker,
    line: u64,
    /// Its path in the output, beginning with `/`; empty for the output itself.
    rest: &'a str,
}

impl Parts<'_> {
    /// The steps, by name.
    pub(super) fn steps(mut self, top: &Top) -> Vec<Step> {
        let mut steps = BTreeMap::new();
        for (place, (role, line)) in &top.listed {
            if *role != Role::Rows {
                self.listed(place, *role, *line, &mut steps);
            }
        }
        let own = self.stages.iter().flat_map(|stage| &stage.members).flat_map(|member| &member.drawings);
        for drawing in top.drawings.iter().chain(own) {
            self.drawing(drawing, &mut steps);
        }
        steps.into_values().collect()
    }

    /// What makes a place; none if nothing can be taken from it, which is told.
    fn part<'p>(&mut self, place: &'p str, line: u64) -> Option<Part<'p>> {
        let Some((made, maker)) = self.outs.made.all().find(|(made, _)| rest_below(made, place).is_some())
        else {
            self.notes.file(line, format!("no stage makes {place}, so it is not shown"), "");
            return None;
        };
        let rest = rest_below(made, place)?;
        if self.with[maker.stage] && !rest.is_empty() {
            let what = format!("{place} is not shown: one combination of a matrix makes it");
            self.notes.file(line, what, "declare it as an output of its step");
            return None;
        }
        Some(Part { maker, line, rest })
    }

    fn listed(&mut self, place: &str, role: Role, line: u64, steps: &mut BTreeMap<String, Step>) {
        let Some(part) = self.part(place, line).filter(|part| !part.rest.is_empty()) else { return };
        let extension = Utf8Path::new(place).extension().unwrap_or_default();
        let (word, kind) = match role {
            Role::Metrics if extension == "json" => ("metrics", "metrics"),
            Role::Plot if PLOTS.contains(&extension) => ("plots", "plot"),
            _ => {
                self.notes.file(line, format!("{place} is not shown: it is no JSON, CSV or image"), "");
                return;
            }
        };
        self.add(&part, word, kind, None, steps);
    }

    fn drawing(&mut self, drawing: &Drawing, steps: &mut BTreeMap<String, Step>) {
        if let Some(part) =
            self.part(&drawing.place, drawing.line).filter(|part| !self.with[part.maker.stage])
        {
            self.add(&part, "plots", "plot", Some(drawing), steps);
        }
    }

    fn add(
        &mut self,
        part: &Part<'_>,
        word: &str,
        kind: &'static str,
        drawing: Option<&Drawing>,
        steps: &mut BTreeMap<String, Step>,
    ) {
        let Some((step, output, place)) = self.outs.made_by(part.maker) else { return };
        let stage = &self.stages[part.maker.stage];
        let added = steps.entry(format!("{step}-{word}")).or_insert_with(|| Step {
            name: format!("{step}-{word}"),
            stage: stage.name.clone(),
            line: part.line,
            first: false,
            description: Some(format!("the {word} in what {step} makes, as they are shown")),
            params: Vec::new(),
            matrix: Vec::new(),
            run: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            pass_env: Vec::new(),
            cached: true,
        });
        let input = (output.clone(), format!("${{{step}.{output}}}"));
        if !added.inputs.contains(&input) {
            added.inputs.push(input);
        }
        let path = if part.rest.is_empty() { place.as_str() } else { part.rest.trim_start_matches('/') };
        let name = match word {
            "metrics" if added.outputs.is_empty() => "metrics".to_owned(),
            _ => format!("{}-{}", word.trim_end_matches('s'), added.outputs.len() + 1),
        };
        let from = format!(
            "${{inputs.{output}}}{}",
            if part.rest.is_empty() { String::new() } else { quoted(part.rest) }
        );
        let to = format!("${{outputs.{name}}}");
        let (command, path) = match drawing {
            None => (format!("cp {from} {to}"), path.to_owned()),
            Some(drawing) => {
                let own = path.strip_suffix(".json").unwrap_or(path);
                // Two curves may be drawn from the same rows.
                (drawing.command(&from, &to), format!("{own}-{}.vl.json", added.outputs.len() + 1))
            }
        };
        added.run = if added.run.is_empty() { command } else { format!("{}\n{command}", added.run) };
        added.outputs.push(Output { name, path, kind: Some(kind), publish: false });
    }
}
