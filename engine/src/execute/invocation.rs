//! How a step's process is started: its arguments, its variables, and the order that a built-in step reads. The same for an
//! attempt and for who looks after a failed one.

use std::collections::BTreeMap;

use camino::Utf8Path;
use tidemill_cache::CacheError;

use super::environment;
use super::folder::StepFolder;
use super::worker::storage;
use crate::failure::{Failure, StepFailure};
use crate::graph::{Action, Step};
use crate::interface::{EffectOrder, Order};
use crate::name::{AttemptId, InputName, PipelineName};
use crate::plan::{Expansion, Paths, RunFacts, arguments};
use crate::project::Project;

/// All that decides how a step's process is started.
pub(crate) struct Invocation<'a> {
    pub(crate) project: &'a Project,
    pub(crate) pipeline: &'a PipelineName,
    pub(crate) step: &'a Step,
    /// Facts of the run.
    pub(crate) run: &'a RunFacts,
    /// The attempt.
    pub(crate) attempt: &'a AttemptId,
    /// The ids of the GPUs that it may use.
    pub(crate) gpus: &'a [String],
    /// What the command sees of its inputs.
    pub(crate) paths: &'a Paths,
    /// Where it works.
    pub(crate) folder: &'a StepFolder,
}

/// A process that can be started.
pub(crate) struct Prepared {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// All its variables.
    pub(crate) env: BTreeMap<String, String>,
    /// The secrets among them, by the names that they have in the user's environment.
    pub(crate) secrets: BTreeMap<String, String>,
}

/// The longest script that is handed to the shell as an argument, in bytes; Linux takes 128 KiB.
const LONGEST_ARGUMENT: usize = 100_000;
/// The order of a built-in step, beside its folder.
const ORDER: &str = "order.json";
/// What an effect writes of its outcome, beside its folder.
pub(crate) const OUTCOME: &str = "outcome.json";

impl Invocation<'_> {
    /// The command of the step as it is; none for a built-in. It holds no secret: these may stand in variables only.
    pub(crate) fn command(&self) -> Option<Vec<String>> {
        let expansion = Expansion::Process { run: self.run, secrets: &BTreeMap::new() };
        arguments(self.step, self.paths, &expansion)
    }

    /// The variables that the step declares, without the values of secrets.
    pub(crate) fn declared(&self) -> BTreeMap<String, Option<String>> {
        let mut declared = environment::shown(&environment::declared(self, &BTreeMap::new()), self.step);
        let secrets = self.step.secrets.iter().filter(|name| !self.step.env.contains_key(*name));
        declared.extend(secrets.map(|name| (name.clone(), None)));
        declared
    }

    /// Prepares the process: the order of a built-in and a script that is too long for an argument are written to files.
    ///
    /// # Errors
    /// If a secret is not set, or a file cannot be written.
    pub(crate) fn prepare(&self) -> Result<Prepared, Failure> {
        let secrets = environment::secrets(self.project, self.step).map_err(Failure::Step)?;
        let mut env = environment::variables(self, &secrets);
        let argv = match (&self.step.action, self.command()) {
            (Action::Builtin { uses, with, .. }, _) => {
                let order = self.order(uses, with);
                env.insert("TIDEMILL_ORDER".to_owned(), self.write_order(&order)?.to_string());
                self.of_builtin(uses)
            }
            (Action::Shell(_) | Action::Exec(_), argv) => self.short(argv.unwrap_or_default())?,
        };
        Ok(Prepared { argv, env, secrets })
    }

    /// Prepares a process that ran in this folder before: the same command or order and the same declared variables, whatever the
    /// step says now; only the values of secrets are those of now.
    ///
    /// # Errors
    /// As [`Invocation::prepare`]; also if the order that lies there cannot be read.
    pub(crate) fn prepare_again(
        &self,
        command: Option<Vec<String>>,
        declared: &BTreeMap<String, Option<String>>,
    ) -> Result<Prepared, Failure> {
        let secrets = environment::secrets(self.project, self.step).map_err(Failure::Step)?;
        let now = environment::declared(self, &secrets);
        let value = |(name, value): (&String, &Option<String>)| {
            Some((name.clone(), value.clone().or_else(|| now.get(name).cloned())?))
        };
        let mut env = environment::given(self);
        env.extend(declared.iter().filter_map(value));
        let argv = match command {
            Some(argv) => self.short(argv)?,
            None => {
                let mut order = self.read_order()?;
                if let Some(effect) = &mut order.effect {
                    effect.outcome = self.folder.beside(OUTCOME).to_string();
                }
                env.insert("TIDEMILL_ORDER".to_owned(), self.write_order(&order)?.to_string());
                self.of_builtin(&order.uses)
            }
        };
        Ok(Prepared { argv, env, secrets })
    }

    fn of_builtin(&self, uses: &str) -> Vec<String> {
        vec![self.project.program().to_string(), "step".to_owned(), uses.to_owned()]
    }

    /// The arguments for a shell, with a script that is too long for one argument in a file.
    fn short(&self, argv: Vec<String>) -> Result<Vec<String>, Failure> {
        let script = match argv.as_slice() {
            [shell, flags, script] if shell == "sh" && flags == "-euc" => script,
            _ => return Ok(argv),
        };
        if script.len() <= LONGEST_ARGUMENT {
            return Ok(argv);
        }
        let path = self.folder.beside("script.sh");
        write(&path, script.as_bytes())?;
        Ok(["sh", "-eu", path.as_str()].map(String::from).to_vec())
    }

    fn order(&self, uses: &str, with: &crate::Value) -> Order {
        let present = |(_, paths): &(&InputName, &Vec<String>)| !paths.is_empty();
        let outputs = self.step.outputs.iter();
        Order {
            uses: uses.to_owned(),
            step: self.step.id.to_string(),
            with: serde_json::to_value(with).unwrap_or_default(),
            inputs: self
                .paths
                .iter()
                .filter(present)
                .map(|(name, paths)| (name.to_string(), paths.clone()))
                .collect(),
            outputs: outputs.map(|(name, output)| (name.to_string(), output.path.to_string())).collect(),
            effect: self.step.effect.as_ref().map(|_| EffectOrder {
                run: self.run.id.clone(),
                pipeline: self.pipeline.to_string(),
                commit: Some(self.run.commit.clone()).filter(|commit| !commit.is_empty()),
                state: self.project.state().to_string(),
                outcome: self.folder.beside(OUTCOME).to_string(),
                by: self.project.user().to_owned(),
            }),
        }
    }

    fn write_order(&self, order: &Order) -> Result<camino::Utf8PathBuf, Failure> {
        let path = self.folder.beside(ORDER);
        write(&path, &serde_json::to_vec_pretty(order).unwrap_or_default())?;
        Ok(path)
    }

    fn read_order(&self) -> Result<Order, Failure> {
        let path = self.folder.beside(ORDER);
        let bytes = std::fs::read(&path)
            .map_err(|source| storage(&CacheError::Io { action: "read", path: path.clone(), source }))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::Step(StepFailure::NotStarted { reason: format!("{path} is no order: {error}") })
        })
    }
}

fn write(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .map_err(|source| storage(&CacheError::Io { action: "write", path: path.to_owned(), source }))
}
