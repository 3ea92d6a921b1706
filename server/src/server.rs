//! The server itself: it opens, answers until it is told to stop, and finishes what it has begun.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::connections;
use crate::endpoints::{Endpoints, LoadError, Loaded, ServeEvent};
use crate::follow::{Follower, Following, Listener, inputs_of};
use crate::metrics::Metrics;
use crate::routes::{self, Shared};
use crate::token::{Token, TokenError};

/// How long requests that are being answered may take after the order to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Debug)]
pub struct ServeOptions {
    /// The host name or address to listen on.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// What requests must bring.
    pub token: Token,
    /// What to serve.
    pub source: Source,
    /// A file to write the address to once requests are taken.
    pub ready_file: Option<Utf8PathBuf>,
}

/// What to serve.
#[derive(Debug)]
pub enum Source {
    /// The desired state of all endpoints of the project with this state folder.
    Project(Utf8PathBuf),
    /// One model file, whatever any desired state says.
    File {
        /// The model file.
        path: Utf8PathBuf,
        /// The name to serve it under.
        name: String,
        /// The version to say.
        version: u64,
    },
}

/// Why a server could not open or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The model file cannot be served.
    #[error("cannot serve the model file")]
    Load(#[from] LoadError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address could not be announced.
    #[error("cannot write {path}")]
    Announce {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system said no.
    #[error("cannot serve")]
    System(#[source] io::Error),
}

/// A server that listens; requests are answered once it runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    tell: Listener,
    following: Option<Following>,
}

impl Server {
    /// Opens the port, loads what is to be served, and announces the address.
    ///
    /// # Errors
    /// If the address is taken or the model file cannot be loaded. A desired state that cannot be served is no error: it
    /// is told, and the server waits for a better one.
    pub async fn open(
        options: ServeOptions,
        tell: Arc<dyn Fn(&ServeEvent) + Send + Sync>,
    ) -> Result<Self, ServeError> {
        let ServeOptions { host, port, token, source, ready_file } = options;
        let failed = |source| ServeError::Listen { host: host.clone(), port, source };
        let (listener, address) = connections::listen(&host, port).await.map_err(failed)?;
        tell(&ServeEvent::Listening { address, token_file: token.file().map(Utf8Path::to_owned) });
        let (shared, following) = share(&source, token, &tell)?;
        if let Some(path) = ready_file {
            announce(&path, address).map_err(|source| ServeError::Announce { path, source })?;
        }
        Ok(Self { listener, address, shared, tell, following })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`; requests that are being answered then have ten seconds to end.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let Self { listener, shared, tell, following, .. } = self;
        let stop = async move {
            stop.await;
            tell(&ServeEvent::Stopping);
        };
        connections::answer(listener, routes::router(shared), stop, LAST_ANSWERS).await;
        // The thread is joined; it may be loading a model.
        tokio::task::spawn_blocking(move || drop(following))
            .await
            .map_err(|error| ServeError::System(io::Error::other(error)))
    }
}

/// The models of a project, served as a part of another server. They are followed until this goes away.
pub struct Models {
    _following: Option<Following>,
}

impl Models {
    /// The paths of the protocol for what is deployed in the project with this state folder.
    ///
    /// # Errors
    /// If deployments cannot be followed.
    pub fn of_project(
        state: &Utf8Path,
        token: Token,
        tell: &Arc<dyn Fn(&ServeEvent) + Send + Sync>,
    ) -> Result<(Router, Self), ServeError> {
        let (shared, following) = share(&Source::Project(state.to_owned()), token, tell)?;
        Ok((routes::router(shared), Self { _following: following }))
    }
}

/// What requests share, with what is there already loaded.
fn share(
    source: &Source,
    token: Token,
    tell: &Listener,
) -> Result<(Arc<Shared>, Option<Following>), ServeError> {
    let endpoints = Arc::new(Endpoints::default());
    let following = load(source, &endpoints, tell)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let turns = Arc::new(Semaphore::new(cores));
    Ok((Arc::new(Shared { endpoints, token, metrics: Metrics::default(), turns }), following))
}

/// Loads what is there already, and follows what comes.
fn load(
    source: &Source,
    endpoints: &Arc<Endpoints>,
    tell: &Listener,
) -> Result<Option<Following>, ServeError> {
    match source {
        Source::Project(state) => {
            let mut follower = Follower::new(Registry::at(state), endpoints.clone(), tell.clone());
            follower.look();
            follower.follow().map(Some).map_err(ServeError::System)
        }
        Source::File { path, name, version } => {
            let loaded = Loaded::read(*version, path, None)?;
            let inputs = inputs_of(&loaded);
            let before = endpoints.swap(name, loaded);
            let (endpoint, model, version) = (name.clone(), name.clone(), *version);
            tell(&ServeEvent::Serving { endpoint, model, version, inputs, before });
            Ok(None)
        }
    }
}

/// Writes the address beside the file and renames it, so that who waits for the file never reads half of it.
fn announce(path: &Utf8Path, address: SocketAddr) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".ready-").tempfile_in(folder)?;
    writeln!(file, "{address}")?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}
