//! A server in this process on a port of its own, a client, and small models written byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tidemill_server::{ServeEvent, ServeOptions, Server, Source, Token};
use tokio::sync::oneshot;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) events: Arc<Events>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    agent: ureq::Agent,
}

/// What the server said so far.
#[derive(Default)]
pub(crate) struct Events {
    said: Mutex<Vec<ServeEvent>>,
    more: Condvar,
}

impl Events {
    fn take(&self, event: &ServeEvent) {
        self.said.lock().unwrap().push(event.clone());
        self.more.notify_all();
    }

    /// Waits until the server says something like this.
    pub(crate) fn wait(&self, like: impl Fn(&ServeEvent) -> bool) {
        let mut said = self.said.lock().unwrap();
        while !said.iter().any(&like) {
            let (guard, waited) = self.more.wait_timeout(said, std::time::Duration::from_secs(30)).unwrap();
            assert!(!waited.timed_out(), "the server only said {:?}", *guard);
            said = guard;
        }
    }

    /// Waits until this endpoint answers with this version.
    pub(crate) fn wait_for_version(&self, endpoint: &str, version: u64) {
        self.wait(|event| {
            matches!(event, ServeEvent::Serving { endpoint: e, version: v, .. } if e == endpoint && *v == version)
        });
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) json_length: Option<usize>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

impl Running {
    pub(crate) fn start(source: Source) -> Self {
        let events = Arc::new(Events::default());
        let (announce, announced) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let events = events.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let token = Token::handed_over(TOKEN).unwrap();
                    let host = "127.0.0.1".to_owned();
                    let options = ServeOptions { host, port: 0, token, source, ready_file: None };
                    let tell = Arc::new(move |event: &ServeEvent| events.take(event));
                    let server = Server::open(options, tell).await.unwrap();
                    announce.send(server.address()).unwrap();
                    let stop = async { stopped.await.unwrap_or_default() };
                    server.run(stop).await.unwrap();
                });
            }
        });
        let address = announced.recv().unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { address, events, stop: Some(stop), thread: Some(thread), agent }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = self.agent.get(format!("http://{}{path}", self.address));
        answer(request.header("authorization", format!("Bearer {TOKEN}")).call().unwrap())
    }

    pub(crate) fn get_with(&self, path: &str, authorization: Option<&str>) -> Answer {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        answer(request.call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>, json_length: Option<usize>) -> Answer {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        request = request.header("authorization", format!("Bearer {TOKEN}"));
        if let Some(length) = json_length {
            request = request.header("inference-header-content-length", length.to_string());
        }
        answer(request.send(body.into()).unwrap())
    }

    pub(crate) fn infer(&self, endpoint: &str, body: &Value) -> Answer {
        self.post(&format!("/v2/models/{endpoint}/infer"), body.to_string(), None)
    }

    /// Orders it to stop; it goes on until its last requests are answered.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let length = response.headers().get("inference-header-content-length");
    let json_length = length.map(|value| value.to_str().unwrap().parse().unwrap());
    let status = response.status().as_u16();
    Answer { status, body: response.body_mut().read_to_vec().unwrap(), json_length }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Utf8PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// A model with `y = x * factor` (FP64, n rows of one column) and `name = label` (BYTES).
pub(crate) fn model(factor: f64) -> Vec<u8> {
    const DOUBLE: u64 = 11;
    const STRING: u64 = 8;
    let tensor = [number(2, DOUBLE), bytes(8, b"factor"), bytes(9, &factor.to_le_bytes())].concat();
    let multiply = [bytes(1, b"x"), bytes(1, b"factor"), bytes(2, b"y"), bytes(4, b"Mul")].concat();
    let identity = [bytes(1, b"label"), bytes(2, b"name"), bytes(4, b"Identity")].concat();
    let graph = [
        bytes(1, &multiply),
        bytes(1, &identity),
        bytes(2, b"graph"),
        bytes(5, &tensor),
        bytes(11, &value(b"x", DOUBLE)),
        bytes(11, &value(b"label", STRING)),
        bytes(12, &value(b"y", DOUBLE)),
        bytes(12, &value(b"name", STRING)),
    ];
    [number(1, 8), bytes(7, &graph.concat()), bytes(8, &number(2, 17))].concat()
}

/// A `ValueInfoProto` of the shape [n, 1].
fn value(name: &[u8], element: u64) -> Vec<u8> {
    let shape = [bytes(1, &bytes(2, b"n")), bytes(1, &number(1, 1))].concat();
    let tensor = [number(1, element), bytes(2, &shape)].concat();
    [bytes(1, name), bytes(2, &bytes(1, &tensor))].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
