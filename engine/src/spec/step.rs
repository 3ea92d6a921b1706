//! The table of one step to a [`StepSpec`]. Types and unknown fields were checked before, so what does not fit is passed over here.

use std::time::Duration;

use crate::interface::{Interface, OutputKind};
use crate::keep::Keep;
use crate::name::StepName;
use crate::sandbox::Sandbox;

use super::LoadRequest;
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::{
    ActionSpec, AxisSpec, AxisValues, CheckpointSpec, EffectSpec, Filling, FillingKind, FingerprintSpec,
    Placed, ResourcesSpec, StepSpec,
};
use super::read::{check_once, interface, unknown_name};
use super::reference::{COMMAND, EARLY, Family, Names, Scope, VARIABLE};
use super::retries::retries;
use super::template::Template;
use super::tree::{Entry, Kind, Node};
use super::{builtin, input, later, output, shape, value};

/// What is known around a step.
pub(crate) struct StepReader<'a, 'r> {
    pub(crate) names: &'r Names<'r>,
    pub(crate) request: &'r LoadRequest<'a>,
    pub(crate) environments: &'r [&'r str],
}

impl<'a> StepReader<'a, '_> {
    /// The step; none if it has no valid name.
    pub(crate) fn step(&self, entry: &Entry, problems: &mut Problems) -> Option<StepSpec<'a>> {
        let table = &entry.value;
        let name = StepName::new(&entry.key).ok()?;
        let interface = interface(table, self.request);
        later::check(table, self.environments, problems);
        let inputs = input::read(self, entry, problems);
        let outputs = output::read(self, entry, interface, problems);
        if let Some(interface) = interface {
            builtin::check_inputs(entry, &inputs, interface, problems);
            builtin::check_with(entry, interface, problems);
        }
        let resources = table.get("resources");
        Some(StepSpec {
            name,
            span: entry.key_span.clone(),
            line: 1 + self.names.newlines.partition_point(|newline| *newline < entry.key_span.start),
            description: text(table, "description"),
            stage: text(table, "stage"),
            action: self.action(entry, interface, problems),
            inputs,
            needs: self.needs(table, problems),
            matrix: self.matrix(entry, problems),
            env: self.env(entry, problems),
            pass_env: variables(table, "pass_env", problems),
            tools: texts(table, "tools"),
            secrets: variables(table, "secrets", problems),
            fingerprint: self.fingerprint(entry, problems),
            when: table.get("when").and_then(placed),
            gate: self.gate(entry, outputs.iter().any(|output| output.kind == OutputKind::Metrics), problems),
            outputs,
            retries: retries(table, problems),
            checkpoint: self.checkpoint(entry, problems),
            timeout: duration(table, "timeout").or_else(|| duration(resources?, "time")),
            cache: table.get("cache").and_then(Node::bool).unwrap_or(true),
            keep: table.get("keep").and_then(Node::text).and_then(Keep::named),
            effect: self.effect(entry, interface, problems),
            sandbox: table.get("sandbox").and_then(Node::text).and_then(Sandbox::named),
            network: table.get("network").and_then(Node::bool).unwrap_or(true),
            resources: read_resources(resources, problems),
            executors: self.executors(entry, interface, problems),
        })
    }

    /// The scope of a field of this step.
    pub(crate) fn scope<'s>(
        &'s self,
        entry: &'s Entry,
        field: &'static str,
        families: &'static [Family],
    ) -> Scope<'s> {
        Scope { names: self.names, step: &entry.key, field, families }
    }

    fn action(
        &self,
        entry: &Entry,
        interface: Option<&'a Interface>,
        problems: &mut Problems,
    ) -> Option<ActionSpec<'a>> {
        let table = &entry.value;
        if let (Some(with), None) = (table.entry("with"), table.get("uses")) {
            let diagnostic = Diagnostic::new(Code::WithWithoutUses, "`with` belongs to a built-in step");
            problems.add(
                diagnostic
                    .at(&with.key_span, "")
                    .help("give `uses`, or put the values into the command of `run`"),
            );
        }
        match (table.entry("run"), table.entry("uses")) {
            (Some(run), None) => self.command(entry, &run.value, problems),
            (None, Some(uses)) => {
                let Some(interface) = interface else {
                    if uses.value.text().is_some() {
                        let known = self.request.catalog.interfaces().iter().map(|interface| interface.name);
                        problems.add(unknown_name(&uses.value, "built-in step", "built-in steps", known));
                    }
                    return None;
                };
                let scope = self.scope(entry, "with", EARLY);
                let with = match table.get("with") {
                    Some(with) => Some(self.filling(with, &scope, problems)?),
                    None => None,
                };
                Some(ActionSpec::Builtin { interface, with, span: uses.value.span.clone() })
            }
            (Some(run), Some(uses)) => {
                let message = format!("`{}` has both `run` and `uses`", entry.key);
                let diagnostic = Diagnostic::new(Code::RunAndUses, message);
                problems.add(
                    diagnostic
                        .at(&run.key_span, "a command")
                        .at(&uses.key_span, "and a built-in step")
                        .help("a step does one thing: keep one of them, or make two steps"),
                );
                None
            }
            (None, None) => {
                let message = format!("`{}` says not what it does", entry.key);
                let diagnostic =
                    Diagnostic::new(Code::NoAction, message).at(&entry.key_span, "no `run`, no `uses`");
                problems.add(diagnostic.help(
                    "give it a command: `run = \"python train.py\"`, or a built-in step: `uses = \"train\"`",
                ));
                None
            }
        }
    }

    fn command(&self, entry: &Entry, run: &Node, problems: &mut Problems) -> Option<ActionSpec<'a>> {
        let scope = self.scope(entry, "run", COMMAND);
        let empty = match &run.kind {
            Kind::Text(text) => text.trim().is_empty(),
            Kind::List(items) => items.first().is_none_or(|first| first.text() == Some("")),
            _ => return None,
        };
        if empty {
            let help = "for example `run = \"python train.py\"`, or `run = [\"python\", \"train.py\"]`";
            let message = match run.items() {
                [] => "the command is empty",
                _ => "the first text of the list is the program, and it is empty",
            };
            problems.add(Diagnostic::new(Code::EmptyCommand, message).at(&run.span, "").help(help));
            return None;
        }
        if run.text().is_some() {
            return scope.command(run, problems).map(ActionSpec::Shell);
        }
        // Every argument is read, so that all mistakes are told.
        let arguments: Vec<Option<Template>> =
            run.items().iter().map(|item| scalar(&scope, item, problems)).collect();
        arguments.into_iter().collect::<Option<_>>().map(ActionSpec::Exec)
    }

    /// A tree with its texts read as templates; none if one of them is wrong.
    pub(super) fn filling(&self, node: &Node, scope: &Scope<'_>, problems: &mut Problems) -> Option<Filling> {
        let kind = match &node.kind {
            Kind::Text(text) if text.contains('$') => FillingKind::Template(scope.template(node, problems)?),
            Kind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.filling(item, scope, problems)).collect();
                FillingKind::List(items.into_iter().collect::<Option<_>>()?)
            }
            Kind::Table(entries) => {
                let members: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let filling = self.filling(&entry.value, scope, problems)?;
                        Some((entry.key.clone(), entry.key_span.clone(), filling))
                    })
                    .collect();
                FillingKind::Table(members.into_iter().collect::<Option<_>>()?)
            }
            _ => FillingKind::Plain(node.clone()),
        };
        Some(Filling { span: node.span.clone(), kind })
    }

    fn needs(&self, table: &Node, problems: &mut Problems) -> Vec<Placed<StepName>> {
        let mut needs = Vec::new();
        for node in table.get("needs").map_or(&[][..], Node::items) {
            match node.text().map(StepName::new) {
                Some(Ok(name)) if self.names.steps.contains_key(name.as_str()) => {
                    needs.push(Placed { value: name, span: node.span.clone() });
                }
                Some(_) => {
                    let known = self.names.steps.keys().map(String::as_str);
                    problems.add(unknown_name(node, "step", "steps", known));
                }
                None => {}
            }
        }
        needs
    }

    fn matrix(&self, entry: &Entry, problems: &mut Problems) -> Vec<AxisSpec> {
        let scope = self.scope(entry, "matrix", &[Family::Params]);
        let mut axes = Vec::new();
        for axis in entry.value.get("matrix").map_or(&[][..], Node::entries) {
            let values = match &axis.value.kind {
                Kind::List(items) => {
                    let items: Vec<_> =
                        items.iter().map(|item| self.filling(item, &scope, problems)).collect();
                    items.into_iter().collect::<Option<_>>().map(AxisValues::List)
                }
                Kind::Text(_) => scope.template(&axis.value, problems).map(AxisValues::Reference),
                Kind::Table(_) => axis
                    .value
                    .get("glob")
                    .and_then(|glob| scope.template(glob, problems))
                    .map(AxisValues::Glob),
                _ => None,
            };
            if let (Ok(name), Some(values)) = (axis.key.parse(), values) {
                axes.push(AxisSpec { name, span: axis.value.span.clone(), values });
            }
        }
        axes.sort_by(|left, right| left.name.cmp(&right.name));
        axes
    }

    fn env(&self, entry: &Entry, problems: &mut Problems) -> Vec<(String, Template)> {
        let scope = self.scope(entry, "env", VARIABLE);
        let mut env = Vec::new();
        for variable in entry.value.get("env").map_or(&[][..], Node::entries) {
            reserved_variable(&variable.key, &variable.key_span, problems);
            if let Some(template) = scalar(&scope, &variable.value, problems) {
                env.push((variable.key.clone(), template));
            }
        }
        check_once(
            ["pass_env", "secrets"].iter().filter_map(|field| entry.value.get(field)),
            "the variable",
            problems,
        );
        env
    }

    fn fingerprint(&self, entry: &Entry, problems: &mut Problems) -> Option<FingerprintSpec> {
        let node = entry.value.get("fingerprint")?;
        let scope = self.scope(entry, "fingerprint", EARLY);
        let command = if node.text().is_some() { node } else { node.get("command")? };
        Some(FingerprintSpec {
            command: scope.command(command, problems)?,
            timeout: duration(node, "timeout").unwrap_or(Duration::from_secs(60)),
            max_age: duration(node, "max_age"),
        })
    }

    fn checkpoint(&self, entry: &Entry, problems: &mut Problems) -> Option<CheckpointSpec> {
        let node = entry.value.get("checkpoint")?;
        let path = if node.text().is_some() { node } else { node.get("path")? };
        let scope = self.scope(entry, "checkpoint", &[Family::Params]);
        let every = duration(node, "every").unwrap_or(Duration::from_secs(300));
        Some(CheckpointSpec { path: scope.template(path, problems)?, every })
    }

    fn gate(&self, entry: &Entry, metrics: bool, problems: &mut Problems) -> Vec<Placed<String>> {
        let Some(gate) = entry.value.entry("gate") else { return Vec::new() };
        if !metrics && !self.names.steps.get(&entry.key).is_some_and(|names| names.any_output) {
            let diagnostic = Diagnostic::new(Code::GateWithoutMetrics, "a gate needs metrics to ask")
                .at(&gate.key_span, "this step has no metrics output");
            problems
                .add(diagnostic.help(
                    "declare one: `outputs.metrics = { path = \"metrics.json\", kind = \"metrics\" }`",
                ));
        }
        match &gate.value.kind {
            Kind::List(items) => items.iter().filter_map(placed).collect(),
            _ => placed(&gate.value).into_iter().collect(),
        }
    }

    fn effect(
        &self,
        entry: &Entry,
        interface: Option<&Interface>,
        problems: &mut Problems,
    ) -> Option<EffectSpec> {
        let table = &entry.value;
        let (effect, probe) = (table.entry("effect"), table.entry("probe"));
        if let Some(interface) = interface {
            for given in [effect, probe].into_iter().flatten() {
                let message = format!("the built-in `{}` says itself what it changes", interface.name);
                problems.add(
                    Diagnostic::new(Code::BuiltinEffect, message).at(&given.key_span, "leave this away"),
                );
            }
            return interface.effect.then(EffectSpec::default);
        }
        let on = effect.is_some_and(|effect| effect.value.bool() != Some(false));
        if let (Some(probe), false) = (probe, on) {
            let diagnostic = Diagnostic::new(Code::ProbeWithoutEffect, "`probe` belongs to an effect");
            problems
                .add(diagnostic.at(&probe.key_span, "this step is no effect").help("add `effect = true`"));
        }
        if !on {
            return None;
        }
        let inner = effect.and_then(|effect| effect.value.entry("probe"));
        if let (Some(outer), Some(inner)) = (probe, inner) {
            let diagnostic = Diagnostic::new(Code::Twice, "the effect has two probes");
            problems.add(
                diagnostic
                    .at(&outer.key_span, "one here")
                    .at(&inner.key_span, "one here")
                    .help("keep one of them"),
            );
        }
        let scope = self.scope(entry, "effect", EARLY);
        let target = effect.and_then(|effect| effect.value.get("target"));
        let probe = probe.or(inner);
        Some(EffectSpec {
            target: target.and_then(|target| scope.template(target, problems)),
            probe: probe.and_then(|probe| scope.command(&probe.value, problems)),
        })
    }
}

