//! Fan-out: every step of the file becomes one step per combination of its matrix, with all values filled in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use tidemill_cache::Digest;

use crate::Value;
use crate::interface::Catalog;
use crate::name::{AxisName, OutputName, StepId};
use crate::spec::{ActionSpec, Code, Diagnostic, LoadRequest, Problems, Spec, StepSpec};

use super::axes::{Axes, label};
use super::clash::{self, Project};
use super::condition::Known;
use super::edges::{self, Layout, Place};
use super::fill::Filler;
use super::origin::Origin;
use super::{
    Action, Common, Effect, Fingerprint, Origins, Output, Resources, Step, StepIndex, Steps, path, placement,
    with,
};

/// More steps are refused.
const MOST_STEPS: usize = 1 << 20;
/// From this many combinations on, a step is expanded by several threads, each so many at a time.
const MANY: usize = 4096;
const CHUNK: usize = 1024;

/// The expanded steps of a pipeline, complete only if nothing is wrong.
pub(super) struct Expanded {
    /// In the order of the file.
    pub(super) steps: Steps,
    /// Where in the file they come from.
    pub(super) origins: Origins,
    /// The globs that their axes were made of, each with the digest of what it found.
    pub(super) globs: Vec<(String, Digest)>,
}

/// The steps of a pipeline. What is wrong is told.
pub(super) fn expand(spec: &Spec<'_>, request: &LoadRequest<'_>, problems: &mut Problems) -> Expanded {
    let layout = layout(spec, problems);
    let mut project = Project::default();
    let count = layout.values().filter_map(|place| place.axes.count()).sum();
    let mut steps = Steps::with_capacity(count);
    for step in &spec.steps {
        let Some(place) = layout.get(step.name.as_str()) else { continue };
        let common = Arc::new(common(step, spec, request, problems));
        let family = Family { step, common, spec, request, layout: &layout, place };
        let count = place.axes.count().unwrap_or(0);
        // What is published may meet what was published before, so that is looked at in order.
        if count < MANY || step.outputs.iter().any(|output| output.publish.is_some()) {
            family.expand(0..count, &mut project, problems).into_iter().for_each(|step| steps.push(step));
            continue;
        }
        let begins: Vec<usize> = (0..count).step_by(CHUNK).collect();
        let expand = |begin: usize| {
            let (mut project, mut problems) = (Project::default(), Problems::default());
            let steps = family.expand(begin..count.min(begin + CHUNK), &mut project, &mut problems);
            (steps, project, problems)
        };
        let parts: Vec<_> = begins.into_par_iter().map(expand).collect();
        for (expanded, part, wrong) in parts {
            expanded.into_iter().for_each(|step| steps.push(step));
            project.take_reads(part);
            problems.append(wrong);
        }
    }
    project.check(request.file.file_name(), problems);
    let globs = layout.values().flat_map(|place| place.axes.globs()).cloned().collect();
    Expanded { origins: origins(spec, &layout, steps.len()), steps, globs }
}

fn origins(spec: &Spec<'_>, layout: &Layout<'_>, count: usize) -> Origins {
    let origin = |(place, step): (usize, &StepSpec<'_>)| {
        let begin = spec.parts.as_ref().map_or(0, |parts| parts[place]);
        let small = |number: usize| u32::try_from(number).expect("a file has less than 4 GiB");
        let first = StepIndex::new(layout.get(step.name.as_str())?.first);
        Some(Origin { first, line: small(step.line), begin: small(begin) })
    };
    Origins::new(spec.steps.iter().enumerate().filter_map(origin).collect(), count, spec.parts.is_some())
}

fn layout<'a>(spec: &'a Spec<'_>, problems: &mut Problems) -> Layout<'a> {
    let mut layout = Layout::new();
    let mut first = 0_usize;
    for step in &spec.steps {
        let Some(axes) = Axes::resolve(step, &spec.folder, &spec.params.values, problems) else { continue };
        let next = axes.count().and_then(|count| first.checked_add(count)).filter(|next| *next <= MOST_STEPS);
        let Some(next) = next else {
            let message = format!("with `{}` the pipeline has more than {MOST_STEPS} steps", step.name);
            let diagnostic = Diagnostic::new(Code::TooManySteps, message).at(&step.span, "");
            problems.add(
                diagnostic.help(
                    "a matrix makes one step per combination: use fewer values, or let a step do several",
                ),
            );
            continue;
        };
        layout.insert(step.name.as_str(), Place { axes, first });
        first = next;
    }
    layout
}

