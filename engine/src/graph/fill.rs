//! Puts the values of parameters and of a matrix combination where a text refers to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::Value;
use crate::name::AxisName;
use crate::spec::{self, Filling, FillingKind, Name, Part, RunWord, Template};

use super::{Piece, RunField};

/// The values for one step, and which parameters were asked for.
#[derive(Debug)]
pub(super) struct Filler<'a> {
    params: &'a BTreeMap<String, Value>,
    axes: &'a BTreeMap<AxisName, Value>,
    used: BTreeSet<&'a str>,
}

impl<'a> Filler<'a> {
    pub(super) fn new(params: &'a BTreeMap<String, Value>, axes: &'a BTreeMap<AxisName, Value>) -> Self {
        Self { params, axes, used: BTreeSet::new() }
    }

    /// The parameters that were asked for, with their values.
    pub(super) fn used(&self) -> BTreeMap<String, Value> {
        self.used
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.params.get(*name)?.clone())))
            .collect()
    }

    /// The value of a parameter or axis; none of anything that is known later.
    fn early(&mut self, name: &Name) -> Option<Value> {
        match name {
            Name::Param(name) => {
                let (name, value) = self.params.get_key_value(name)?;
                self.used.insert(name);
                Some(value.clone())
            }
            Name::Axis(axis) => self.axes.get(axis).cloned(),
            _ => None,
        }
    }

    /// The value of a text: that of its reference, if it is exactly one.
    pub(super) fn value(&mut self, template: &Template) -> Value {
        match template.only().and_then(|reference| self.early(&reference.name)) {
            Some(value) => value,
            None => Value::Text(self.text(template)),
        }
    }

    /// The text with its values; only for texts that refer to parameters and axes.
    pub(super) fn text(&mut self, template: &Template) -> String {
        let mut out = String::new();
        for part in &template.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Reference(reference) => {
                    out.push_str(
                        &self.early(&reference.name).map_or(String::new(), |value| spec::text(&value)),
                    );
                }
            }
        }
        out
    }

    /// A tree with all its values.
    pub(super) fn filling(&mut self, filling: &Filling) -> Value {
        match &filling.kind {
            FillingKind::Plain(node) => node.value(),
            FillingKind::Template(template) => self.value(template),
            FillingKind::List(items) => Value::List(items.iter().map(|item| self.filling(item)).collect()),
            FillingKind::Table(members) => Value::Map(
                members.iter().map(|(name, _, member)| (name.clone(), self.filling(member))).collect(),
            ),
        }
    }

    /// The text as pieces, with values as they are.
    pub(super) fn pieces(&mut self, template: &Template) -> Vec<Piece> {
        self.split(template, &mut |value| Some(spec::text(value))).unwrap_or_default()
    }

    /// A command for the shell as pieces, with values quoted; none if a value holds a NUL byte.
    pub(super) fn command(&mut self, template: &Template) -> Option<Vec<Piece>> {
        self.split(template, &mut spec::quote)
    }

    /// A command for the shell that refers to parameters and axes only.
    pub(super) fn command_text(&mut self, template: &Template) -> Option<String> {
        let pieces = self.command(template)?;
        let texts = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            _ => None,
        });
        Some(texts.collect())
    }

    /// An argument of a program; a list becomes several.
    pub(super) fn arguments(&mut self, template: &Template) -> Vec<Vec<Piece>> {
        match template.only().and_then(|reference| self.early(&reference.name)) {
            Some(Value::List(items)) => {
                items.iter().map(|item| vec![Piece::Text(spec::text(item))]).collect()
            }
            _ => vec![self.pieces(template)],
        }
    }

    fn split(
        &mut self,
        template: &Template,
        write: &mut dyn FnMut(&Value) -> Option<String>,
    ) -> Option<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        for part in &template.parts {
            let piece = match part {
                Part::Text(text) => Piece::Text(text.clone()),
                Part::Reference(reference) => match &reference.name {
                    Name::Input(name) => Piece::Input(name.clone()),
                    Name::Output(name) => Piece::Output(name.clone()),
                    Name::Secret(name) => Piece::Secret(name.clone()),
                    Name::Run(RunWord::Id) => Piece::Run(RunField::Id),
                    Name::Run(RunWord::Commit) => Piece::Run(RunField::Commit),
                    Name::Run(RunWord::Time) => Piece::Run(RunField::Time),
                    early => {
                        Piece::Text(self.early(early).map_or(Some(String::new()), |value| write(&value))?)
                    }
                },
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => pieces.push(piece),
            }
        }
        Some(pieces)
    }
}
