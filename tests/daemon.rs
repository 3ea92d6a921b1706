//! The daemon: what was acknowledged leads to one run, whoever asks must have a token, and runs outlive the daemon.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Project, Started, http};

const PIPELINE: &str = r#"
[pipeline]
name = "months"

[params]
month = 0

[steps.count]
run = "COUNT(count); until [ -e OUTSIDE/go ]; do sleep 0.05; done; echo ${params.month} > ${outputs.month}"
outputs.month = { path = "month.txt", publish = "month.txt" }

[[triggers]]
name = "arrived"
event = { type = "com.example.*", filter = "event.data.month > 0" }
params = { month = "${event.data.month}" }

[[triggers]]
name = "pushed"
event = "com.github.push"
webhook = { sender = "github", secret = "HOOK_SECRET" }
"#;

/// A daemon and how to ask it.
struct Daemon {
    started: Started,
    address: String,
    token: String,
}

impl Daemon {
    fn start(project: &Project, more: &[&str]) -> Self {
        fs::remove_file(project.path("ready")).ok();
        let arguments = [&["daemon", "--port", "0", "--ready-file", "ready"], more].concat();
        let mut started = project.start(&arguments);
        let address = started.until("it listens", || fs::read_to_string(project.path("ready")).ok());
        let token = fs::read_to_string(project.state().join("daemon/token")).unwrap().trim().to_owned();
        Self { started, address, token }
    }

    fn get(&self, path: &str) -> Value {
        let reply = http::ask(&self.address, &format!("/api/v1/{path}"), Some(&self.token), None);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }

    fn post(&self, path: &str, body: &Value) -> http::Reply {
        http::ask(&self.address, &format!("/api/v1/{path}"), Some(&self.token), Some(&body.to_string()))
    }

    /// Sends an event, as another process would.
    fn event(&self, id: &str, month: i64) -> Value {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/warehouse", "type": "com.example.month", "data": { "month": month },
        });
        let kind = [("content-type", "application/cloudevents+json")];
        let path = "/api/v1/projects/project/events";
        let reply = http::ask_with(&self.address, path, Some(&self.token), Some(&event.to_string()), &kind);
        assert_eq!(reply.status, 202, "{}", reply.body);
        reply.json()["received"].clone()
    }

    /// Waits until nothing waits and nothing runs.
    fn until_quiet(&mut self) {
        let (address, token) = (self.address.clone(), self.token.clone());
        self.started.until("nothing waits", || {
            let queue = http::ask(&address, "/api/v1/projects/project/queue", Some(&token), None).json();
            let is_empty = |name: &str| queue[name].as_array().is_some_and(Vec::is_empty);
            (is_empty("waiting") && is_empty("running")).then_some(())
        });
    }

    fn end(self, project: &Project, signal: Signal) {
        self.started.signal_group(signal);
        if signal == Signal::KILL {
            project.answer_of(self.started);
        } else {
            project.answer_of(self.started).ok();
        }
    }
}

fn project() -> Project {
    let mut project = Project::with(PIPELINE);
    project.variable("HOOK_SECRET", "a secret of the webhook");
    project
}

/// How the runs ended, the oldest first: cause, trigger, outcome.
fn runs(project: &Project) -> Vec<String> {
    let told = project.tidemill(&["runs", "--json"]).ok().json();
    let ids: Vec<String> = told["runs"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|run| run["run"].as_str().unwrap().to_owned())
        .collect();
    let line = |id: &String| {
        let run = project.tidemill(&["show", id, "--json"]).ok().json();
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text(&run["cause"]), text(&run["triggered"]["trigger"]), text(&run["outcome"]))
    };
    ids.iter().map(line).collect()
}

