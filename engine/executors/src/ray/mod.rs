//! Ray, by the Jobs API of its dashboard: one job of Ray for each of ours.
//!
//! What a command is, and its variables, go to Ray in a package, which its API gives to nobody, and not in Ray's own variables of a job,
//! which are in its lists and logs. A node has it until the command begins, as a file of the account that all jobs have; while Ray unpacks
//! it, other accounts of the node could read it. And Ray knows no users: whoever reaches its dashboard can run what he likes in that
//! account, and so read what its jobs hold. He counts as the user of these jobs.
//!
//! A job that gets no resources within 15 minutes is given up by Ray: `RAY_JOB_START_TIMEOUT_SECONDS` of its head says another time.

mod log;
mod package;
mod parse;
mod script;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};

use self::log::Piece;
use self::parse::Known;
use crate::{Batch, BatchId, Executor, ExecutorError, Program, States, Ticket, http};

/// How long an upload of a package may take.
const UPLOAD: Duration = Duration::from_secs(3600);
/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// How many jobs one job cancels: their names are arguments of a command.
const CANCELLED_AT_ONCE: usize = 1000;

/// Which Ray, and how it is reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RaySettings {
    /// The address of its dashboard, such as `http://head:8265`.
    pub address: String,
    /// The token that Ray asks for, if it does.
    pub token: Option<String>,
    /// Headers that a proxy in front of it asks for.
    pub headers: BTreeMap<String, String>,
    /// The program on the nodes that jobs start with. Without it ours is uploaded.
    pub program: Option<String>,
}

impl fmt::Debug for RaySettings {
    /// Without the token and the values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("RaySettings")
            .field("address", &self.address)
            .field("headers", &headers)
            .field("program", &self.program)
            .finish()
    }
}

/// A Ray cluster.
#[derive(Debug, Clone)]
pub struct Ray {
    client: Client,
    address: String,
    program: Option<String>,
}

/// What it answers.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Ray {
    /// The cluster that has its dashboard there.
    ///
    /// # Errors
    /// If a setting cannot be one.
    pub fn new(settings: &RaySettings) -> Result<Self, ExecutorError> {
        let address = settings.address.trim_end_matches('/').to_owned();
        let bearer = settings.token.as_ref().map(|token| format!("Bearer {token}"));
        let bearer = bearer.iter().map(|bearer| (AUTHORIZATION.as_str(), bearer.as_str()));
        let named = settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let client = http::client(&address, bearer.chain(named))?;
        Ok(Self { client, address, program: settings.program.clone() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, ExecutorError> {
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
            if kind == package::KIND {
                request = request.timeout(UPLOAD);
            }
        }
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, ExecutorError> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status, body: body.into() })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ExecutorError {
        http::unreachable(&self.address, error)
    }

    fn refused(&self, reason: String) -> ExecutorError {
        ExecutorError::Refused { engine: self.address.clone(), reason }
    }

    fn refusal(&self, answer: &Answer) -> ExecutorError {
        parse::refusal(&self.address, answer.status.as_u16(), &answer.body)
    }

    fn unintelligible(&self, answer: &[u8]) -> ExecutorError {
        http::unintelligible(&self.address, answer)
    }

    /// All jobs that Ray knows.
    async fn known(&self) -> Result<Vec<Known>, ExecutorError> {
        let answer = self.ask(Method::GET, "/api/jobs/", None).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        parse::jobs(&answer.body).ok_or_else(|| self.unintelligible(&answer.body))
    }

    /// The jobs that have their places on several nodes.
    async fn placed(&self) -> Result<BTreeSet<String>, ExecutorError> {
        let answer = self.ask(Method::GET, "/api/v0/placement_groups?limit=10000", None).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        parse::placed(&answer.body).ok_or_else(|| self.unintelligible(&answer.body))
    }

    /// Submits a job: Ray takes each id once.
    async fn submit_one(&self, batch: &Batch, ticket: &Ticket) -> Result<(), ExecutorError> {
        let package = script::package(ticket);
        if !self.has(&package).await? {
            let keeper = script::keeper(batch, ticket)?;
            let zip = package::zip(script::KEEPER, 0o600, keeper.as_bytes());
            self.put(&package, zip.map_err(|error| self.refused(error.to_string()))?).await?;
        }
        let answer = self.post(script::submission(batch, ticket)).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let there = self.ask(Method::GET, &format!("/api/jobs/{ticket}"), None).await?;
        if there.status.is_success() { Ok(()) } else { Err(self.refusal(&answer)) }
    }

    async fn post(&self, submission: String) -> Result<Answer, ExecutorError> {
        self.ask(Method::POST, "/api/jobs/", Some(("application/json", submission.into_bytes()))).await
    }

    /// Asks for something that need not be there any more.
    async fn ask_if_there(&self, method: Method, path: &str) -> Result<(), ExecutorError> {
        let answer = self.ask(method, path, None).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(self.refusal(&answer))
    }

    /// Removes what Ray keeps of jobs that have ended.
    async fn remove(&self, ids: &[String]) -> Result<(), ExecutorError> {
        stream::iter(ids.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |id| {
                self.ask_if_there(Method::DELETE, &format!("/api/jobs/{id}")).await
            })
            .await
    }
}

