//! Kubernetes: a Job for each job of a batch, of which the cluster itself sees to everything. What it says of an end is written on the
//! Job, for pods may go before it; a job is cancelled by taking away its time, so that its Job stays and tells it.

mod cluster;
mod error;
mod manifest;
mod pod;
mod read;
mod settings;
mod several;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::batch::v1::Job as Object;
use k8s_openapi::api::core::v1::{Event, Pod, Secret, Service};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};

pub use self::settings::{KubernetesSettings, Toleration};
use crate::shell::one_line;
use crate::{Batch, BatchId, End, Executor, ExecutorError, Program, States, Ticket};

/// How many questions are open at once.
const AT_ONCE: usize = 16;
/// How many batches are asked for in one: their ids are in the address.
const BATCHES: usize = 100;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A namespace of a Kubernetes cluster.
#[derive(Clone)]
pub struct Kubernetes {
    name: String,
    settings: KubernetesSettings,
    jobs: Api<Object>,
    pods: Api<Pod>,
    secrets: Api<Secret>,
    services: Api<Service>,
    events: Api<Event>,
}

impl Kubernetes {
    /// The cluster that the settings name. It is not asked anything yet.
    ///
    /// # Errors
    /// If it is not known where the cluster is, or who we are.
    pub async fn new(settings: KubernetesSettings) -> Result<Self, ExecutorError> {
        let mut config = settings::configuration(&settings).await.map_err(|reason| {
            ExecutorError::Refused { engine: "Kubernetes".to_owned(), reason: one_line(&reason) }
        })?;
        // Trying again is the affair of who asks.
        config.default_retry = false;
        config.read_timeout = Some(LIMIT);
        config.reset_reader_on_write = true;
        let name = format!("Kubernetes at {}", config.cluster_url.host().unwrap_or("nowhere"));
        let namespace = settings.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| error::error(&name, &error))?;
        Ok(Self {
            name,
            settings,
            jobs: Api::namespaced(client.clone(), &namespace),
            pods: Api::namespaced(client.clone(), &namespace),
            secrets: Api::namespaced(client.clone(), &namespace),
            services: Api::namespaced(client.clone(), &namespace),
            events: Api::namespaced(client, &namespace),
        })
    }
}

#[async_trait]
impl Executor for Kubernetes {
    /// The image has it.
    async fn install(&self, _: &Program) -> Result<String, ExecutorError> {
        Ok(self.settings.program.clone())
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        let objects = batch
            .tickets()
            .map(|ticket| Ok((manifest::job(batch, &ticket, &self.settings)?, ticket)))
            .collect::<Result<Vec<_>, ExecutorError>>()?;
        let submitted = objects
            .iter()
            .map(|(object, ticket)| self.submit_one(object, ticket, &batch.jobs[ticket.job as usize]));
        stream::iter(submitted.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        let mut states = States::new();
        for batches in batches.chunks(BATCHES) {
            states.extend(self.look(batches).await?);
        }
        Ok(states)
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        let order = manifest::order_of_end(&End::Cancelled);
        let cancelled = jobs.iter().map(async |ticket| self.change(ticket, &order).await.map(drop));
        stream::iter(cancelled.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        self.piece(job, from).await
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        for batches in batches.chunks(BATCHES) {
            let wanted = ListParams::default().labels(&manifest::selector(batches));
            let done = self.jobs.delete_collection(&DeleteParams::background(), &wanted).await;
            done.map_err(|error| self.error(&error))?;
        }
        Ok(())
    }
}