#[test]
fn an_event_leads_to_one_run_however_often_it_is_told_and_whatever_is_killed() {
    let project = project();
    let daemon = Daemon::start(&project, &[]);
    let received = daemon.event("1", 3);
    assert_eq!(received[0]["known"], false, "{received}");
    assert_eq!(daemon.event("1", 3)[0]["known"], true);
    assert_eq!(daemon.event("low", -1), json!([]), "nobody waits for this one");
    // The run waits in its step; the daemon is killed, and told again what it has acknowledged.
    daemon.end(&project, Signal::KILL);
    let mut daemon = Daemon::start(&project, &[]);
    assert_eq!(daemon.event("1", 3)[0]["known"], true);
    daemon.event("2", 4);
    // Stopped in order, it leaves the run to itself, and the next one finds it.
    daemon.end(&project, Signal::TERM);
    daemon = Daemon::start(&project, &[]);
    let queue = daemon.get("projects/project/queue");
    assert_eq!(queue["running"].as_array().map(Vec::len), Some(1), "{queue}");
    project.outside_file("go", "");
    daemon.until_quiet();
    assert_eq!(runs(&project), ["event arrived succeeded", "event arrived succeeded"]);
    assert_eq!(project.counts(), "count 2");
    assert_eq!(project.read("month.txt"), "4\n");
    daemon.end(&project, Signal::TERM);
}

#[test]
fn runs_are_asked_for_followed_and_cancelled_over_http() {
    let project = project();
    let mut daemon = Daemon::start(&project, &[]);
    let wrong = daemon.post("projects/project/runs", &json!({ "pipeline": "moths" }));
    assert_eq!(
        (wrong.status, wrong.json()["detail"].as_str()),
        (404, Some("the project has no pipeline \"moths\""))
    );
    let wrong = daemon.post("projects/project/runs", &json!({ "pipeline": "months", "param": {} }));
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    let asked =
        daemon.post("projects/project/runs", &json!({ "pipeline": "months", "params": { "month": 5 } }));
    assert_eq!(asked.status, 202, "{}", asked.body);
    let arrival = format!("projects/project/arrivals/{}", asked.json()["arrival"].as_str().unwrap());
    let (address, token) = (daemon.address.clone(), daemon.token.clone());
    let run = daemon.started.until("the run begins", || {
        let state = http::ask(&address, &format!("/api/v1/{arrival}"), Some(&token), None).json();
        state["run"].as_str().map(str::to_owned)
    });
    daemon.started.until("its step runs", || {
        let told =
            http::ask(&address, &format!("/api/v1/projects/project/runs/{run}"), Some(&token), None).json();
        (told["steps"][0]["state"] == "running").then_some(())
    });
    let cancelled = daemon.post(&format!("projects/project/runs/{run}/cancel"), &json!({}));
    assert_eq!((cancelled.status, &cancelled.json()["was_alive"]), (202, &json!(true)));
    daemon.until_quiet();
    assert_eq!(daemon.get(&arrival)["settled"]["outcome"], "interrupted");
    // A value that no run could take is refused; what an event brings is told with the run that could not begin.
    for (params, told) in [
        (json!({ "month": "May" }), "the parameter `month` must be a whole number"),
        (json!({ "mont": 5 }), "there is no parameter `mont`; did you mean `month`?"),
    ] {
        let wrong = daemon.post("projects/project/runs", &json!({ "pipeline": "months", "params": params }));
        assert_eq!((wrong.status, wrong.json()["detail"].as_str()), (422, Some(told)));
    }
    let fired = daemon.post(
        "projects/project/pipelines/months/triggers/arrived/fire",
        &json!({ "data": { "month": "May" } }),
    );
    let arrival = format!("projects/project/arrivals/{}", fired.json()["arrival"].as_str().unwrap());
    daemon.until_quiet();
    let settled = daemon.get(&arrival);
    assert_eq!(settled["settled"]["fate"], "not-begun", "{settled}");
    assert!(settled.to_string().contains("the parameter `month` must be a whole number"), "{settled}");
    // While its project file has a mistake nothing of the project is told, and nothing is lost.
    let triggers =
        || http::ask(&daemon.address, "/api/v1/projects/project/triggers", Some(&daemon.token), None);
    project.file("tidemill.toml", "[project");
    let broken = triggers();
    assert_eq!(
        (broken.status, broken.body.contains("cannot be read as it is now")),
        (503, true),
        "{broken:?}"
    );
    project.file("tidemill.toml", "");
    assert_eq!(triggers().status, 200);
    // The events of the run, its log and its outputs.
    project.outside_file("go", "");
    let asked =
        daemon.post("projects/project/runs", &json!({ "pipeline": "months", "params": { "month": 6 } }));
    assert_eq!(asked.status, 202);
    daemon.until_quiet();
    let last = daemon.get("projects/project/runs?limit=1")["runs"][0]["run"].as_str().unwrap().to_owned();
    let ask = |path: &str| {
        http::ask(
            &daemon.address,
            &format!("/api/v1/projects/project/runs/{last}/{path}"),
            Some(&daemon.token),
            None,
        )
    };
    assert!(ask("events").body.contains("\"event\":\"run-finished\""));
    assert_eq!(ask("artifacts/count/month").body, "6\n");
    assert_eq!(ask("artifacts/count/nothing").status, 404);
    assert_eq!(ask("steps/count/log").status, 200);
    assert_eq!(ask("steps/nothing/log").status, 404);
    daemon.end(&project, Signal::INT);
}

