//! Connections: each is answered until its client has nothing more to ask. Whoever does not say in time what they ask loses theirs.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// A request's head must have come within this time, and a connection on which nothing is asked for so long is closed.
const HEAD: Duration = Duration::from_secs(60);
/// If no connection can be had, for there are too many, the next is tried after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an address may be taken before that is a mistake: a server that was just killed may have left it to a child
/// for the moment in which that began.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an address is tried meanwhile.
const OFTEN: Duration = Duration::from_millis(20);

/// Listens on an address.
///
/// # Errors
/// If it is taken for longer than a moment, or is none of this machine.
pub(crate) async fn listen(host: &str, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let began = Instant::now();
    let listener = loop {
        match TcpListener::bind((host, port)).await {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse && began.elapsed() < PATIENCE => {
                tokio::time::sleep(OFTEN).await;
            }
            bound => break bound?,
        }
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers until `stop`; what is being answered then has `last` to end.
pub(crate) async fn answer(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    last: Duration,
) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let answered = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                let connection = protocol.serve_connection(TokioIo::new(stream), service);
                let connection = answered.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be had now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = answered.shutdown() => {}
        () = tokio::time::sleep(last) => {}
    }
}

/// Whether a client has gone before its connection was there.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;
    use tokio::time;

    use super::*;

    const LAST: Duration = Duration::from_secs(5);

    /// A server of one path that answers at once, and of one that says that it was asked and never answers.
    async fn server(asked: &Arc<Notify>) -> (TcpStream, oneshot::Sender<()>, JoinHandle<()>) {
        let asked = Arc::clone(asked);
        let slow = async move || {
            asked.notify_one();
            std::future::pending::<&'static str>().await
        };
        let router = Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(answer(listener, router, stopped, LAST));
        (TcpStream::connect(address).await.expect("it listens"), stop, serving)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_they_ask_loses_the_connection() {
        let (mut client, _stop, _serving) = server(&Arc::default()).await;
        let began = time::Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        let mut answer = String::new();
        // Whether it is told why is the library's matter.
        drop(client.read_to_string(&mut answer).await);
        assert!(!answer.contains("here"), "{answer}");
        assert!(began.elapsed() >= HEAD && began.elapsed() < HEAD * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_idle_connections_are_closed_and_slow_answers_have_a_limit() {
        let asked = Arc::default();
        let (mut client, stop, serving) = server(&asked).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut start = [0; 15];
        client.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        let began = time::Instant::now();
        stop.send(()).unwrap();
        serving.await.unwrap();
        assert!(began.elapsed() < LAST);

        let (mut client, stop, serving) = server(&asked).await;
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        asked.notified().await;
        let began = time::Instant::now();
        stop.send(()).unwrap();
        serving.await.unwrap();
        assert!(began.elapsed() >= LAST);
    }

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
