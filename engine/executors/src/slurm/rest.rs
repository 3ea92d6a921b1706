//! Slurm by its REST server, where one is configured: it is asked in the place of `sbatch`, `squeue` and `scancel`. The folders of the jobs
//! are looked at by a shell as ever.
//!
//! <https://slurm.schedmd.com/rest_api.html>

use std::fmt;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::parse;
use super::rest_words::{Dialect, Record, records};
use crate::shell::one_line;
use crate::{ExecutorError, http};

/// A REST server of Slurm, and who asks it.
#[derive(Clone, PartialEq, Eq)]
pub struct SlurmRest {
    /// Its address, such as `http://head:6820`.
    pub address: String,
    /// The user in whose name it is asked.
    pub user: String,
    /// The user's token, a JWT.
    pub token: String,
}

impl fmt::Debug for SlurmRest {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlurmRest").field("address", &self.address).field("user", &self.user).finish()
    }
}

/// The most that it may answer, in bytes: it tells of all jobs of the cluster.
const MOST: usize = 1 << 30;

/// Its client.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    client: Client,
    address: String,
    /// What it speaks, once it was asked.
    dialect: OnceCell<Dialect>,
}

impl Rest {
    pub(super) fn new(settings: &SlurmRest) -> Result<Self, ExecutorError> {
        let address = settings.address.trim_end_matches('/').to_owned();
        let headers = [("x-slurm-user-name", &settings.user), ("x-slurm-user-token", &settings.token)];
        let headers = headers.into_iter().map(|(name, value)| (name, value.as_str()));
        Ok(Self { client: http::client(&address, headers)?, address, dialect: OnceCell::new() })
    }

    pub(super) fn name(&self) -> &str {
        &self.address
    }

    /// What it speaks: the newest that both know.
    pub(super) async fn dialect(&self) -> Result<Dialect, ExecutorError> {
        let ask = || async {
            let told = self.send(Method::GET, "/openapi/v3", None).await?;
            let paths = told.get("paths").and_then(Value::as_object);
            let paths = paths.into_iter().flat_map(|paths| paths.keys().map(String::as_str));
            Dialect::newest(paths).ok_or_else(|| self.refused(Dialect::needed()))
        };
        self.dialect.get_or_try_init(ask).await.copied()
    }

    /// All that it knows of jobs.
    pub(super) async fn records(&self) -> Result<Vec<Record>, ExecutorError> {
        let answer = self.ask(Method::GET, "/jobs", None).await?;
        records(&answer).ok_or_else(|| {
            http::unintelligible(&self.address, answer.get("jobs").unwrap_or(&answer).to_string().as_bytes())
        })
    }

    pub(super) async fn submit(&self, job: &Value) -> Result<(), ExecutorError> {
        self.ask(Method::POST, "/job/submit", Some(job)).await.map(drop)
    }

    /// Ends a job, or one task of an array: `7` or `7_3`. One that has ended meanwhile is none.
    pub(super) async fn end(&self, id: &str) -> Result<(), ExecutorError> {
        match self.ask(Method::DELETE, &format!("/job/{id}"), None).await {
            Err(ExecutorError::Refused { reason, .. })
                if ["already completing or completed", "Invalid job id"]
                    .iter()
                    .any(|text| reason.contains(text)) =>
            {
                Ok(())
            }
            asked => asked.map(drop),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ExecutorError> {
        let version = self.dialect().await?.version();
        self.send(method, &format!("/slurm/{version}{path}"), body).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ExecutorError> {
        let unreachable = |error: reqwest::Error| http::unreachable(&self.address, &error);
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, mut bytes) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST {
                return Err(self.refused("its answer is longer than 1 GiB".to_owned()));
            }
        }
        let answer: Value = match serde_json::from_slice(&bytes) {
            Ok(answer) => answer,
            // A proxy in front of it, or it says in plain words that it does not know who asks.
            Err(_) if !status.is_success() => {
                let said = one_line(&String::from_utf8_lossy(&bytes[..bytes.len().min(400)]));
                let reason = format!("{} ({said})", status.as_u16());
                return Err(match status.is_server_error() {
                    true => ExecutorError::Unreachable { engine: self.address.clone(), reason },
                    false => self.refused(reason),
                });
            }
            Err(_) => return Err(http::unintelligible(&self.address, &bytes)),
        };
        let errors = answer.get("errors").and_then(Value::as_array);
        let told = |error: &Value| {
            let words = ["error", "description"].map(|name| error.get(name).and_then(Value::as_str));
            let words: Vec<&str> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
            words.join(": ")
        };
        let errors: Vec<String> = errors.into_iter().flatten().map(told).collect();
        match errors.is_empty() && status.is_success() {
            true => Ok(answer),
            false => Err(parse::error(
                &self.address,
                &one_line(&format!("{}; {}", errors.join("; "), status.as_u16())),
            )),
        }
    }

    fn refused(&self, reason: String) -> ExecutorError {
        ExecutorError::Refused { engine: self.address.clone(), reason }
    }
}