fn common(
    step: &StepSpec<'_>,
    spec: &Spec<'_>,
    request: &LoadRequest<'_>,
    problems: &mut Problems,
) -> Common {
    Common {
        name: step.name.clone(),
        description: step.description.clone(),
        stage: step.stage.clone(),
        pass_env: step.pass_env.clone(),
        tools: step.tools.clone(),
        secrets: step.secrets.clone(),
        retries: step.retries.clone(),
        checkpoint: placement::checkpoint(step, &spec.params.values, problems),
        timeout: step.timeout,
        cache: step.cache,
        keep: step.keep.unwrap_or(spec.keep),
        sandbox: step.sandbox,
        network: step.network,
        resources: Resources {
            cpus: step.resources.cpus,
            memory: step.resources.memory,
            gpus: step.resources.gpus,
            gpu_type: step.resources.gpu_type.clone(),
            vram: step.resources.vram,
            nodes: step.resources.nodes,
            placement: placement::placement(step, &spec.params.values, request, problems),
            tokens: step.resources.tokens.iter().cloned().collect(),
        },
    }
}

/// All combinations of one step of the file.
struct Family<'a> {
    step: &'a StepSpec<'a>,
    common: Arc<Common>,
    spec: &'a Spec<'a>,
    request: &'a LoadRequest<'a>,
    layout: &'a Layout<'a>,
    place: &'a Place,
}

impl Family<'_> {
    /// Some of its combinations, in order.
    #[expect(
        clippy::vec_box,
        reason = "a step is boxed by the thread that makes it; after that only its pointer moves"
    )]
    fn expand(&self, range: Range<usize>, project: &mut Project, problems: &mut Problems) -> Vec<Box<Step>> {
        let Self { step, common, spec, request, layout, place } = self;
        let mut steps: Vec<Box<Step>> = Vec::with_capacity(range.len());
        for index in range {
            let combination = place.axes.combination(index);
            let values = place.axes.values(&combination);
            let expander = Expander { step, common, spec, request, layout, values: &values };
            let Some(mut expanded) = expander.expand(project, problems) else { continue };
            if let Some(before) = steps.last() {
                expanded.share(before);
            }
            steps.push(Box::new(expanded));
        }
        steps
    }
}

struct Expander<'a> {
    step: &'a StepSpec<'a>,
    common: &'a Arc<Common>,
    spec: &'a Spec<'a>,
    request: &'a LoadRequest<'a>,
    layout: &'a Layout<'a>,
    values: &'a BTreeMap<AxisName, Value>,
}