fn scalar(scope: &Scope<'_>, node: &Node, problems: &mut Problems) -> Option<Template> {
    match &node.kind {
        Kind::Text(_) => scope.template(node, problems),
        Kind::List(_) | Kind::Table(_) => None,
        _ => Some(Template::plain(&value::text(&node.value()), &node.span)),
    }
}

fn read_resources(node: Option<&Node>, problems: &mut Problems) -> ResourcesSpec {
    let count = |name: &str| node.and_then(|node| node.get(name)).and_then(Node::count);
    let size = |name: &str| {
        let text = node.and_then(|node| node.get(name)).and_then(Node::text)?;
        text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64())
    };
    for (name, noun) in [("cpus", "core"), ("nodes", "node")] {
        if let Some(number) = node.and_then(|node| node.get(name)).filter(|node| node.count() == Some(0)) {
            let message = format!("a step needs at least one {noun}");
            problems.add(Diagnostic::new(Code::Number, message).at(&number.span, ""));
        }
    }
    let tokens = node.and_then(|node| node.get("tokens")).map_or(&[][..], Node::entries);
    ResourcesSpec {
        cpus: count("cpus").unwrap_or(1),
        memory: size("memory"),
        gpus: count("gpus").unwrap_or(0),
        gpu_type: node.and_then(|node| text(node, "gpu_type")),
        vram: size("vram"),
        nodes: count("nodes").unwrap_or(1),
        tokens: tokens.iter().filter_map(|token| Some((token.key.clone(), token.value.count()?))).collect(),
    }
}

