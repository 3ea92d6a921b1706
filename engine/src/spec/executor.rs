//! Where a step runs: a name, a table that says more, or a list of these.

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::{ExecutorSpec, Placed};
use super::read::unknown_name;
use super::reference::Family;
use super::step::StepReader;
use super::tree::{Entry, Kind, Node};
use crate::executors::LOCAL;
use crate::interface::Interface;

impl StepReader<'_, '_> {
    /// Where a step may run, in the order in which it is written.
    pub(crate) fn executors(
        &self,
        step: &Entry,
        interface: Option<&Interface>,
        problems: &mut Problems,
    ) -> Vec<ExecutorSpec> {
        let Some(entry) = step.value.entry("executor") else { return Vec::new() };
        let written = match &entry.value.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        let effect = step.value.entry("effect").filter(|effect| effect.value.bool() != Some(false));
        let builtin = interface.filter(|interface| interface.effect).and_then(|_| step.value.entry("uses"));
        if let Some(effect) = effect.or(builtin).filter(|_| entry.value.text() != Some(LOCAL)) {
            let message = "an effect runs on this machine: what it changes is recorded here";
            let diagnostic = Diagnostic::new(Code::ExecutorOfEffect, message);
            problems.add(
                diagnostic
                    .at(&entry.key_span, "elsewhere")
                    .at(&effect.key_span, "an effect")
                    .help("leave `executor` away, or make two steps: one that computes there, and an effect that reads its outputs"),
            );
        }
        let spec: Vec<_> =
            written.iter().filter_map(|node| self.one_executor(step, node, problems)).collect();
        let last = spec.len().saturating_sub(1);
        for (place, one) in spec.iter().enumerate() {
            if place < last && one.when.is_none() {
                let message = "what comes after this executor is never reached: it has no condition";
                problems.add(Diagnostic::new(Code::Twice, message).at(&one.name.span, "always taken"));
            }
        }
        spec
    }

    fn one_executor(&self, step: &Entry, node: &Node, problems: &mut Problems) -> Option<ExecutorSpec> {
        let name = if node.text().is_some() { node } else { node.get("name")? };
        let scope = self.scope(step, "executor", &[Family::Params]);
        if let Some(text) = name.text().filter(|text| !text.contains('$'))
            && text != LOCAL
            && !self.request.executors.has(text)
        {
            let known = self.request.executors.names().chain([LOCAL]);
            let diagnostic = unknown_name(name, "executor", "executors", known);
            let none = self.request.executors.names().next().is_none();
            problems.add(match none {
                true => diagnostic.help(format!(
                    "`tidemill.toml` names them: `[executors.{text}]`, with `kind = \"slurm\"` or another one"
                )),
                false => diagnostic,
            });
        }
        let with = match node.get("with") {
            Some(with) => Some(self.filling(with, &scope, problems)?),
            None => None,
        };
        let when = node
            .get("when")
            .and_then(|when| Some(Placed { value: when.text()?.to_owned(), span: when.span.clone() }));
        Some(ExecutorSpec { name: scope.template(name, problems)?, when, with })
    }
}
