//! The server of the interface: it listens, answers until it is told to stop, and finishes what it has begun.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::connections;

/// How long requests that are being answered may take after the order to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Why the interface cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
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
}

/// The order to stop: it turns true once.
pub type Stop = watch::Receiver<bool>;

/// Listens on an address.
///
/// # Errors
/// If it is taken for longer than a moment, or is none of this machine.
pub async fn listen(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), ApiError> {
    let failed = |source| ApiError::Listen { host: host.to_owned(), port, source };
    connections::listen(host, port).await.map_err(failed)
}

/// Answers until the order to stop; what is being answered then has five seconds to end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    // Who could give the order has gone: that is one too.
    let ordered = async { drop(stop.wait_for(|stop| *stop).await) };
    connections::answer(listener, router, ordered, LAST_ANSWERS).await;
}
