//! The interface of the daemon over HTTP: runs, triggers, events, outputs of the projects that it serves.
//!
//! The flow of a request: `admit` (who asks, and may they) → a file per subject → the dispatcher of the project or its records. All paths stand in
//! one table, `endpoints`, from which both the routes and the OpenAPI document are made.

mod admit;
mod artifacts;
mod endpoints;
mod events;
mod openapi;
mod problem;
mod rate;
mod runs;
mod serving;
mod streams;
mod tokens;
mod triggers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use tidemill_engine::Project;
use tidemill_engine::record::History;
use tidemill_engine::trigger::{Ask, Pipelines};
use tokio::sync::{Semaphore, mpsc, watch};

pub use serving::{ApiError, Stop, listen, serve};
pub use tokens::{Scope, TokenEntry, Tokens, TokensError};

use rate::Bucket;

/// What a daemon serves of one project.
pub struct Served {
    /// The project.
    pub project: Project,
    /// Its dispatcher.
    pub asks: mpsc::Sender<Ask>,
    history: History,
    /// The pipelines as they were read last.
    pipelines: Arc<Mutex<Pipelines>>,
}

impl Served {
    /// A project whose dispatcher takes questions.
    #[must_use]
    pub fn new(project: Project, asks: mpsc::Sender<Ask>) -> Self {
        let history = History::below(project.state());
        Self { project, asks, history, pipelines: Arc::default() }
    }
}

/// All that requests may use.
pub struct Api {
    projects: BTreeMap<String, Served>,
    tokens: Tokens,
    /// Requests of each token.
    rates: Mutex<BTreeMap<String, Arc<Bucket>>>,
    /// Requests of those that nobody knows.
    strangers: Bucket,
    /// Signed messages.
    signed: Bucket,
    /// Large bodies that are read at once.
    bodies: Semaphore,
    /// Streams end when this says so.
    stopping: watch::Receiver<bool>,
}

impl Api {
    /// The interface to these projects, by name.
    #[must_use]
    pub fn new(projects: BTreeMap<String, Served>, tokens: Tokens, stopping: watch::Receiver<bool>) -> Self {
        Self {
            projects,
            tokens,
            rates: Mutex::default(),
            strangers: Bucket::new(20.0, 100.0),
            signed: Bucket::new(100.0, 500.0),
            bodies: Semaphore::new(8),
            stopping,
        }
    }

    /// Its paths.
    pub fn router(self: Arc<Self>) -> Router {
        endpoints::router(self)
    }
}