fn text(table: &Node, field: &str) -> Option<String> {
    table.get(field).and_then(Node::text).map(str::to_owned)
}

fn texts(table: &Node, field: &str) -> Vec<String> {
    let items = table.get(field).map_or(&[][..], Node::items);
    items.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn variables(table: &Node, field: &str, problems: &mut Problems) -> Vec<String> {
    for node in table.get(field).map_or(&[][..], Node::items) {
        let Some(name) = node.text() else { continue };
        reserved_variable(name, &node.span, problems);
        if !shape::is_variable(name) {
            let message = format!("{name:?} is no name for a variable: use letters, digits and `_`");
            problems.add(Diagnostic::new(Code::InvalidName, message).at(&node.span, ""));
        }
    }
    texts(table, field)
}

fn reserved_variable(name: &str, span: &super::tree::Span, problems: &mut Problems) {
    if name.starts_with("TIDEMILL_") {
        let message = format!("the variable `{name}` is Tidemill's own");
        problems.add(Diagnostic::new(Code::InvalidName, message).at(span, "choose another name"));
    }
}

fn duration(table: &Node, field: &str) -> Option<Duration> {
    humantime::parse_duration(table.get(field)?.text()?).ok()
}

fn placed(node: &Node) -> Option<Placed<String>> {
    Some(Placed { value: node.text()?.to_owned(), span: node.span.clone() })
}
