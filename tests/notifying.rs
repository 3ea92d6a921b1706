//! People and programs are told how runs ended: by mail, by webhooks, in a channel, as events; once, later if it must be, and with nothing
//! secret kept anywhere.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use crate::diabetes;
use crate::support::{Project, Receiver, Script, children_of, signal, with_narrow_columns};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A pipeline whose one step fails unless its input is good, and that tells so.
fn pipeline(notify: &str) -> Project {
    let project = Project::with(&format!(
        r#"
[steps.train]
run = "echo the table is bad; grep good ${{inputs.table}} > ${{outputs.model}}"
inputs.table = "table.txt"
outputs.model = "model"

[[notify]]
name = "ops"
{notify}
"#
    ));
    project.file("table.txt", "bad\n");
    project
}

fn mail(receiver: &Receiver, rest: &str) -> String {
    format!(
        "mail = {{ host = \"localhost\", port = {}, encryption = \"none\", from = \"mill@example.org\", to = [\"ann@example.org\"] }}\n{rest}",
        receiver.port
    )
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let mut headers = mail["headers"].as_array().unwrap().iter();
    headers.find(|header| header[0] == name).and_then(|header| header[1].as_str()).unwrap_or_default()
}

/// A port that nobody listens at, most probably also in a moment.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The files of the state that contain a text.
fn leaks(project: &Project, secret: &str) -> Vec<PathBuf> {
    let contains = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    };
    project.state_files("").into_iter().filter(contains).collect()
}

fn entries(project: &Project, kind: &str) -> Vec<Value> {
    project.tidemill(&["outbox", "list", "--json"]).ok().json()[kind].as_array().unwrap().clone()
}

#[test]
fn a_failure_and_a_recovery_come_by_mail_and_nothing_else() {
    let mut server = Receiver::start(Script::Mail, &["plain"], &[]);
    let project = pipeline(&mail(&server, "causes = [\"command\"]"));
    project.tidemill(&["run"]).exits(1).says_nothing_of("note:");
    let told = server.line();
    assert_eq!(header(&told, "Subject"), "story: the step train failed");
    let shown = project.tidemill(&["show", "last", "--json"]).json();
    let text = told["text"].as_str().unwrap();
    for words in
        ["train: exit code 1", "| the table is bad", "cause:", "project:", shown["run"].as_str().unwrap()]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    project.file("table.txt", "good\n");
    project.tidemill(&["run"]).ok();
    assert_eq!(header(&server.line(), "Subject"), "story: it succeeded again");
    // All is as it was: there is nothing to tell.
    project.tidemill(&["run"]).ok();
    project.tidemill(&["outbox", "list"]).ok().says("all has been told");
    assert_eq!(server.rest(), Vec::<Value>::new());
}

#[test]
fn a_gate_that_says_no_is_told_with_its_numbers() {
    let mut server = Receiver::start(Script::Mail, &["plain"], &[]);
    let project = Project::with(&format!(
        r#"
[steps.evaluate]
run = "echo '{{\"rmse\": 70}}' > ${{outputs.metrics}}"
outputs.metrics = {{ path = "metrics.json", kind = "metrics" }}
gate = "rmse < 60"

[steps.deploy]
run = "echo deployed > ${{outputs.out}}"
needs = ["evaluate"]
outputs.out = "out"

[[notify]]
name = "ops"
causes = ["command", "ci"]
subject = "{{{{ pipeline }}}} {{{{ outcome }}}}: rmse is {{{{ metrics.evaluate.rmse }}}}"
{}
"#,
        mail(&server, "")
    ));
    project.tidemill(&["run"]).exits(3);
    let told = server.line();
    assert_eq!(header(&told, "Subject"), "story gate-closed: rmse is 70.0");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("the gate of evaluate said no") && text.contains("rmse is 70"), "{text}");
    assert!(text.contains("`rmse < 60` does not hold"), "{text}");
}

