//! `tidemill serve` answers predictions, follows what is deployed without dropping a request, and wants its token.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::diabetes::{A_LITTLE_WORSE, project};
use crate::support::{Project, Started, ask, signal, until};

struct Server {
    started: Started,
    address: String,
    token: String,
}

impl Server {
    fn start(project: &Project) -> Self {
        let ready = project.outside("ready");
        let mut started = project.start(&["serve", "--port", "0", "--ready-file", ready.to_str().unwrap()]);
        let text = started.until("the server is ready", || {
            fs::read_to_string(&ready).ok().filter(|text| !text.trim().is_empty())
        });
        let token = project.read(".tidemill/serve/token").trim().to_owned();
        Self { started, address: text.trim().to_owned(), token }
    }

    fn version(&self) -> String {
        infer(&self.address, &self.token).1["model_version"].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks for the prediction of one patient.
fn infer(address: &str, token: &str) -> (u16, Value) {
    let row = [
        ("age", 59.0),
        ("sex", 2.0),
        ("bmi", 32.1),
        ("bp", 101.0),
        ("total_cholesterol", 157.0),
        ("ldl", 93.2),
        ("hdl", 38.0),
        ("cholesterol_ratio", 4.0),
        ("log_triglycerides", 4.8598),
        ("glucose", 87.0),
    ];
    let input = |(name, value)| json!({ "name": name, "shape": [1, 1], "datatype": "FP64", "data": [value] });
    let body = json!({ "id": "one", "inputs": row.map(input) });
    let reply = ask(address, "/v2/models/diabetes/infer", Some(token), Some(&body.to_string()));
    (reply.status, reply.json())
}

#[test]
fn it_answers() {
    let project = project();
    project.run(&["diabetes"]).ok();
    let server = Server::start(&project);
    let (status, answer) = infer(&server.address, &server.token);
    assert_eq!(
        (status, &answer["id"], &answer["model_name"]),
        (200, &"one".into(), &"diabetes".into()),
        "{answer}"
    );
    let prediction = answer["outputs"][0]["data"][0].as_f64().unwrap();
    assert!((25.0..346.0).contains(&prediction), "{prediction} is no progression");
    let health = ask(&server.address, "/v2/health/ready", None, None);
    assert_eq!(health.status, 200, "health needs no token");
    for token in [None, Some("wrong")] {
        assert_eq!(ask(&server.address, "/v2/models/diabetes", token, None).status, 401);
    }
    let unknown = ask(&server.address, "/v2/models/nothing", Some(&server.token), None);
    assert!((400..500).contains(&unknown.status) && unknown.json()["error"].is_string(), "{unknown:?}");
    signal(server.started.pid(), Signal::TERM);
    project.answer_of(server.started);
}

#[test]
fn it_follows_what_is_deployed_without_dropping_a_request() {
    let project = project();
    project.run(&[&["diabetes"], &A_LITTLE_WORSE[..]].concat()).ok();
    let server = Server::start(&project);
    assert_eq!(server.version(), "1");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                let (status, answer) = infer(&server.address, &server.token);
                assert_eq!(status, 200, "{answer}");
                asked += 1;
            }
            asked
        });
        let changing = scope.spawn(|| {
            project.run(&["diabetes"]).ok();
            until("version 2 is served", || (server.version() == "2").then_some(()));
            project.tidemill(&["models", "rollback", "diabetes"]).ok();
            until("version 1 is served again", || (server.version() == "1").then_some(()));
        });
        let changed = changing.join();
        stop.store(true, Ordering::Relaxed);
        let asked: usize = asking.join().unwrap();
        changed.unwrap();
        assert!(asked > 0);
    });
}

#[test]
fn a_deployed_model_is_served_from_the_registry_alone() {
    let project = project();
    project.run(&["diabetes"]).ok();
    fs::remove_dir_all(project.state().join("objects")).unwrap();
    let server = Server::start(&project);
    assert_eq!(infer(&server.address, &server.token).0, 200);
}

#[test]
fn a_daemon_serves_what_its_runs_deploy() {
    let project = project();
    let ready = project.outside("ready");
    let arguments = ["daemon", "--port", "0", "--serve", "--ready-file", ready.to_str().unwrap()];
    let mut started = project.start(&arguments);
    let address = started.until("it listens", || fs::read_to_string(&ready).ok());
    let token = |path: &str| project.read(path).trim().to_owned();
    let (api, models) = (token(".tidemill/daemon/token"), token(".tidemill/serve/token"));
    assert_eq!(infer(&address, &models).0, 404, "nothing is deployed");
    let runs = "/api/v1/projects/project/runs";
    let asked = ask(&address, runs, Some(&api), Some("{\"pipeline\": \"diabetes\"}"));
    assert_eq!(asked.status, 202, "{asked:?}");
    let answer = started.until("the model answers", || {
        let (status, answer) = infer(&address, &models);
        (status == 200).then_some(answer)
    });
    assert_eq!(answer["model_version"], "1", "{answer}");
    // Who may ask a model may not ask the daemon, nor the other way round.
    assert_eq!(ask(&address, runs, Some(&models), None).status, 401);
    assert_eq!(infer(&address, &api).0, 401);
    started.until("its run has ended", || {
        let told = ask(&address, runs, Some(&api), None).json();
        (told["runs"][0]["outcome"] == "succeeded").then_some(())
    });
    signal(started.pid(), Signal::TERM);
    project.answer_of(started).ok();
}

/// The evaluation's predictions, asked for again by a client that others wrote: `tritonclient` in binary and in JSON form.
#[test]
fn a_client_of_the_protocol_gets_the_predictions_of_the_evaluation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // `tests/setup` installs the client where it is missing, and prints the path of its Python.
    let setup = Command::new(root.join("tests/setup")).output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    let python = String::from_utf8(setup.stdout).unwrap();
    let project = project();
    project.run(&["diabetes"]).ok();
    let predictions = project.outside("predictions.parquet");
    project
        .tidemill(&["get", "evaluate.predictions", "diabetes", "--output", predictions.to_str().unwrap()])
        .ok();
    let server = Server::start(&project);
    let answer = Command::new(python.trim())
        .arg(root.join("server/tests/triton_client.py"))
        .args(["--url", &server.address, "--model", "diabetes", "--tolerance", "1e-9", "--token-file"])
        .arg(project.path(".tidemill/serve/token"))
        .arg("--predictions")
        .arg(&predictions)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&answer.stdout);
    assert!(answer.status.success(), "{said}{}", String::from_utf8_lossy(&answer.stderr));
    let compared: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(compared["rows"], 88, "{compared}");
    signal(server.started.pid(), Signal::TERM);
    project.answer_of(server.started);
}
