//! Hosts that are reached over SSH. Each job is a folder in the user's cache folder there, which a small script keeps: the connection may
//! break whenever it likes.

mod parse;
mod place;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use self::place::Load;
use self::script::Scripts;
use crate::install::Programs;
use crate::shell::{Printed, one_line};
use crate::{Batch, BatchId, Executor, ExecutorError, Program, Shell, States, Ticket};

/// Which hosts, and what is where on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// The hosts.
    pub hosts: Vec<SshHost>,
    /// The folder there that has the folders of the jobs; in the user's cache folder if none is named.
    pub folder: Option<String>,
    /// The program there that jobs start with. Without it ours is copied to each host.
    pub program: Option<String>,
}

/// A host on which one may log in, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// How it is reached.
    pub shell: Shell,
    /// How many GPUs it has. Which of them a job gets is decided there.
    pub gpus: u32,
    /// What they are called in what a job needs.
    pub gpu_type: Option<String>,
}

impl SshHost {
    /// One without GPUs.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self { shell, gpus: 0, gpu_type: None }
    }
}

/// Hosts on which one may log in.
#[derive(Debug, Clone)]
pub struct Ssh {
    hosts: Vec<SshHost>,
    scripts: Scripts,
    programs: Programs,
}

impl Ssh {
    /// These hosts. They are not asked anything yet.
    ///
    /// # Errors
    /// If a setting cannot be one.
    pub fn new(settings: &SshSettings) -> Result<Self, ExecutorError> {
        let SshSettings { hosts, folder, program } = settings;
        Ok(Self {
            hosts: hosts.clone(),
            scripts: Scripts::new(folder.as_deref())?,
            programs: Programs::new(folder.as_deref(), program.as_deref())?,
        })
    }

    /// Runs a script on all hosts at once. One that cannot be reached is an error: what runs there is not known.
    async fn everywhere(&self, script: &str) -> Result<Vec<Vec<u8>>, ExecutorError> {
        let mut answers = Vec::with_capacity(self.hosts.len());
        let asked: Vec<_> = self.hosts.iter().map(|host| run(&host.shell, script)).collect();
        for answer in futures_util::future::join_all(asked).await {
            answers.push(answer?);
        }
        Ok(answers)
    }
}

async fn run(host: &Shell, script: &str) -> Result<Vec<u8>, ExecutorError> {
    let Printed { code, stdout, stderr } = host.run(script).await?;
    match code {
        Some(0) => Ok(stdout),
        _ => Err(ExecutorError::Refused { engine: host.name().to_owned(), reason: one_line(&stderr) }),
    }
}

#[async_trait]
impl Executor for Ssh {
    async fn install(&self, program: &Program) -> Result<String, ExecutorError> {
        let installed = self.hosts.iter().map(|host| self.programs.install(&host.shell, program));
        let mut found: Option<(String, &str)> = None;
        for (host, word) in self.hosts.iter().zip(futures_util::future::join_all(installed).await) {
            let word = word?;
            match &found {
                Some((other, there)) if *other != word => {
                    let reason = format!(
                        "the program would be {other} on {there} and {word} on {}; name a `folder` that is the same on all hosts",
                        host.shell.name()
                    );
                    return Err(refused(reason));
                }
                _ => found = Some((word, host.shell.name())),
            }
        }
        found.map(|(word, _)| word).ok_or_else(|| refused("it has no hosts".to_owned()))
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        if batch.resources.nodes > 1 {
            let reason = "a job on hosts has one of them; a cluster with Slurm, Kubernetes or Ray gives it several at once";
            return Err(refused(reason.to_owned()));
        }
        let answers = self.everywhere(&self.scripts.survey(&batch.id)).await?;
        let (mut loads, mut there) = (Vec::with_capacity(answers.len()), BTreeSet::new());
        for (host, answer) in self.hosts.iter().zip(&answers) {
            let survey = parse::survey(answer).ok_or_else(|| unintelligible(answer))?;
            loads.push(Load::new(host, &survey));
            there.extend(survey.jobs);
        }
        let mut shares: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for ticket in batch.tickets().filter(|ticket| !there.contains(&ticket.job)) {
            let host = place::choose(&self.hosts, &mut loads, &batch.resources)?;
            shares.entry(host).or_default().push(ticket.job);
        }
        for (host, jobs) in shares {
            run(&self.hosts[host].shell, &self.scripts.submit(batch, &jobs)?).await?;
        }
        Ok(())
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let mut states = States::new();
        for (host, answer) in self.hosts.iter().zip(self.everywhere(&self.scripts.status(batches)).await?) {
            states.extend(parse::states(&answer, host.shell.name()).ok_or_else(|| unintelligible(&answer))?);
        }
        Ok(states)
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        self.everywhere(&self.scripts.cancel(jobs)).await.map(drop)
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        let answers = self.everywhere(&self.scripts.log(job, from)).await?;
        Ok(answers.into_iter().find(|answer| !answer.is_empty()).unwrap_or_default())
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        self.everywhere(&self.scripts.forget(batches)).await.map(drop)
    }
}

fn refused(reason: String) -> ExecutorError {
    ExecutorError::Refused { engine: "ssh".to_owned(), reason }
}

fn unintelligible(answer: &[u8]) -> ExecutorError {
    let answer = one_line(&String::from_utf8_lossy(&answer[..answer.len().min(400)]));
    ExecutorError::Unintelligible { engine: "ssh".to_owned(), answer }
}
