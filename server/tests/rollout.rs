//! Deployments while the server runs: nothing is dropped, a bad model changes nothing, the last requests are answered.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tidemill_cache::{Artifact, Digest, Form};
use tidemill_engine::name::{AliasName, EndpointName, ModelName};
use tidemill_engine::registry::{Deed, Desired, NewVersion, Registry, Rival, Smoke};
use tidemill_server::{ServeEvent, Source};

use crate::support::{Folder, Running, TOKEN, model};

const ANNA: Deed<'static> = Deed { by: "anna", why: "" };

/// A project with a registry.
struct Project {
    folder: Folder,
    registry: Registry,
}

impl Project {
    fn new() -> Self {
        let folder = Folder::new();
        let registry = Registry::at(folder.path().join("state"));
        Self { folder, registry }
    }

    fn serve(&self) -> Running {
        Running::start(Source::Project(self.registry.state().to_owned()))
    }

    /// Registers a model that multiplies by this factor, and promotes it.
    fn register(&self, bytes: &[u8]) -> u64 {
        let digest = Digest::of(bytes);
        let about = NewVersion {
            model: Artifact { form: Form::File, digest, size: bytes.len() as u64, files: 1 },
            metrics: json!({}),
            report: None,
            rival: Rival::Unknown,
            by: "anna".to_owned(),
            run: "r".to_owned(),
            pipeline: "p".to_owned(),
            commit: None,
            key: None,
            description: None,
            tags: Default::default(),
        };
        let file = self.folder.write("model.onnx", bytes);
        let version = self.registry.register(&name(), &about, &file).unwrap().version.version;
        self.registry.alias_set(&name(), &champion(), version, ANNA).unwrap();
        version
    }

    fn deploy(&self, endpoint: &str, version: u64) {
        let digest = self.registry.version(&name(), version).unwrap().model.digest;
        let desired = Desired {
            endpoint: EndpointName::new(endpoint).unwrap(),
            model: name(),
            version,
            digest,
            mode: "single".to_owned(),
            run: "r".to_owned(),
            by: "anna".to_owned(),
            why: String::new(),
            at: jiff::Timestamp::now(),
            smoke: Smoke { rows: 1, max_difference: 0.0 },
            rollback: false,
        };
        self.registry.deploy(&desired).unwrap();
    }
}

fn name() -> ModelName {
    ModelName::new("times").unwrap()
}

fn champion() -> AliasName {
    AliasName::new("champion").unwrap()
}

fn request() -> serde_json::Value {
    json!({ "inputs": [
        { "name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1] },
        { "name": "label", "shape": [1, 1], "datatype": "BYTES", "data": ["a"] },
    ]})
}

#[test]
fn a_new_deployment_drops_no_request() {
    let project = Project::new();
    for factor in [1.0, 2.0] {
        project.register(&model(factor));
    }
    project.deploy("live", 1);
    let server = project.serve();
    let stop = AtomicBool::new(false);
    let seen: Vec<BTreeSet<String>> = std::thread::scope(|scope| {
        let ask = || {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = server.infer("live", &request());
                assert_eq!(answer.status, 200);
                let answer = answer.json();
                let version = answer["model_version"].as_str().unwrap();
                // The version and the answer belong together.
                assert_eq!(answer["outputs"][0]["data"][0].as_f64().unwrap().to_string(), version);
                seen.insert(version.to_owned());
            }
            seen
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for round in 0..10 {
            let (version, text) = if round % 2 == 0 { (2, "2") } else { (1, "1") };
            project.deploy("live", version);
            while server.get("/v2/models/live").json()["versions"][0] != text {
                std::thread::yield_now();
            }
        }
        project.deploy("live", 2);
        while server.get("/v2/models/live").json()["versions"][0] != "2" {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let seen: BTreeSet<String> = seen.into_iter().flatten().collect();
    assert_eq!(seen, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
    assert_eq!(server.infer("live", &request()).json()["model_version"], "2");
}

#[test]
fn a_server_waits_for_its_first_deployment_and_follows_a_rollback() {
    let project = Project::new();
    let server = project.serve();
    let waiting = server.get("/v2/health/ready");
    assert_eq!((waiting.status, waiting.json()["ready"].as_bool()), (503, Some(false)));
    for factor in [1.0, 2.0] {
        let version = project.register(&model(factor));
        project.deploy("live", version);
        server.events.wait_for_version("live", version);
    }
    assert_eq!(server.get("/v2/health/ready").status, 200);
    let first = server.infer("live", &request()).json();
    assert_eq!(first["model_version"], "2");
    project.registry.rollback(&name(), &champion(), ANNA).unwrap();
    server.events.wait(|event| matches!(event, ServeEvent::Serving { version: 1, before: Some(2), .. }));
    assert_eq!(server.infer("live", &request()).json()["model_version"], "1");
}

#[test]
fn a_model_that_cannot_be_served_leaves_the_old_one() {
    let project = Project::new();
    project.register(&model(1.0));
    project.register(b"no model");
    project.register(&model(3.0));
    project.deploy("live", 1);
    let server = project.serve();
    project.deploy("live", 2);
    server.events.wait(|event| {
        matches!(event, ServeEvent::Refused { reason, still: Some(1), .. } if reason.contains("no ONNX model"))
    });
    assert_eq!(server.infer("live", &request()).json()["model_version"], "1");
    // A file that was tampered with is not served either.
    let digest = project.registry.version(&name(), 3).unwrap().model.digest;
    let file = project.registry.model_file(&name(), &digest);
    std::fs::write(&file, model(4.0)).unwrap();
    project.deploy("live", 3);
    server.events.wait(|event| {
        matches!(event, ServeEvent::Refused { reason, still: Some(1), .. } if reason.contains("was changed"))
    });
    assert_eq!(server.infer("live", &request()).json()["model_version"], "1");
    assert_eq!(server.get("/v2/health/ready").status, 200);
    // An endpoint that never had a good model makes the server not ready.
    project.deploy("other", 2);
    server.events.wait(|event| matches!(event, ServeEvent::Refused { still: None, .. }));
    assert_eq!(server.get("/v2/health/ready").status, 503);
    std::fs::remove_dir_all(project.registry.endpoints_folder().join("other")).unwrap();
    server.events.wait(|event| matches!(event, ServeEvent::Withdrawn { .. }));
    assert_eq!(server.get("/v2/health/ready").status, 200);
}

#[test]
fn a_request_that_has_begun_is_answered_after_the_order_to_stop() {
    let project = Project::new();
    project.register(&model(1.0));
    project.deploy("live", 1);
    let mut server = project.serve();
    let body = request().to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v2/models/live/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server asks for the body: the request has begun.
    let mut begun = [0u8; 25];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.stop();
    server.events.wait(|event| *event == ServeEvent::Stopping);
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.join();
    assert!(TcpStream::connect(server.address).is_err());
}