impl Expander<'_> {
    fn filler(&self) -> Filler<'_> {
        Filler::new(&self.spec.params.values, self.values)
    }

    fn expand(&self, project: &mut Project, problems: &mut Problems) -> Option<Step> {
        let step = self.step;
        let labels: Vec<(String, String)> =
            self.values.iter().map(|(axis, value)| (axis.to_string(), label(value))).collect();
        let id = StepId::new(&step.name, &labels);
        // What this one is asked for enters the key; what only `when`, `gate`, `publish`, the matrix or the probe
        // refer to does not, so that changing it runs nothing again.
        let mut filler = self.filler();
        let action = self.action(&mut filler, problems);
        let mut inputs = BTreeMap::new();
        for written in &step.inputs {
            if let Some(input) = edges::input(written, step, self.values, self.layout, &mut filler, problems)
            {
                project.read(&input.source, &written.span);
                inputs.insert(written.name.clone(), input);
            }
        }
        let outputs = self.outputs(&mut filler, project, problems);
        clash::check_step(step, &inputs, &outputs, problems);
        let env = step.env.iter().map(|(name, template)| (name.clone(), filler.pieces(template))).collect();
        let fingerprint = step.fingerprint.as_ref().and_then(|fingerprint| {
            let command = filler.command_text(&fingerprint.command);
            let command = self.without_nul(command, problems)?;
            Some(Fingerprint { command, timeout: fingerprint.timeout, max_age: fingerprint.max_age })
        });
        let known = Known { source: self.request.text, params: &self.spec.params.values, axes: self.values };
        let left_out = step.when.as_ref().and_then(|when| known.left_out(when, problems));
        let gate = step.gate.iter().filter_map(|gate| known.gate(gate, problems)).collect();
        let action = action?;
        Some(Step {
            effect: self.effect(&id, &action, self.request.catalog, problems).map(Box::new),
            id,
            common: Arc::clone(self.common),
            axes: self.values.iter().map(|(axis, value)| (axis.clone(), value.clone())).collect(),
            action,
            inputs: inputs.into(),
            outputs: outputs.into(),
            needs: edges::needs(step, self.layout),
            params: filler.used().into(),
            env,
            fingerprint: fingerprint.map(Box::new),
            left_out,
            gate,
        })
    }

    fn action(&self, filler: &mut Filler<'_>, problems: &mut Problems) -> Option<Action> {
        match self.step.action.as_ref()? {
            ActionSpec::Shell(template) => {
                let command = filler.command(template);
                self.without_nul(command, problems).map(Action::Shell)
            }
            ActionSpec::Exec(templates) => {
                Some(Action::Exec(templates.iter().flat_map(|template| filler.arguments(template)).collect()))
            }
            ActionSpec::Builtin { interface, with, span } => Some(Action::Builtin {
                uses: interface.name.to_owned(),
                version: interface.version,
                with: with::filled(interface, with.as_ref(), span, filler, self.request.catalog, problems),
            }),
        }
    }

    fn without_nul<T>(&self, command: Option<T>, problems: &mut Problems) -> Option<T> {
        if command.is_none() {
            let message = "a value in this command holds a NUL byte, which no command can";
            problems.add(Diagnostic::new(Code::Nul, message).at(&self.step.span, "in this step"));
        }
        command
    }

    fn outputs(
        &self,
        filler: &mut Filler<'_>,
        project: &mut Project,
        problems: &mut Problems,
    ) -> BTreeMap<OutputName, Output> {
        let mut outputs = BTreeMap::new();
        for output in &self.step.outputs {
            let publish = output.publish.as_ref().and_then(|template| {
                let text = self.filler().text(template);
                match path::written(&text, "the pipeline's folder", &template.span) {
                    Ok(path) => {
                        project.publish(&path, &template.span, problems);
                        Some(path)
                    }
                    Err(diagnostic) => {
                        problems.add(diagnostic);
                        None
                    }
                }
            });
            match path::written(&filler.text(&output.path), "the step's folder", &output.path.span) {
                Ok(path) => {
                    let ranks = output.per_rank.then_some(self.step.resources.nodes);
                    let (kind, optional) = (output.kind, output.optional);
                    let output_ = Output { path, kind, optional, publish, ranks };
                    outputs.insert(output.name.clone(), output_);
                }
                Err(diagnostic) => problems.add(diagnostic),
            }
        }
        outputs
    }

    fn effect(
        &self,
        id: &StepId,
        action: &Action,
        catalog: &dyn Catalog,
        problems: &mut Problems,
    ) -> Option<Effect> {
        let effect = self.step.effect.as_ref()?;
        if let Action::Builtin { uses, with, .. } = action {
            // A table that was told to be wrong is not asked about.
            let target = if problems.is_empty() { catalog.target(uses, with) } else { String::new() };
            return Some(Effect { target, probe: None });
        }
        let mut filler = self.filler();
        let target = effect.target.as_ref().map_or_else(|| id.to_string(), |target| filler.text(target));
        let probe = match &effect.probe {
            Some(probe) => Some(self.without_nul(filler.command_text(probe), problems)?),
            None => None,
        };
        Some(Effect { target, probe })
    }
}
