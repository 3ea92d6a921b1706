//! The server of the interface: it listens, answers until it is told to stop, and finishes what it has begun.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::connections;

/// How long requests that are being answered may take after the order to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long an address may be taken before that is a mistake: a server that was just killed may have left it to a child
/// for the moment in which that began.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an address is tried meanwhile.
const OFTEN: Duration = Duration::from_millis(20);

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
    let began = Instant::now();
    let listener = loop {
        match TcpListener::bind((host, port)).await {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse && began.elapsed() < PATIENCE => {
                tokio::time::sleep(OFTEN).await;
            }
            bound => break bound.map_err(failed)?,
        }
    };
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Answers until the order to stop; what is being answered then has five seconds to end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    // Who could give the order has gone: that is one too.
    let ordered = async { drop(stop.wait_for(|stop| *stop).await) };
    connections::answer(listener, router, ordered, LAST_ANSWERS).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_its_last_holder_lets_go_in_a_moment_is_waited_for() {
        let last = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = last.local_addr().expect("it has an address").port();
        let mut listening = tokio::spawn(listen("127.0.0.1", port));
        let early = tokio::time::timeout(Duration::from_millis(50), &mut listening).await;
        assert!(early.is_err(), "nobody listens on a port that is taken");
        drop(last);
        let (_, address) = listening.await.expect("it does not panic").expect("the port is free now");
        assert_eq!(address.port(), port);
    }
}
