//! The checked pipeline: every reference names something, every field has its type; nothing is expanded yet.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::interface::{Interface, OutputKind};
use crate::keep::Keep;
use crate::name::{
    AliasName, AxisName, InputName, ModelName, OutputName, PipelineName, StepName, TriggerName,
};
use crate::retries::Retries;
use crate::sandbox::Sandbox;

use super::params::Parameters;
use super::template::Template;
use super::tree::{Node, Span};

/// A pipeline file that was read.
#[derive(Debug)]
pub(crate) struct Spec<'a> {
    pub(crate) name: Option<PipelineName>,
    pub(crate) description: Option<String>,
    /// For steps that say nothing.
    pub(crate) keep: Keep,
    pub(crate) folder: Utf8PathBuf,
    pub(crate) params: Parameters,
    /// What starts it by itself.
    pub(crate) triggers: Vec<TriggerSpec>,
    /// In the order of the file.
    pub(crate) steps: Vec<StepSpec<'a>>,
    /// Where the part of each step begins, if each has one of its own.
    pub(crate) parts: Option<Vec<usize>>,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A trigger as it is written.
#[derive(Debug)]
pub(crate) struct TriggerSpec {
    pub(crate) name: Placed<TriggerName>,
    /// None if it is wrong, which was told.
    pub(crate) on: Option<OnSpec>,
    /// Values of parameters; texts may hold references to the event.
    pub(crate) params: Vec<(Placed<String>, Node)>,
    pub(crate) concurrency: Option<String>,
    pub(crate) cooldown: Option<Duration>,
    pub(crate) enabled: bool,
}

/// What a trigger waits for, as it is written.
#[derive(Debug)]
pub(crate) enum OnSpec {
    Cron {
        cron: Placed<String>,
        timezone: Option<Placed<String>>,
        catch_up: Option<String>,
        jitter: Option<Duration>,
        deadline: Option<Duration>,
    },
    Watch {
        /// Globs; none for all that the pipeline reads.
        only: Vec<Placed<String>>,
        settle: Option<Duration>,
    },
    Event {
        kinds: Vec<Placed<String>>,
        sources: Vec<Placed<String>>,
        filter: Option<Placed<String>>,
        webhook: Option<WebhookSpec>,
    },
    Model(Placed<String>),
    Run {
        pipeline: Placed<String>,
        ended: Vec<String>,
    },
}

/// How an event comes that its sender signs.
#[derive(Debug)]
pub(crate) struct WebhookSpec {
    pub(crate) sender: String,
    /// Variables of the environment.
    pub(crate) secrets: Vec<Placed<String>>,
    pub(crate) window: Option<Duration>,
}

/// A step as it is written.
#[derive(Debug)]
pub(crate) struct StepSpec<'a> {
    pub(crate) name: StepName,
    /// Its name in the header of its table.
    pub(crate) span: Span,
    pub(crate) line: usize,
    pub(crate) description: Option<String>,
    pub(crate) stage: Option<String>,
    /// None if it is wrong, which was told.
    pub(crate) action: Option<ActionSpec<'a>>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) outputs: Vec<OutputSpec>,
    pub(crate) needs: Vec<Placed<StepName>>,
    pub(crate) matrix: Vec<AxisSpec>,
    pub(crate) env: Vec<(String, Template)>,
    pub(crate) pass_env: Vec<String>,
    pub(crate) tools: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) fingerprint: Option<FingerprintSpec>,
    pub(crate) when: Option<Placed<String>>,
    pub(crate) gate: Vec<Placed<String>>,
    pub(crate) retries: Retries,
    pub(crate) checkpoint: Option<CheckpointSpec>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cache: bool,
    pub(crate) keep: Option<Keep>,
    pub(crate) effect: Option<EffectSpec>,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) network: bool,
    pub(crate) resources: ResourcesSpec,
    /// Where it may run: the first whose condition holds.
    pub(crate) executors: Vec<ExecutorSpec>,
}

/// Where a step may run.
#[derive(Debug)]
pub(crate) struct ExecutorSpec {
    pub(crate) name: Template,
    pub(crate) when: Option<Placed<String>>,
    /// What is said otherwise than by the executor.
    pub(crate) with: Option<Filling>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum ActionSpec<'a> {
    Shell(Template),
    Exec(Vec<Template>),
    Builtin { interface: &'a Interface, with: Option<Filling>, span: Span },
}

/// A tree of values in which texts may hold references.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    pub(crate) span: Span,
    pub(crate) kind: FillingKind,
}

/// What stands at a place of such a tree.
#[derive(Debug, Clone)]
pub(crate) enum FillingKind {
    Plain(Node),
    Template(Template),
    List(Vec<Filling>),
    Table(Vec<(String, Span, Filling)>),
}

/// An input as it is written.
#[derive(Debug)]
pub(crate) struct InputSpec {
    pub(crate) name: InputName,
    pub(crate) span: Span,
    pub(crate) source: SourceSpec,
    pub(crate) optional: bool,
}

/// Where an input comes from.
#[derive(Debug)]
pub(crate) enum SourceSpec {
    /// A path or a glob, with parameters and matrix values in it.
    Path(Template),
    Artifact(ArtifactSpec),
    Several(Vec<ArtifactSpec>),
    Collect(ArtifactSpec),
    Rival(ModelName, AliasName),
}

/// `${step.output}`.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactSpec {
    pub(crate) step: StepName,
    pub(crate) output: OutputName,
    pub(crate) span: Span,
}

impl SourceSpec {
    /// The outputs that it names.
    pub(crate) fn artifacts(&self) -> &[ArtifactSpec] {
        match self {
            Self::Artifact(one) | Self::Collect(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
            Self::Path(_) | Self::Rival(..) => &[],
        }
    }
}

/// An output as it is written, or as the interface of a built-in step gives it.
#[derive(Debug)]
pub(crate) struct OutputSpec {
    pub(crate) name: OutputName,
    pub(crate) path: Template,
    pub(crate) kind: OutputKind,
    pub(crate) optional: bool,
    pub(crate) publish: Option<Template>,
    pub(crate) per_rank: bool,
}

/// An axis of a matrix.
#[derive(Debug)]
pub(crate) struct AxisSpec {
    pub(crate) name: AxisName,
    pub(crate) span: Span,
    pub(crate) values: AxisValues,
}

/// The values of an axis.
#[derive(Debug)]
pub(crate) enum AxisValues {
    List(Vec<Filling>),
    /// A reference to a parameter that is a list.
    Reference(Template),
    Glob(Template),
}

/// A command whose output enters the key.
#[derive(Debug)]
pub(crate) struct FingerprintSpec {
    pub(crate) command: Template,
    pub(crate) timeout: Duration,
    pub(crate) max_age: Option<Duration>,
}

/// A folder that is saved while a step runs.
#[derive(Debug)]
pub(crate) struct CheckpointSpec {
    pub(crate) path: Template,
    pub(crate) every: Duration,
}

/// What a step changes outside the cache.
#[derive(Debug, Default)]
pub(crate) struct EffectSpec {
    pub(crate) target: Option<Template>,
    pub(crate) probe: Option<Template>,
}

/// What a step needs while it runs.
#[derive(Debug)]
pub(crate) struct ResourcesSpec {
    pub(crate) cpus: u32,
    pub(crate) memory: Option<u64>,
    pub(crate) gpus: u32,
    pub(crate) gpu_type: Option<String>,
    pub(crate) vram: Option<u64>,
    pub(crate) nodes: u32,
    pub(crate) tokens: Vec<(String, u32)>,
}
