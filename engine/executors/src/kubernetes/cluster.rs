//! What a cluster is asked, over its API.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures_util::io::{self, AsyncReadExt as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::batch::v1::Job as Object;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::Error;
use kube::api::{Api, ListParams, LogParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::manifest::{BATCH, JOB};
use super::read::{self, Seen};
use super::{AT_ONCE, Kubernetes, error, manifest, several};
use crate::keeper::PIECE;
use crate::shell::one_line;
use crate::{BatchId, End, ExecutorError, Job, State, States, Ticket};

impl Kubernetes {
    pub(super) fn error(&self, error: &Error) -> ExecutorError {
        error::error(&self.name, error)
    }

    /// Makes a Job and then what its pods wait for, its Secret and its Service: so there is never one that nobody removes.
    pub(super) async fn submit_one(
        &self,
        object: &Object,
        ticket: &Ticket,
        job: &Job,
    ) -> Result<(), ExecutorError> {
        let made = match self.jobs.create(&PostParams::default(), object).await {
            Err(Error::Api(status)) if status.is_already_exists() => {
                self.jobs.get(&manifest::name(ticket)).await
            }
            made => made,
        };
        let made = made.map_err(|error| self.error(&error))?;
        if let Some(service) = several::service(&made, ticket) {
            self.make(&self.services, &service).await?;
        }
        match manifest::secret(&made, ticket, job) {
            Some(secret) => self.make(&self.secrets, &secret).await,
            None => Ok(()),
        }
    }

    /// Makes an object, unless it is there.
    async fn make<T: Clone + DeserializeOwned + Serialize + Debug>(
        &self,
        api: &Api<T>,
        object: &T,
    ) -> Result<(), ExecutorError> {
        match api.create(&PostParams::default(), object).await {
            Err(Error::Api(status)) if status.is_already_exists() => Ok(()),
            made => made.map(drop).map_err(|error| self.error(&error)),
        }
    }

    /// Changes a Job, if it is there.
    pub(super) async fn change(&self, ticket: &Ticket, change: &Value) -> Result<bool, ExecutorError> {
        let name = manifest::name(ticket);
        match self.jobs.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.is_not_found() => Ok(false),
            // Somebody has changed the Job that this is meant for.
            Err(Error::Api(status)) if status.is_conflict() && manifest::is_as_seen(change) => Ok(false),
            Err(error) => Err(self.error(&error)),
        }
    }

    /// Why no pod could be made of a Job, by the name of the Job. Whoever may not know gets nothing.
    async fn hindrances(&self) -> BTreeMap<String, String> {
        let wanted = ListParams::default().fields("involvedObject.kind=Job,reason=FailedCreate");
        let events = self.events.list(&wanted).await.map(|events| events.items).unwrap_or_default();
        let told = events.into_iter().filter_map(|event| Some((event.involved_object.name?, event.message?)));
        told.map(|(name, message)| (name, one_line(&message))).collect()
    }

    /// Ends a job that never begins.
    async fn give_up(
        &self,
        object: &Object,
        ticket: &Ticket,
        reason: String,
    ) -> Result<State, ExecutorError> {
        let order = manifest::order_of_end(&End::NotStarted { reason: reason.clone() });
        self.change(ticket, &manifest::as_seen(order, object)).await?;
        Ok(State::Queued { reason: Some(reason) })
    }

    /// Writes down how a job ended.
    async fn note(&self, object: &Object, ticket: &Ticket, end: End) -> Result<State, ExecutorError> {
        let note = manifest::note_of_end(&end);
        match self.change(ticket, &manifest::as_seen(note, object)).await? {
            true => Ok(State::Ended { end }),
            // Somebody else was faster: what he wrote is told the next time.
            false => Ok(State::Running { host: None }),
        }
    }

    /// The states of all jobs of batches, and what has to be done about them.
    pub(super) async fn look(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let wanted = ListParams::default().labels(&manifest::selector(batches));
        let jobs = self.jobs.list(&wanted).await.map_err(|error| self.error(&error))?;
        // The pods after the Jobs: of a Job that has ended, no pod comes any more.
        let mut pods: BTreeMap<Ticket, Vec<Pod>> = BTreeMap::new();
        for pod in self.pods.list(&wanted).await.map_err(|error| self.error(&error))? {
            if let Some(ticket) = read::ticket(&pod.metadata) {
                pods.entry(ticket).or_default().push(pod);
            }
        }
        let now = Timestamp::now();
        let seen = jobs.items.iter().filter_map(|object| {
            let ticket = read::ticket(&object.metadata)?;
            let seen = read::seen(object, pods.get(&ticket).map_or(&[], Vec::as_slice), now);
            Some((object, ticket, seen))
        });
        let seen: Vec<(&Object, Ticket, Seen)> = seen.collect();
        let hindrances = match seen.iter().any(|(.., seen)| matches!(seen, Seen::NoPod)) {
            true => &self.hindrances().await,
            false => &BTreeMap::new(),
        };
        let settled = seen.into_iter().map(|(object, ticket, seen)| async move {
            let state = match seen {
                Seen::NoPod => State::Queued { reason: hindrances.get(&manifest::name(&ticket)).cloned() },
                Seen::State(state) => state,
                Seen::Hopeless { reason } => self.give_up(object, &ticket, reason).await?,
                Seen::Ended(end) => self.note(object, &ticket, end).await?,
            };
            Ok::<_, ExecutorError>((ticket, state))
        });
        let settled = stream::iter(settled.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        settled.try_collect().await
    }

    /// A piece of what the last pod of a job printed. A node tells a log from its beginning only, and has it until it is rotated.
    pub(super) async fn piece(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        let Ticket { batch, job } = job;
        let wanted = ListParams::default().labels(&format!("{BATCH}={batch},{JOB}={job}"));
        let pods = self.pods.list(&wanted).await.map_err(|error| self.error(&error))?.items;
        // Of several pods the log of the first one is wanted.
        let first = pods.into_iter().filter(|pod| several::rank(pod).is_none_or(|rank| rank == 0));
        let last = first.max_by_key(|pod| pod.metadata.creation_timestamp.clone());
        let Some(name) = last.and_then(|pod| pod.metadata.name) else { return Ok(Vec::new()) };
        let end = from.saturating_add(PIECE as u64);
        let wanted = LogParams { limit_bytes: i64::try_from(end).ok(), ..LogParams::default() };
        let mut log = match self.pods.log_stream(&name, &wanted).await {
            Ok(log) => Box::pin(log),
            // Its container is not made yet, or the pod has gone.
            Err(Error::Api(status)) if matches!(status.code, 400 | 404) => return Ok(Vec::new()),
            Err(error) => return Err(self.error(&error)),
        };
        let broken = |error| self.error(&Error::ReadEvents(error));
        let before = io::copy((&mut log).take(from), &mut io::sink()).await.map_err(broken)?;
        let mut piece = Vec::new();
        if before == from {
            log.take(PIECE as u64).read_to_end(&mut piece).await.map_err(broken)?;
        }
        Ok(piece)
    }
}
