//! What a stage reads and DVC was not told of, as far as it can be seen: files that its command names, the module that `python -m`
//! runs, what its Python scripts import. In the project all of it is there; in a step's folder only what is declared.

use super::edges::Origin;
use super::imports;
use super::place::{Place, place, rest_below};
use super::step::{Builder, Inputs, Output, Unit};
use super::text::is_reference;

impl Builder<'_> {
    /// Declares files that the command names and DVC was not told of.
    pub(super) fn add_named(
        &mut self,
        unit: Unit<'_>,
        words: &[String],
        inputs: &mut Inputs,
        outputs: &[Output],
    ) {
        for word in words.iter().filter(|word| !word.chars().any(is_reference)) {
            let path = word.rsplit('=').next().unwrap_or(word);
            let Place::Inside(place) = place(&unit.member.folder, path) else { continue };
            let known = inputs.places.iter().any(|known| rest_below(known, &place).is_some());
            let is_output = outputs.iter().any(|output| rest_below(&output.path, &place).is_some());
            if place.is_empty()
                || known
                || is_output
                || self.outs.made.origin(&Place::Inside(place.clone())) != Origin::Given
            {
                continue;
            }
            if self.folder.join(&place).is_file() {
                let what = format!("its command names {place}, which `deps` does not: declared as an input");
                self.notes.stage(unit.stage.line, &unit.stage.name, what, "");
                self.given(&place, inputs);
            }
        }
    }

    /// Declares the module that `python -m` runs.
    pub(super) fn add_module(&mut self, unit: Unit<'_>, words: &[String], inputs: &mut Inputs) {
        let named = words.windows(2).filter(|pair| pair[0] == "-m").map(|pair| pair[1].as_str());
        for module in named.filter_map(|name| imports::module(self.folder, &unit.member.folder, name)) {
            let known = inputs.places.iter().any(|known| rest_below(known, &module).is_some());
            if !known && self.outs.made.origin(&Place::Inside(module.clone())) == Origin::Given {
                let what =
                    format!("its command runs {module}, which `deps` does not name: declared as an input");
                self.notes.stage(unit.stage.line, &unit.stage.name, what, "");
                self.given(&module, inputs);
            }
        }
    }

    /// Declares what the scripts among the inputs import from the project.
    pub(super) fn add_imported(&mut self, unit: Unit<'_>, inputs: &mut Inputs) {
        let mut next = 0;
        while let Some(script) = inputs.places.get(next).cloned() {
            next += 1;
            if !script.ends_with(".py") {
                continue;
            }
            for module in imports::of(self.folder, &script, &unit.member.folder) {
                let known = inputs.places.iter().any(|known| rest_below(known, &module).is_some());
                if !known && self.outs.made.origin(&Place::Inside(module.clone())) == Origin::Given {
                    let what = format!(
                        "{script} imports {module}, which `deps` does not name: declared as an input"
                    );
                    self.notes.stage(unit.stage.line, &unit.stage.name, what, "");
                    self.given(&module, inputs);
                }
            }
        }
    }
}
