//! Both directions against the official SDK of `CloudEvents` for Python and the reference library of Standard Webhooks.
//! `tests/setup events` makes their environment where it is missing.

#![expect(clippy::unwrap_used, reason = "clippy takes only test functions for tests, not what they call")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use tidemill_triggers::event::{CloudEvent, Data, ExtensionValue, Limits, received};
use tidemill_triggers::webhook::{Hook, Secret, Sender, WebhookError, sign_standard};

fn client(words: &[&str]) -> Command {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let setup = Command::new(here.join("../../tests/setup")).arg("events").output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    let mut command = Command::new(String::from_utf8(setup.stdout).unwrap().trim());
    command
        .arg(here.join("tests/cloudevents_client.py"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// One request: its headers and its body. It is answered with 204.
fn request(listener: &TcpListener) -> (HeaderMap, Vec<u8>) {
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let (mut headers, mut line) = (HeaderMap::new(), String::new());
    stream.read_line(&mut line).unwrap();
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    (headers, body)
}

#[test]
fn what_the_sdk_sends_is_read() {
    for mode in ["binary", "structured"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/events?x=1", listener.local_addr().unwrap());
        let mut child = client(&["send", &url, mode, "5"]).spawn().unwrap();
        for number in 0..5 {
            let (headers, body) = request(&listener);
            let event = received(&headers, &body, &Limits::default()).unwrap().remove(0);
            assert_eq!(
                event.identity(),
                ("https://example.com/sdk?x=%20y", format!("{number} of 5 € 😀").as_str())
            );
            assert_eq!(
                (event.kind(), event.subject()),
                ("com.example.sdk", Some(r#"a "quoted" \ subject, 100%25"#))
            );
            assert_eq!(event.time().unwrap().to_string(), "2026-01-02T03:04:05.6789Z");
            assert_eq!(event.extensions()["traceparent"].to_string().len(), 55);
            let expected = match number {
                0 => Some(Data::Json(json!({"number": 0, "text": "Größe \"x\" 100%"}))),
                1 => Some(Data::Json(json!({"list": [1, 2.5, null, true]}))),
                2 => Some(Data::Text("zwei Zeilen\nmit €".to_owned())),
                3 => Some(Data::Binary((0..=255).collect())),
                _ => None,
            };
            assert_eq!(event.data(), expected.as_ref(), "{mode} {number}");
        }
        assert!(child.wait().unwrap().success());
    }
}

fn events() -> Vec<CloudEvent> {
    let event = |id: &str| {
        CloudEvent::new(id, "/tidemill?x=%20y", "dev.tidemill.run.completed")
            .and_then(|event| event.with_subject(r#"a "quoted" \ subject, 100%25 € 😀"#))
            .and_then(|event| event.with_time("2026-01-02T03:04:05.6789Z".parse().unwrap()))
            .and_then(|event| event.with_extension("sequence", ExtensionValue::Integer(7)))
            .unwrap()
    };
    vec![
        event("json € %").with_json(json!({"a": ["ü", 1.5, null]})),
        event("text")
            .with_data("text/plain; charset=utf-8", Data::Text("zwei\nZeilen €".to_owned()))
            .unwrap(),
        event("bytes").with_data("application/x", Data::Binary((0..=255).collect())).unwrap(),
        event("none"),
    ]
}

#[test]
fn what_is_sent_the_sdk_reads() {
    let file = std::env::temp_dir().join(format!("port-{}", std::process::id()));
    let mut child = client(&["receive", file.to_str().unwrap()]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        match std::fs::read_to_string(&file) {
            Ok(port) => break port.trim().parse::<u16>().unwrap(),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    for event in events() {
        let mut structured = HeaderMap::new();
        structured.insert("content-type", HeaderValue::from_static("application/cloudevents+json"));
        for (headers, body) in [(structured, event.to_structured()), event.to_binary()] {
            let is_binary = headers.contains_key("ce-id");
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            write!(
                stream,
                "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
                body.len()
            )
            .unwrap();
            for (name, value) in &headers {
                write!(stream, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
            }
            stream.write_all(b"\r\n").unwrap();
            stream.write_all(&body).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.contains(" 204 "), "{answer}");
            let mut told: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            let mut expected = event.as_value();
            // The SDK tells times with an offset, and headers tell no types.
            expected["time"] = "2026-01-02T03:04:05.678900+00:00".into();
            if is_binary {
                expected["sequence"] = "7".into();
            }
            if told.get("data").is_some_and(Value::is_null) {
                told.as_object_mut().unwrap().remove("data");
            }
            assert_eq!(told, expected);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(file).unwrap();
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn with_body(mut command: Command, body: &[u8]) -> std::process::Output {
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn webhooks_are_those_of_the_reference_library() {
    let (now, body) = (Timestamp::now(), "{\"type\":\"a.b\",\"data\":\"€\"}".as_bytes());
    let secrets = || {
        vec![Secret::new("whsec_b2xkZXIgc2VjcmV0IHRoYXQgaXMgbG9uZw").unwrap(), Secret::new(SECRET).unwrap()]
    };
    let seconds = now.as_second().to_string();
    let output = with_body(client(&["sign", SECRET, "msg_1", &seconds]), body);
    let members: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in members.as_object().unwrap() {
        headers.insert(HeaderName::try_from(name).unwrap(), value.as_str().unwrap().parse().unwrap());
    }
    let hook = Hook {
        name: "x".to_owned(),
        sender: Sender::Standard,
        secrets: secrets(),
        window: Duration::from_mins(5),
    };
    assert_eq!(hook.verify(&headers, body, now).unwrap().event.kind(), "a.b");
    assert_eq!(hook.verify(&headers, b"{}", now).unwrap_err(), WebhookError::Mismatch);

    let signed = sign_standard(&secrets(), "msg_1", now, body).unwrap();
    let signed: serde_json::Map<String, Value> =
        signed.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let signed = Value::Object(signed).to_string();
    assert!(with_body(client(&["verify", SECRET, &signed]), body).status.success());
    assert!(!with_body(client(&["verify", SECRET, &signed]), b"{}").status.success());
}
