//! Slurm, by its own commands, here or on a login node. Nothing of it is linked: these commands are the same for ten years.

mod parse;
mod script;
mod several;

use async_trait::async_trait;

use self::script::Scripts;
use crate::install::Programs;
use crate::shell::{Printed, one_line};
use crate::{Batch, BatchId, Executor, ExecutorError, Program, Shell, States, Ticket};

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
    /// More options of `sbatch`, as they are.
    pub options: Vec<String>,
    /// A folder that login node and compute nodes share; the user's cache folder if none is named.
    pub folder: Option<String>,
    /// The program on the nodes that jobs start with. Without it ours is copied into that folder, and tried on the login node: whether it
    /// runs on the nodes is seen when a job does.
    pub program: Option<String>,
}

/// A Slurm cluster.
#[derive(Debug, Clone)]
pub struct Slurm {
    shell: Shell,
    scripts: Scripts,
    programs: Programs,
}

impl Slurm {
    /// The cluster that has its commands there.
    ///
    /// # Errors
    /// If a setting cannot be one.
    pub fn new(shell: Shell, settings: &SlurmSettings) -> Result<Self, ExecutorError> {
        let programs = Programs::new(settings.folder.as_deref(), settings.program.as_deref())?;
        Ok(Self { shell, scripts: Scripts::new(settings)?, programs })
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
        self.run(&self.scripts.submit(batch)?).await.map(drop)
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let answer = self.run(&self.scripts.status(batches)).await?;
        parse::states(&answer).ok_or_else(|| ExecutorError::Unintelligible {
            engine: self.shell.name().to_owned(),
            answer: one_line(&String::from_utf8_lossy(&answer)),
        })
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        self.run(&self.scripts.cancel(jobs)).await.map(drop)
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        self.run(&self.scripts.log(job, from)).await
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        self.run(&self.scripts.forget(batches)).await.map(drop)
    }
}