#[test]
fn who_has_no_token_is_told_nothing() {
    let project = project();
    let daemon = Daemon::start(&project, &[]);
    let add = |name: &str, more: &[&str]| {
        let arguments = [&["daemon", "token", "add", name], more].concat();
        project.tidemill(&arguments).ok().stdout.trim().to_owned()
    };
    let reads = add("reads", &["--scope", "read"]);
    let other = add("other", &["--scope", "read", "--scope", "run", "--project", "another"]);
    let ask =
        |path: &str, token: Option<&str>| http::ask(&daemon.address, &format!("/api/v1/{path}"), token, None);
    let stranger = ask("projects", None);
    assert_eq!(stranger.status, 401);
    for path in ["projects/project/runs", "projects/none/runs", "nowhere", "openapi.json"] {
        for token in [None, Some("tidemill_00"), Some(&reads[1..])] {
            let reply = ask(path, token);
            assert_eq!((reply.status, &reply.body), (401, &stranger.body), "{path}");
        }
    }
    assert_eq!(ask("projects", Some(&reads)).json(), json!({ "projects": ["project"] }));
    assert_eq!(ask("projects", Some(&other)).json(), json!({ "projects": [] }));
    assert_eq!(ask("projects/project/runs", Some(&other)).status, 404);
    let body = json!({ "pipeline": "months" }).to_string();
    let start =
        |token| http::ask(&daemon.address, "/api/v1/projects/project/runs", Some(token), Some(&body)).status;
    assert_eq!(start(&reads), 403);
    // A token that is removed is known no longer, without a restart.
    project.tidemill(&["daemon", "token", "remove", "reads"]).ok();
    assert_eq!(ask("projects", Some(&reads)).status, 401);
    assert_eq!(http::ask(&daemon.address, "/api/v1/health/live", None, None).json(), json!({ "live": true }));
    let listed = project.tidemill(&["daemon", "token", "list"]).ok().stdout;
    assert!(listed.contains("first") && !listed.contains("tidemill_"), "{listed}");
    daemon.end(&project, Signal::TERM);
}

#[test]
fn a_webhook_is_taken_from_who_signs_it() {
    let project = project();
    project.outside_file("go", "");
    let mut daemon = Daemon::start(&project, &[]);
    let body = json!({ "ref": "refs/heads/main", "repository": { "html_url": "https://github.com/a/b" } })
        .to_string();
    let send = |signature: &str, delivery: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", signature),
        ];
        let path = "/api/v1/projects/project/pipelines/months/triggers/pushed/webhook";
        http::ask_with(&daemon.address, path, None, Some(&body), &headers)
    };
    // HMAC-SHA256 of the body under the secret, by another program.
    let signed = std::process::Command::new("python3")
        .args(["-c", "import hmac, sys; print(hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), 'sha256').hexdigest())"])
        .args(["a secret of the webhook", &body])
        .output()
        .unwrap();
    let signature = format!("sha256={}", String::from_utf8(signed.stdout).unwrap().trim());
    assert_eq!(send(&signature.replace("sha256=", "sha256=0"), "d1").status, 401);
    assert_eq!(send("", "d1").status, 401);
    let taken = send(&signature, "d1");
    assert_eq!((taken.status, &taken.json()["received"][0]["known"]), (202, &json!(false)));
    // The same message under another id is the same message: only its body is signed.
    assert_eq!(send(&signature, "d2").json()["received"][0]["known"], true);
    let path = "/api/v1/projects/project/pipelines/months/triggers/none/webhook";
    assert_eq!(http::ask(&daemon.address, path, None, Some(&body)).status, 401);
    daemon.until_quiet();
    assert_eq!(runs(&project), ["event pushed succeeded"]);
    daemon.end(&project, Signal::TERM);
}