#[async_trait]
impl Executor for Ray {
    async fn install(&self, program: &Program) -> Result<String, ExecutorError> {
        match &self.program {
            Some(there) => Ok(there.clone()),
            None => self.upload(program).await,
        }
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        // Ray drops what no job has for 10 minutes.
        for program in batch.jobs.iter().filter_map(script::program_of).collect::<BTreeSet<_>>() {
            if !self.has(program).await? {
                return Err(self.refused(format!("it has no {program} any more; install it again")));
            }
        }
        let there: BTreeSet<Ticket> = self.known().await?.iter().filter_map(Known::ticket).collect();
        let missing = batch.tickets().filter(|ticket| !there.contains(ticket));
        stream::iter(missing.map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |ticket| self.submit_one(batch, &ticket).await)
            .await
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let batches: BTreeSet<&BatchId> = batches.iter().collect();
        let known = self.known().await?;
        let wanted = |known: &&Known| known.ticket().is_some_and(|ticket| batches.contains(&ticket.batch));
        let known: Vec<&Known> = known.iter().filter(wanted).collect();
        let placed = match known.iter().any(|known| known.has_several()) {
            true => self.placed().await?,
            false => BTreeSet::new(),
        };
        let states = known.into_iter().map(|known| {
            let state = known.waits_for_nodes(&placed).or_else(|| known.state());
            Some((known.ticket()?, state?))
        });
        states.collect::<Option<States>>().ok_or_else(|| self.unintelligible(b"a state that is none"))
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        stream::iter(jobs.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |ticket| {
                self.ask_if_there(Method::POST, &format!("/api/jobs/{ticket}/stop")).await
            })
            .await?;
        // One that waits hears of it when it begins, if ever.
        let known = self.known().await?;
        let waiting: BTreeSet<Ticket> =
            known.iter().filter(|known| known.waits()).filter_map(Known::ticket).collect();
        let waiting: Vec<&Ticket> = jobs.iter().filter(|ticket| waiting.contains(ticket)).collect();
        for some in waiting.chunks(CANCELLED_AT_ONCE) {
            let id = format!("{}{}", script::CANCELLER, BatchId::generate());
            let answer = self.post(script::canceller(&id, some)?).await?;
            if !answer.status.is_success() {
                return Err(self.refusal(&answer));
            }
        }
        Ok(())
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        let answer = self.ask(Method::GET, &format!("/api/jobs/{job}"), None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let known = parse::job(&answer.body).ok_or_else(|| self.unintelligible(&answer.body))?;
        let Some(node) = known.node() else { return Ok(Vec::new()) };
        // Not by the Jobs API, which reads all of a log first, and none that is not UTF-8. Either tells it from its beginning only.
        let path = format!("/api/v0/logs/file?node_id={node}&filename=job-driver-{job}.log&lines=-1");
        let mut response = self.send(Method::GET, &path, None).await?;
        let status = response.status();
        if status.is_success() {
            let mut piece = Piece::new(job, from);
            while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
                if !piece.take(&chunk) {
                    break;
                }
            }
            return Ok(piece.finish());
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        match parse::has_no_log(&body) {
            true => Ok(Vec::new()),
            false if parse::has_no_node(&body) => {
                Err(self.refused("the machine that has the log is gone".to_owned()))
            }
            false => Err(self.refusal(&Answer { status, body: body.into() })),
        }
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        let known = self.known().await?;
        let ours = known.iter().filter(|known| known.has_ended()).filter_map(Known::ticket);
        let ours = ours.filter(|ticket| batches.contains(&ticket.batch)).map(|ticket| ticket.to_string());
        let helpers = known.iter().filter_map(Known::done_helper).map(str::to_owned);
        self.remove(&ours.chain(helpers).collect::<Vec<_>>()).await
    }
}
