//! The decision about one step whose producers are all known: satisfied by what is known, or to be executed, and why.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use rayon::prelude::*;
use tidemill_cache::{ActionResult, Artifact, Digest, Key, KnownKeys, Withdrawal};

use super::explain::{Last, Origin};
use super::gate::outputs_of;
use super::inputs::{self, Content, Material, Upstream};
use super::memo::Entry;
use super::observe::Observations;
use super::outputs::Outputs;
use super::reason::{Reason, reason};
use super::recipe::{self, Resolved};
use super::rival;
use crate::effects::Effects;
use crate::error::EngineError;
use crate::graph::{Action, Effect, Graph, Step, StepIndex};
use crate::interface::Standing;
use crate::name::{ModelName, RunId};
use crate::process::{Command, LazyWarden, Status, run_quick};
use crate::project::Project;
use crate::registry::Registry;

/// Decides about steps, one at a time.
pub struct Decider<'a> {
    /// The project.
    pub project: &'a Project,
    /// The graph.
    pub graph: &'a Graph,
    /// What was observed beforehand.
    pub observations: &'a Observations,
    /// For probes.
    pub warden: &'a LazyWarden,
    /// Which keys have no result, if all steps are decided about at once.
    known: Option<KnownKeys>,
    /// Whether the recipes are wanted of the steps that have to run.
    keeps_recipes: bool,
}

/// What is to be done with a step.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Nothing: its outputs are known.
    Satisfied(Box<Satisfied>),
    /// It has to run.
    Execute(Box<Execution>),
    /// Its target was moved by someone else: stop.
    Moved(String),
}

/// A step whose outputs are known.
#[derive(Debug, Clone)]
pub struct Satisfied {
    /// Its key.
    pub key: Key,
    /// Its outputs.
    pub outputs: Outputs,
    /// What its attempt had taken, in milliseconds.
    pub saved_ms: u64,
    /// How it is satisfied.
    pub manner: Manner,
    /// The comparison that it stands for.
    pub contest: Option<Contest>,
    /// The files and folders of the project that its key was computed from.
    pub reads: Vec<(Utf8PathBuf, Artifact)>,
}

impl Satisfied {
    /// What an earlier run knew of a step, which holds.
    pub(super) fn remembered(entry: &Entry) -> Self {
        Self {
            key: entry.key,
            outputs: entry.outputs.clone(),
            saved_ms: entry.saved_ms,
            manner: Manner::Cached,
            contest: None,
            reads: Vec::new(),
        }
    }
}

/// How a step is satisfied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// By an action result.
    Cached,
    /// Its target shows its last success.
    Done,
    /// A rollback holds it back.
    Held(String),
}

/// A step that has to run.
#[derive(Debug, Clone)]
pub struct Execution {
    /// All that is needed to run it.
    pub resolved: Resolved,
    /// Why it runs, in a few words.
    pub reason: Cow<'static, str>,
    /// The earlier execution that the reason compares it with, if it runs because its recipe is another one.
    pub against: Option<Box<Origin>>,
    /// The newest result of its key that was seen; its own will be a newer one.
    pub after: u64,
    /// The outputs that it had, if it only runs to bring them back.
    pub expected: Option<Outputs>,
    /// The comparison that it makes.
    pub contest: Option<Box<Contest>>,
}

/// A comparison of a candidate with a rival.
#[derive(Debug, Clone)]
pub struct Contest {
    /// The registered model.
    pub model: ModelName,
    /// The digest of the recipe without the rival.
    pub id: Key,
    /// The rival's model.
    pub rival: Option<Digest>,
}

/// Whether a step must run whatever is known.
#[derive(Debug, Clone, Copy)]
pub enum Insist<'a> {
    /// No.
    No,
    /// The user said so.
    Forced,
    /// What it once wrote is needed and gone.
    Restore(&'a str),
}

/// From so many steps on, keys are computed by several threads.
const MANY: usize = 64;

/// The longest that a probe may take.
const PROBE_TIME: Duration = Duration::from_secs(60);

impl<'a> Decider<'a> {
    /// Decides about steps one at a time.
    #[must_use]
    pub fn new(
        project: &'a Project,
        graph: &'a Graph,
        observations: &'a Observations,
        warden: &'a LazyWarden,
    ) -> Self {
        Self { project, graph, observations, warden, known: None, keeps_recipes: true }
    }

    /// All steps are decided about at once: keys that have no result are told from a listing. What another process records after
    /// that is not seen, so a run asks again before it starts a step.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.known = Some(self.project.cache().known_keys());
        self
    }

    /// Nobody runs what has to run: its recipes are let go of as soon as their keys are known.
    #[must_use]
    pub(super) fn without_recipes(mut self) -> Self {
        self.keeps_recipes = false;
        self
    }
}