#[test]
fn a_webhook_is_signed_and_a_channel_gets_what_it_shows() {
    let mut receiver = Receiver::start(Script::Webhook, &[], &["--secret", SECRET, "--tls"]);
    let url = |path: &str| format!("https://localhost:{}{path}", receiver.port);
    let ca = receiver.ca();
    let mut project = pipeline(&format!(
        "causes = [\"command\"]\nwebhook = {{ url = \"HOOK_URL\", ca = {ca:?}, secret = {{ file = \"secret\" }}, headers = {{ Authorization = {{ command = \"echo Bearer $TOKEN\" }} }} }}\n\
         [[notify]]\nname = \"channel\"\ncauses = [\"command\"]\nslack = {{ url = {{ env = \"SLACK_URL\" }}, ca = {ca:?} }}",
    ));
    project.file("secret", format!("{SECRET}\n"));
    project.variable("TOKEN", "hunter2-token");
    project.variable("HOOK_URL", &url("/hook/path-that-lets-in"));
    project.variable("SLACK_URL", &url("/services/T00/B00/very-secret"));
    let answer = project.tidemill(&["run", "-vvv"]).exits(1);
    let (one, two) = (receiver.line(), receiver.line());
    let is_hook = one["path"].as_str().unwrap().starts_with("/hook");
    let (hook, slack) = if is_hook { (one, two) } else { (two, one) };
    assert_eq!(hook["verified"], true, "{hook}");
    assert_eq!(hook["headers"]["authorization"], "Bearer hunter2-token");
    let body: Value = serde_json::from_str(hook["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["type"], "notification.failure");
    assert_eq!(body["data"]["subject"], "story: the step train failed");
    let body: Value = serde_json::from_str(slack["body"].as_str().unwrap()).unwrap();
    assert!(body["text"].as_str().unwrap().starts_with("❌ story: the step train failed\n"), "{body}");
    assert_eq!(body["blocks"][0]["type"], "header");
    for secret in [SECRET, "hunter2-token", "path-that-lets-in", "very-secret"] {
        assert_eq!(leaks(&project, secret), Vec::<PathBuf>::new(), "{secret}");
        answer.clone().says_nothing_of(secret);
    }
}

#[test]
fn programs_are_told_as_events_that_the_official_library_reads() {
    let mut receiver = Receiver::start(Script::Events, &[], &[]);
    let url = format!("http://localhost:{}", receiver.port);
    let mut project = Project::with(
        "[steps.a]\nrun = \"echo a > ${outputs.out}\"\noutputs.out = \"out\"\n\
         [steps.b]\nrun = \"exit 3\"\nneeds = [\"a\"]\n",
    );
    project.variable("TOKEN", "hunter2-token");
    project.file(
        "tidemill.toml",
        format!("[[sinks]]\nname = \"all\"\nurl = \"{url}/all\"\ntoken = \"TOKEN\"\n"),
    );
    project.tidemill(&["run"]).exits(1);
    let told: Vec<Value> = (0..4).map(|_| receiver.line()).collect();
    let kinds: Vec<&str> = told.iter().map(|line| line["event"]["type"].as_str().unwrap()).collect();
    let expected =
        ["tidemill.run.started", "tidemill.step.succeeded", "tidemill.step.failed", "tidemill.run.failed"];
    assert_eq!(kinds, expected);
    let run = project.tidemill(&["show", "last", "--json"]).json()["run"].as_str().unwrap().to_owned();
    for (number, line) in told.iter().enumerate() {
        assert_eq!(line["event"]["id"], format!("{run}/{number}"));
        assert_eq!(line["event"]["source"], "/projects/project/pipelines/story");
        assert_eq!(line["headers"]["authorization"], "Bearer hunter2-token");
    }
    assert_eq!(told[2]["event"]["data"]["why"], "exit code 3");
    assert_eq!(told[3]["event"]["data"]["outcome"], "step-failed");
    // Headers and a body, and only what is wanted; what comes from the cache is no end of a step.
    project.file(
        "tidemill.toml",
        format!("[[sinks]]\nname = \"ends\"\nurl = \"{url}/ends\"\nmode = \"binary\"\ntypes = [\"*.run.succeeded\", \"*.step.*\"]\n"),
    );
    project.edit("pipeline.toml", "exit 3", "true");
    project.tidemill(&["run"]).ok();
    let told = [receiver.line(), receiver.line()];
    assert_eq!(told[0]["event"]["data"]["step"], "b");
    assert_eq!(told[1]["event"]["type"], "tidemill.run.succeeded");
    assert!(told[1]["headers"]["ce-id"].as_str().is_some(), "{}", told[1]);
    assert_eq!(receiver.rest(), Vec::<Value>::new());
    assert_eq!(leaks(&project, "hunter2-token"), Vec::<PathBuf>::new());
}

#[test]
fn programs_are_told_of_versions_aliases_and_deployments() {
    let mut receiver = Receiver::start(Script::Events, &[], &[]);
    let project = diabetes::project();
    let sink = format!(
        "[[sinks]]\nname = \"bus\"\nurl = \"http://localhost:{}\"\ntypes = [\"tidemill.model.*\", \"tidemill.deployment.*\"]\n",
        receiver.port
    );
    project.file("tidemill.toml", sink);
    let run = project.run(&["diabetes"]).ok();
    let told: Vec<Value> = (0..3).map(|_| receiver.line()["event"].clone()).collect();
    let said: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|event| ["type", "source", "subject"].map(|name| event[name].as_str().unwrap()).into())
        .collect();
    let model = "/projects/project/models/diabetes";
    let expected = [
        ("tidemill.model.registered", model, "diabetes"),
        ("tidemill.model.moved", model, "diabetes@champion"),
        ("tidemill.deployment.changed", "/projects/project/endpoints/diabetes", "diabetes"),
    ];
    assert_eq!(said, expected, "{run:?}");
    assert!(told[0]["data"]["metrics"]["rmse"].as_f64().is_some(), "{}", told[0]);
    for event in &told {
        assert_eq!(event["data"]["version"], 1, "{event}");
    }
    // What a person does is told by the next run, tick or daemon.
    project.tidemill(&["models", "alias", "diabetes", "trusted", "1"]).ok();
    project.tidemill(&["tick"]).ok();
    let moved = receiver.line();
    assert_eq!(moved["event"]["id"], "diabetes@trusted/1");
    assert_eq!(receiver.rest(), Vec::<Value>::new());
}

#[test]
fn programs_are_told_of_runs_that_a_watch_makes_and_people_are_not() {
    let mut receiver = Receiver::start(Script::Events, &[], &[]);
    let server = Receiver::start(Script::Mail, &["plain"], &[]);
    let project = pipeline(&mail(&server, ""));
    let sink = format!(
        "[[sinks]]\nname = \"bus\"\nurl = \"http://localhost:{}\"\ntypes = [\"tidemill.run.*\"]\n",
        receiver.port
    );
    project.file("tidemill.toml", sink);
    let watch = project.start(&["watch"]);
    let mut next = || receiver.line()["event"]["type"].as_str().unwrap().to_owned();
    assert_eq!([next(), next()], ["tidemill.run.started", "tidemill.run.failed"]);
    project.file("table.txt", "good\n");
    assert_eq!([next(), next()], ["tidemill.run.started", "tidemill.run.succeeded"]);
    watch.signal_group(Signal::INT);
    project.answer_of(watch);
    assert_eq!((receiver.rest(), server.rest()), (vec![], vec![]));
}

#[test]
fn who_is_not_there_is_told_later() {
    let port = free_port();
    let mut project = pipeline("causes = [\"command\"]\nwebhook = { url = \"HOOK_URL\" }");
    project.variable("HOOK_URL", &format!("http://localhost:{port}/hook/path-that-lets-in"));
    let answer = project.tidemill(&["run"]).exits(1);
    let note = "note: 1 message is told later by the daemon or `tidemill tick`: pipeline.toml#ops: ";
    answer
        .says(note)
        .says(&format!("the webhook at localhost:{port}: no connection"))
        .says_nothing_of("path-that");
    let waiting = entries(&project, "waiting");
    assert_eq!((waiting.len(), &waiting[0]["attempts"]), (1, &Value::from(1)));
    project.tidemill(&["outbox", "list"]).ok().says("story: the step train failed").says("pipeline.toml#ops");
    let mut receiver = Receiver::start(Script::Webhook, &[], &["--port", &port.to_string()]);
    // Its time has come in a moment.
    crate::support::until("a tick tells it", || {
        project.tidemill(&["tick"]).ok();
        entries(&project, "waiting").is_empty().then_some(())
    });
    let told = receiver.line();
    assert_eq!(told["headers"]["webhook-id"], waiting[0]["what"]["message"]["id"]);
    assert_eq!(receiver.rest(), Vec::<Value>::new());
}

#[test]
fn what_is_refused_is_dead_until_somebody_has_it_tried_again() {
    let mut receiver = Receiver::start(Script::Webhook, &[], &[]);
    let project = pipeline("causes = [\"command\"]\nwebhook = { url = { file = \"address\" } }");
    project.file("address", format!("http://127.0.0.1:{}/status/404", receiver.port));
    project.tidemill(&["run"]).exits(1).says("pipeline.toml#ops cannot be told").says("it answered 404");
    receiver.line();
    let dead = entries(&project, "dead");
    assert_eq!((dead.len(), entries(&project, "waiting").len()), (1, 0));
    let id = dead[0]["id"].as_str().unwrap();
    let shown = |arguments: &[&str]| {
        let answer = project.tidemill(&[&["outbox"], arguments].concat());
        with_narrow_columns(&answer.snapshot().replace(id, "[id]").replace(&id[..8], "[id]"))
    };
    insta::assert_snapshot!(shown(&["list"]), @r#"
    $ tidemill outbox list
    ID  WRITTEN  TO  WHAT  TRIES  NEXT  WHY NOT YET
    [id]  [time]  pipeline.toml#ops  story: the step train failed  1  never  cannot deliver to the webhook at 127.0.0.1:[port]: it answered 404 Not Found: said [31m so here
    -- exit code 0
    "#);
    project.tidemill(&["tick"]).ok();
    project.file("address", format!("http://127.0.0.1:{}/ok", receiver.port));
    insta::assert_snapshot!(shown(&["retry", &id[..8]]), @r#"
    $ tidemill outbox retry [id]
    1 entry is tried again by the daemon, or by the next `tidemill tick`
    -- exit code 0
    "#);
    project.tidemill(&["tick"]).ok().says("pipeline.toml#ops: told \"story: the step train failed\"");
    assert_eq!(receiver.line()["path"], "/ok");
    project.tidemill(&["outbox", "list"]).ok().says("all has been told");
    insta::assert_snapshot!(shown(&["drop", id]), @r#"
    $ tidemill outbox drop [id]
    -- stderr
    error: "[id]" means no entry of the outbox
    hint: `tidemill outbox list` shows them
    -- exit code 2
    "#);
    assert_eq!(receiver.rest(), Vec::<Value>::new());
}

#[test]
fn a_run_that_nobody_looks_at_is_told_also_if_it_cannot_begin() {
    let mut server = Receiver::start(Script::Mail, &["plain"], &[]);
    let mut project = pipeline(&mail(&server, ""));
    let text = project.read("pipeline.toml");
    let triggers = "[params]\nmonth = 1\n[[triggers]]\nname = \"arrived\"\nevent = \"com.example.*\"\nparams = { month = \"${event.data.month}\" }\n";
    project.file("pipeline.toml", text.replace("[steps.train]", &format!("{triggers}\n[steps.train]")));
    project.file("tidemill.toml", "");
    // Who types it sees it.
    project.tidemill(&["run"]).exits(1);
    project.tidemill(&["triggers", "fire", "arrived", "--data", "{\"month\": 7}", "--id", "a"]).ok();
    project.tidemill(&["tick"]).exits(1);
    let told = server.line();
    assert_eq!(header(&told, "Subject"), "story: the step train failed");
    assert!(told["text"].as_str().unwrap().contains("arrived"), "{told}");
    project.tidemill(&["triggers", "fire", "arrived", "--data", "{\"month\": \"x\"}", "--id", "b"]).ok();
    project.tidemill(&["tick"]).exits(2);
    let told = server.line();
    assert_eq!(header(&told, "Subject"), "story: no run could begin");
    assert!(told["text"].as_str().unwrap().contains("month"), "{told}");
    // The pipeline has a mistake: who is told is known all the same.
    project.edit("pipeline.toml", "inputs.table", "imputs.table");
    project.tidemill(&["run"]).exits(2);
    project.variable("CI", "1");
    project.tidemill(&["run"]).exits(2).says("did you mean");
    let told = server.line();
    assert_eq!(header(&told, "Subject"), "story: no run could begin");
    assert!(told["text"].as_str().unwrap().contains("mistakes"), "{told}");
    assert_eq!(server.rest(), Vec::<Value>::new());
}

#[test]
fn a_run_that_is_killed_before_it_has_told_of_itself_is_told_of() {
    // It takes a connection and says nothing, so that the run is still telling when it is killed.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut project = pipeline("webhook = { url = \"HOOK_URL\" }");
    project.variable("HOOK_URL", &format!("http://127.0.0.1:{port}/hook"));
    let text = project.read("pipeline.toml");
    let trigger = "[[triggers]]\nname = \"arrived\"\nevent = \"com.example.*\"\n";
    project.file("pipeline.toml", text.replace("[steps.train]", &format!("{trigger}\n[steps.train]")));
    project.file("tidemill.toml", "");
    project.tidemill(&["triggers", "fire", "arrived", "--id", "a"]).ok();
    let mut tick = project.start(&["tick"]);
    let noted = tick.until("it is written down", || entries(&project, "waiting").pop());
    // As if it had been killed a moment earlier.
    let id = noted["id"].as_str().unwrap();
    project.tidemill(&["outbox", "drop", id]).ok();
    for run in children_of(tick.pid()) {
        signal(run, Signal::KILL);
    }
    drop(silent);
    project.answer_of(tick).exits(1);
    let told = entries(&project, "waiting");
    assert_eq!((told.len(), &told[0]["id"]), (1, &noted["id"]));
    assert_eq!(told[0]["what"]["message"]["subject"], "story: the step train failed");
}

#[test]
fn a_daemon_tells_what_others_leave_when_its_time_has_come() {
    let port = free_port();
    let mut project = pipeline("causes = [\"command\"]\nwebhook = { url = \"HOOK_URL\" }");
    project.variable("HOOK_URL", &format!("http://localhost:{port}/hook"));
    project.file("tidemill.toml", "");
    let mut daemon = project.start(&["daemon", "--port", "0", "--ready-file", "ready"]);
    daemon.until("it listens", || project.path("ready").exists().then_some(()));
    project.tidemill(&["run"]).exits(1).says("told later by the daemon");
    let mut receiver = Receiver::start(Script::Webhook, &[], &["--port", &port.to_string()]);
    let told = receiver.line();
    assert_eq!(told["path"], "/hook");
    daemon.until("nothing waits", || entries(&project, "waiting").is_empty().then_some(()));
    daemon.signal_group(Signal::TERM);
    project.answer_of(daemon).ok().says("told \"story: the step train failed\"");
    assert_eq!(receiver.rest(), Vec::<Value>::new());
}
