//! Hosts that are reached over SSH. Each job is a folder in the user's cache folder there, which a small script keeps: the connection may
//! break whenever it likes.

mod parse;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use self::script::Scripts;
use crate::install::Programs;
use crate::shell::{Printed, one_line};
use crate::{Batch, BatchId, Executor, ExecutorError, Program, Shell, States, Ticket};

/// Which hosts, and what is where on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// The hosts; a job goes to the one that has the fewest of ours.
    pub hosts: Vec<Shell>,
    /// The folder there that has the folders of the jobs; in the user's cache folder if none is named.
    pub folder: Option<String>,
    /// The program there that jobs start with. Without it ours is copied to each host.
    pub program: Option<String>,
}

/// Hosts on which one may log in.
#[derive(Debug, Clone)]
pub struct Ssh {
    hosts: Vec<Shell>,
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
        let asked: Vec<_> = self.hosts.iter().map(|host| run(host, script)).collect();
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
        let installed = self.hosts.iter().map(|host| self.programs.install(host, program));
        let mut found: Option<(String, &str)> = None;
        for (host, word) in self.hosts.iter().zip(futures_util::future::join_all(installed).await) {
            let word = word?;
            match &found {
                Some((other, there)) if *other != word => {
                    let reason = format!(
                        "the program would be {other} on {there} and {word} on {}; name a `folder` that is the same on all hosts",
                        host.name()
                    );
                    return Err(ExecutorError::Refused { engine: "ssh".to_owned(), reason });
                }
                _ => found = Some((word, host.name())),
            }
        }
        found.map(|(word, _)| word).ok_or_else(no_hosts)
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        let answers = self.everywhere(&self.scripts.survey(&batch.id)).await?;
        let (mut load, mut there) = (Vec::with_capacity(answers.len()), BTreeSet::new());
        for answer in &answers {
            let survey = parse::survey(answer).ok_or_else(|| unintelligible(answer))?;
            load.push(survey.unfinished);
            there.extend(survey.jobs);
        }
        // Which host gets which jobs: the one with the fewest, each time.
        let mut shares: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for ticket in batch.tickets().filter(|ticket| !there.contains(&ticket.job)) {
            let host = (0..load.len()).min_by_key(|host| load[*host]).ok_or_else(no_hosts)?;
            load[host] += 1;
            shares.entry(host).or_default().push(ticket.job);
        }
        for (host, jobs) in shares {
            run(&self.hosts[host], &self.scripts.submit(batch, &jobs)?).await?;
        }
        Ok(())
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let mut states = States::new();
        for (host, answer) in self.hosts.iter().zip(self.everywhere(&self.scripts.status(batches)).await?) {
            states.extend(parse::states(&answer, host.name()).ok_or_else(|| unintelligible(&answer))?);
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

fn no_hosts() -> ExecutorError {
    ExecutorError::Refused { engine: "ssh".to_owned(), reason: "it has no hosts".to_owned() }
}

fn unintelligible(answer: &[u8]) -> ExecutorError {
    let answer = one_line(&String::from_utf8_lossy(&answer[..answer.len().min(400)]));
    ExecutorError::Unintelligible { engine: "ssh".to_owned(), answer }
}