impl Decider<'_> {
    /// Decides about a step.
    ///
    /// # Errors
    /// If an input is missing, or the cache, the registry or a target cannot be read.
    pub async fn decide<'u>(
        &self,
        index: StepIndex,
        insist: Insist<'_>,
        upstream: impl Fn(StepIndex) -> Upstream<'u>,
    ) -> Result<Decision, EngineError> {
        let (resolved, contest) = self.resolve(index, upstream)?;
        let step = self.graph.step(index);
        let (Some(effect), Insist::No) = (&step.effect, insist) else {
            return self.decide_without_effect(step, insist, resolved, contest);
        };
        Ok(match self.satisfied_effect(step, effect, &resolved).await? {
            Some(Ok((result, manner))) => satisfied(step, &resolved, contest, &result, manner),
            Some(Err(message)) => Decision::Moved(message),
            None => {
                let known = self.known_result(step, &resolved.key)?;
                self.execute(step, insist, resolved, contest, known)?
            }
        })
    }

    /// The same for a step that is no effect, or that runs whatever its target shows.
    fn decide_without_effect(
        &self,
        step: &Step,
        insist: Insist<'_>,
        resolved: Resolved,
        contest: Option<Contest>,
    ) -> Result<Decision, EngineError> {
        match (self.known_result(step, &resolved.key)?, insist) {
            (Some(result), Insist::No) => Ok(satisfied(step, &resolved, contest, &result, Manner::Cached)),
            (known, insist) => self.execute(step, insist, resolved, contest, known),
        }
    }

    /// The newest result of a key, if the step takes it.
    fn known_result(&self, step: &Step, key: &Key) -> Result<Option<ActionResult>, EngineError> {
        match step.cache && !self.lacks_result(key) {
            true => Ok(self.project.cache().result(key)?),
            false => Ok(None),
        }
    }

    /// The decision that a step has to run; its key has this result.
    fn execute(
        &self,
        step: &Step,
        insist: Insist<'_>,
        mut resolved: Resolved,
        contest: Option<Contest>,
        known: Option<ActionResult>,
    ) -> Result<Decision, EngineError> {
        let Reason { text: reason, against } = reason(self, step, &resolved, insist)?;
        let expected = match insist {
            Insist::Restore(_) => known.as_ref().map(|result| outputs_of(step, result)),
            Insist::No | Insist::Forced => None,
        };
        let after = known.map_or(0, |result| result.number);
        if !self.keeps_recipes {
            resolved.recipe = Box::default();
        }
        let (against, contest) = (against.map(Box::new), contest.map(Box::new));
        Ok(Decision::Execute(Box::new(Execution { resolved, reason, against, after, expected, contest })))
    }

    /// Why a key that has no result has none, if the one that it had was withdrawn.
    pub(super) fn withdrawal(&self, key: &Key) -> Result<Option<Withdrawal>, EngineError> {
        match self.lacks_result(key) {
            true => Ok(None),
            false => Ok(self.project.cache().withdrawal(key)?),
        }
    }

    fn lacks_result(&self, key: &Key) -> bool {
        self.known.as_ref().is_some_and(|known| known.lacks(key))
    }

    /// The decisions about these steps if nobody insists on them, made side by side where all that they need is known; nothing if
    /// few are wanted. What goes wrong is left to [`Decider::decide`].
    pub(super) fn decide_ahead<'u>(
        &self,
        steps: &[StepIndex],
        wanted: impl Fn(StepIndex) -> bool,
        upstream: impl Fn(StepIndex) -> Upstream<'u> + Sync,
    ) -> Vec<Option<Decision>> {
        let is_ready = |index: &StepIndex| {
            wanted(*index)
                && self.graph.skeleton.is_plain(*index)
                && self.graph.upstream(*index).all(|before| matches!(upstream(before), Upstream::Known(_)))
        };
        let ready: Vec<bool> = steps.iter().map(is_ready).collect();
        if ready.iter().filter(|ready| **ready).count() < MANY {
            return Vec::new();
        }
        // A plain step is no effect.
        let decide = |index: StepIndex| {
            let (resolved, contest) = self.resolve(index, &upstream).ok()?;
            self.decide_without_effect(self.graph.step(index), Insist::No, resolved, contest).ok()
        };
        let decide = |(index, ready): (&StepIndex, &bool)| ready.then(|| decide(*index)).flatten();
        steps.par_iter().zip(&ready).with_min_len(MANY / 4).map(decide).collect()
    }

    /// What a step reads, and its key.
    ///
    /// # Errors
    /// If an input is missing, or the cache or the registry cannot be read.
    pub(super) fn resolve<'u>(
        &self,
        index: StepIndex,
        upstream: impl Fn(StepIndex) -> Upstream<'u>,
    ) -> Result<(Resolved, Option<Contest>), EngineError> {
        let step = self.graph.step(index);
        let observation = self.observations.of(index);
        let all = || -> Result<BTreeMap<_, _>, EngineError> {
            step.inputs
                .keys()
                .map(|name| {
                    Ok((name.clone(), inputs::resolve(self.project, self.graph, step, name, &upstream)?))
                })
                .collect()
        };
        let resolved = recipe::build(self.project, step, all()?, observation)?;
        let Some((input, model, alias)) = rival::input(step) else { return Ok((resolved, None)) };
        let id = resolved.key;
        let version = rival::choose(self.project, model, alias, &id)?;
        let digest = version.as_ref().map(|version| version.about.model.digest);
        let contest = Some(Contest { model: model.clone(), id, rival: digest });
        let Some(version) = version else {
            if step.inputs[input].optional {
                return Ok((resolved, contest));
            }
            return Err(EngineError::InputMissing {
                step: step.id.to_string(),
                input: input.to_string(),
                path: format!("{model} has no {alias} yet"),
            });
        };
        let mut with_rival = all()?;
        let artifact = self.registered(&version.about.model, model)?;
        with_rival.insert(input.clone(), rival_input(input, artifact));
        Ok((recipe::build(self.project, step, with_rival, observation)?, contest))
    }

    /// A registered model's artifact; the registry keeps its own copy, which is put back if the cache lost it.
    fn registered(&self, artifact: &Artifact, model: &ModelName) -> Result<Artifact, EngineError> {
        if !self.project.cache().available(artifact)? {
            let path = Registry::at(self.project.state()).model_file(model, &artifact.digest);
            let bytes = std::fs::read(&path).map_err(|source| EngineError::Io { path, source })?;
            if self.project.cache().put(&bytes)?.digest != artifact.digest {
                return Err(EngineError::KeyPart {
                    step: "of this pipeline".to_owned(),
                    what: format!("the registered model {model} {}", artifact.digest.short()),
                    reason: "its copy in the registry is damaged and the cache has none".to_owned(),
                });
            }
        }
        Ok(artifact.clone())
    }

    /// Whether an effect needs nothing: its result and how; or who moved its target.
    async fn satisfied_effect(
        &self,
        step: &Step,
        effect: &Effect,
        resolved: &Resolved,
    ) -> Result<Option<Result<(ActionResult, Manner), String>>, EngineError> {
        let target = target(self.project, step, effect);
        let effects = Effects::below(self.project.state());
        let found = effects.find(&target, &self.graph.pipeline, &step.id, &resolved.key)?;
        let Some((success, newest)) = found else { return Ok(None) };
        let Some(result) = self.project.cache().result(&resolved.key)? else { return Ok(None) };
        let standing = match (&step.action, &effect.probe) {
            (Action::Builtin { uses, with, .. }, _) => {
                self.project.catalog().probe(uses, self.project.state(), with, &success.outcome).map_err(
                    |reason| EngineError::KeyPart {
                        step: step.id.to_string(),
                        what: format!("the state of its target {target}"),
                        reason,
                    },
                )?
            }
            (_, Some(probe)) if newest => self.probe(step, probe).await?,
            _ if newest => Standing::Same,
            _ => Standing::Gone,
        };
        Ok(match standing {
            Standing::Same => Some(Ok((result, Manner::Done))),
            Standing::Held { message } => Some(Ok((result, Manner::Held(message)))),
            // Our own newer success moved it: this one is simply to be made again.
            Standing::Moved { message } if newest => Some(Err(message)),
            Standing::Moved { .. } | Standing::Gone => None,
        })
    }

    async fn probe(&self, step: &Step, probe: &str) -> Result<Standing, EngineError> {
        let command = Command {
            id: format!("probe-{}", step.id),
            argv: ["sh", "-euc", probe].map(String::from).to_vec(),
            env: self.project.plain_environment(),
            folder: self.graph.folder.clone(),
            log: "/dev/null".into(),
            redact: Vec::new(),
            kind: None,
            fence: None,
            trace: None,
        };
        let (exit, _) = run_quick(&self.warden.get().await?, command, PROBE_TIME).await?;
        Ok(if exit.status == Status::Code(0) { Standing::Same } else { Standing::Gone })
    }
}

