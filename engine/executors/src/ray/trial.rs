//! How a program comes to Ray: uploaded once per digest as a package of its own, and tried by a job.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::log::without_rays_lines;
use super::{Ray, package, parse, script};
use crate::shell::one_line;
use crate::{BatchId, ExecutorError, Program};

/// How often a trial is looked at, and how long it may take: Ray makes a place for it first.
const PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(300);

fn address(package: &str) -> String {
    format!("/api/packages/gcs/{package}.zip")
}

impl Ray {
    /// Makes sure that a program is there and runs, on the node at least that Ray takes for a job without needs.
    pub(super) async fn upload(&self, program: &Program) -> Result<String, ExecutorError> {
        let word = script::program(program.name()?);
        if !self.has(&word).await? {
            if let Some(made) = program.made().await? {
                let (_, machine) = self.attempt("uname -sm", None).await?;
                let (system, processor) = machine.split_once(' ').unwrap_or((&machine, ""));
                if !made.fits(system, processor) {
                    let why = format!("its nodes are {machine}, and {} is made for {made}", program.path);
                    return Err(self.unfit(&why));
                }
            }
            let name = word.clone();
            let zip = program.reading(move |file| package::zip(&name, 0o755, file)).await?;
            self.put(&word, zip).await?;
        }
        let command = format!("{}\nexec {word} --version", script::FIND);
        match self.attempt(&command, Some(&word)).await? {
            (true, said) if program.is_named_in(&said) => Ok(word),
            (true, said) => {
                Err(self.refused(format!("{word} is {}, and {} is wanted", one_line(&said), program.version)))
            }
            (false, said) => Err(self.unfit(&format!("its nodes do not run it: {}", one_line(&said)))),
        }
    }

    /// Whether there is such a package. That it is asked for keeps it for 10 minutes; later its jobs do.
    pub(super) async fn has(&self, package: &str) -> Result<bool, ExecutorError> {
        let answer = self.ask(Method::GET, &address(package), None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refusal(&answer)),
        }
    }

    /// Uploads a package.
    pub(super) async fn put(&self, package: &str, zip: Vec<u8>) -> Result<(), ExecutorError> {
        let answer = self.ask(Method::PUT, &address(package), Some((package::KIND, zip))).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refusal(&answer)) }
    }

    /// Whether a command goes well there that needs next to nothing, and what it prints.
    async fn attempt(&self, command: &str, program: Option<&str>) -> Result<(bool, String), ExecutorError> {
        let id = format!("{}{}", script::TRIAL, BatchId::generate());
        let answer = self.post(script::trial(&id, command, program)).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let path = format!("/api/jobs/{id}");
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                let answer = self.ask(Method::GET, &path, None).await?;
                let known = parse::job(&answer.body).ok_or_else(|| self.refusal(&answer))?;
                if known.has_ended() {
                    return Ok::<_, ExecutorError>(known);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let known = ended.await.map_err(|_| self.unfit("a job that tries a program does not end"))??;
        let answer = self.ask(Method::GET, &format!("{path}/logs"), None).await?;
        let said = parse::logs(&answer.body).ok_or_else(|| self.refusal(&answer))?;
        self.remove(std::slice::from_ref(&id)).await?;
        let said = without_rays_lines(said.into_bytes(), &id, command);
        let said = String::from_utf8_lossy(said.trim_ascii());
        // What could not even be begun has printed nothing.
        let said = if said.is_empty() { known.message() } else { &said };
        Ok((known.went_well(), said.to_owned()))
    }

    fn unfit(&self, why: &str) -> ExecutorError {
        self.refused(format!(
            "{why}; install a Tidemill that is made for them there, and name that in `program`"
        ))
    }
}
