//! Slurm, by its own commands, here or on a login node, or by its REST server. Nothing of it is linked: its commands are the same for ten
//! years.

mod by_rest;
mod parse;
mod rest;
mod rest_words;
mod script;
mod several;

use async_trait::async_trait;

use self::rest::Rest;
pub use self::rest::SlurmRest;
use self::script::Scripts;
use crate::install::Programs;
use crate::shell::{Printed, one_line};
use crate::{Batch, BatchId, Executor, ExecutorError, Program, Shell, States, Ticket, http};

/// What a Slurm is asked for, beside what a job needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlurmSettings {
    /// The partition.
    pub partition: Option<String>,
    /// The account that pays.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// Environment modules that are loaded first.
    pub modules: Vec<String>,
    /// The generic resource by which the cluster counts memory of GPUs, if it does: there are many words for it, and none of Slurm's own.
    pub vram_gres: Option<String>,
    /// More options of `sbatch`, as they are; a REST server takes none.
    pub options: Vec<String>,
    /// A folder that login node and compute nodes share; the user's cache folder if none is named.
    pub folder: Option<String>,
    /// The program on the nodes that jobs start with. Without it ours is copied into that folder, and tried on the login node: whether it
    /// runs on the nodes is seen when a job does.
    pub program: Option<String>,
    /// The REST server that is asked instead of the commands.
    pub rest: Option<SlurmRest>,
}

/// A Slurm cluster.
#[derive(Debug, Clone)]
pub struct Slurm {
    shell: Shell,
    scripts: Scripts,
    programs: Programs,
    rest: Option<(Rest, SlurmSettings)>,
}

impl Slurm {
    /// The cluster that has its commands there, or whose folders are seen from there.
    ///
    /// # Errors
    /// If a setting cannot be one.
    pub fn new(shell: Shell, settings: &SlurmSettings) -> Result<Self, ExecutorError> {
        let programs = Programs::new(settings.folder.as_deref(), settings.program.as_deref())?;
        let rest = match &settings.rest {
            Some(rest) if !settings.options.is_empty() => {
                let reason = "`options` are those of sbatch, and a REST server takes none".to_owned();
                return Err(ExecutorError::Refused { engine: rest.address.clone(), reason });
            }
            Some(rest) => Some((Rest::new(rest)?, settings.clone())),
            None => None,
        };
        Ok(Self { shell, scripts: Scripts::new(settings)?, programs, rest })
    }

    /// The states of jobs, as commands or a server and the folders tell them.
    fn read(&self, answer: &[u8]) -> Result<States, ExecutorError> {
        parse::states(answer).ok_or_else(|| http::unintelligible(self.shell.name(), answer))
    }

    async fn run(&self, script: &str) -> Result<Vec<u8>, ExecutorError> {
        let Printed { code, stdout, stderr } = self.shell.run(script).await?;
        match code {
            Some(0) => Ok(stdout),
            _ => Err(parse::error(self.shell.name(), &one_line(&stderr))),
        }
    }
}

#[async_trait]
impl Executor for Slurm {
    async fn install(&self, program: &Program) -> Result<String, ExecutorError> {
        match self.programs.there() {
            Some(there) => Ok(there.to_owned()),
            None => self.programs.install(&self.shell, program).await,
        }
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        match &self.rest {
            Some((rest, settings)) => self.submit_by(rest, settings, batch).await,
            None => self.run(&self.scripts.submit(batch)?).await.map(drop),
        }
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        match &self.rest {
            Some((rest, _)) => self.status_by(rest, batches).await,
            None => self.read(&self.run(&self.scripts.status(batches)).await?),
        }
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        match &self.rest {
            Some((rest, _)) => self.cancel_by(rest, jobs).await,
            None => self.run(&self.scripts.cancel(jobs)).await.map(drop),
        }
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        match &self.rest {
            Some((rest, _)) => self.log_by(rest, job, from).await,
            None => self.run(&self.scripts.log(job, from)).await,
        }
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        self.run(&self.scripts.forget(batches)).await.map(drop)
    }
}