fn satisfied(
    step: &Step,
    resolved: &Resolved,
    contest: Option<Contest>,
    result: &ActionResult,
    manner: Manner,
) -> Decision {
    Decision::Satisfied(Box::new(Satisfied {
        key: resolved.key,
        outputs: outputs_of(step, result),
        saved_ms: result.usage.wall_ms,
        manner,
        contest,
        reads: resolved.reads(),
    }))
}

fn rival_input(name: &crate::name::InputName, artifact: Artifact) -> inputs::ResolvedInput {
    let at = inputs::place(name, inputs::RIVAL_FILE);
    let content = Content::Artifact { artifact, producers: Vec::new() };
    inputs::ResolvedInput {
        paths: vec![at.to_string()],
        materials: vec![Material { input: name.clone(), at, content }],
    }
}

/// What an effect changes.
#[must_use]
pub fn target(project: &Project, step: &Step, effect: &Effect) -> String {
    match &step.action {
        Action::Builtin { uses, with, .. } => project.catalog().target(uses, with),
        Action::Shell(_) | Action::Exec(_) => effect.target.clone(),
    }
}

/// Remembers with which key a step was executed last, so that the next run can say what changed.
pub fn remember_execution(project: &Project, graph: &Graph, step: &Step, key: Key, run: &RunId) {
    Last { key, run: run.to_string() }.remember(project, graph, step);
}
