//! Webhooks to a real receiver that verifies them with the official library.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tidemill_notify::{DeliveryError, Kind, Secret, Webhook};

use crate::support::{Receiver, Script, ca, message};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn receiver(options: &[&str]) -> Receiver {
    Receiver::start(Script::Webhook, &[], options)
}

fn webhook(receiver: &Receiver, path: &str) -> Webhook {
    Webhook::new(Secret::new(format!("http://localhost:{}{path}", receiver.port)))
}

async fn failed(webhook: &Webhook) -> DeliveryError {
    webhook.deliver(&message()).await.unwrap_err()
}

#[tokio::test]
async fn the_official_library_finds_the_signature_right() {
    let mut receiver = receiver(&["--secret", SECRET]);
    let signed = Webhook {
        secret: Some(Secret::new(SECRET)),
        headers: vec![("Authorization".to_owned(), Secret::new("Bearer abcdef"))],
        ..webhook(&receiver, "/ok")
    };
    for _ in 0..2 {
        signed.deliver(&message()).await.unwrap();
        let taken = receiver.line();
        assert_eq!(taken["verified"], true, "{taken}");
        let headers = &taken["headers"];
        assert_eq!(headers["webhook-id"], "run-7-failed");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["authorization"], "Bearer abcdef");
        let body: Value = serde_json::from_str(taken["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["type"], "notification.failure");
        assert_eq!(body["timestamp"], "2026-11-30T12:00:00Z");
        assert_eq!(body["data"]["subject"], "churn: evaluate failed");
    }
    let other = Some(Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    Webhook { secret: other, ..signed.clone() }.deliver(&message()).await.unwrap();
    assert!(receiver.line()["verified"].as_str().unwrap().contains("VerificationError"));
}

#[tokio::test]
async fn an_event_goes_as_it_comes() {
    let mut receiver = receiver(&["--secret", SECRET]);
    let sink = Webhook { secret: Some(Secret::new(SECRET)), ..webhook(&receiver, "/sink") };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "7.1"),
        ("ce-type", "org.tidemill.run.failed"),
        ("ce-source", "/pipelines/churn"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let body = r#"{"run": 7, "größe": "µ"}"#;
    sink.post_event("7.1", headers.clone(), body.as_bytes().to_vec()).await.unwrap();
    let taken = receiver.line();
    assert_eq!(taken["verified"], true, "{taken}");
    assert_eq!(taken["body"], body);
    assert_eq!(taken["headers"]["ce-id"], "7.1");
    assert!(taken["headers"]["webhook-id"].as_str().unwrap().starts_with("sha256_"));
    // The SDK of CloudEvents reads it.
    let mut events = Receiver::start(Script::Events, &[], &[]);
    webhook(&events, "/").post_event("7.1", headers, body.as_bytes().to_vec()).await.unwrap();
    let event = &events.line()["event"];
    assert_eq!((&event["id"], &event["data"]["run"]), (&json!("7.1"), &json!(7)));
}

#[tokio::test]
async fn answers_tell_whether_to_come_back() {
    let receiver = receiver(&[]);
    let seconds = |after: u64| Kind::Again { after: Some(Duration::from_secs(after)) };
    for (path, kind, words) in [
        ("/status/429/7", seconds(7), "it answered 429 Too Many Requests: said [31m so here"),
        ("/status/503/120", seconds(120), "it answered 503"),
        ("/status/429/Mon%2C%2030%20Nov%202020%2012:00:00%20GMT", seconds(0), "it answered 429"),
        ("/status/500", Kind::Again { after: None }, "it answered 500 Internal Server Error: said"),
        ("/status/404", Kind::Refused, "it answered 404 Not Found"),
        ("/status/410", Kind::Refused, "it answered 410 Gone: nobody listens here any more: said"),
        ("/status/302", Kind::Refused, "it answered 302 Found and points elsewhere, which is not followed"),
    ] {
        let error = failed(&webhook(&receiver, path)).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.reason.starts_with(words), "{error}");
        assert_eq!(error.place, format!("the webhook at localhost:{}", receiver.port));
    }
    assert_eq!(receiver.rest().len(), 7, "no redirect was followed");
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let receiver = receiver(&[]);
    let mut place = webhook(&receiver, "/echo/T00000/B00000?token=abcdefgh");
    place.headers.push(("Authorization".to_owned(), Secret::new("Bearer ijklmnop")));
    place.secret = Some(Secret::new(SECRET));
    let error = failed(&place).await;
    assert_eq!(error.kind, Kind::Refused);
    for secret in ["T00000", "abcdefgh", "ijklmnop", SECRET] {
        assert!(!format!("{error} {error:?} {place:?}").contains(secret), "{error}");
    }
    // Nor where nobody answers.
    place.url = Secret::new("http://localhost:1/T00000");
    let error = failed(&place).await;
    assert_eq!(error.kind, Kind::Again { after: None });
    assert!(error.reason.starts_with("no connection") && !format!("{error:?}").contains("T00000"), "{error}");
    place.url = Secret::new("http://no-such-host.invalid/T00000");
    let error = failed(&place).await;
    assert_eq!(error.kind, Kind::Again { after: None });
    assert!(error.reason.starts_with("no connection") && !format!("{error:?}").contains("T00000"), "{error}");
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let mut receiver = receiver(&[]);
    let error = failed(&webhook(&receiver, "/endless")).await;
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.reason.chars().count() < 400, "{error}");
    // The connection is ended by the same thread, which must not wait meanwhile.
    let left = tokio::task::spawn_blocking(move || [receiver.line(), receiver.line()]).await.unwrap();
    assert_eq!((&left[0]["path"], &left[1]["event"]), (&json!("/endless"), &json!("left")));
}

#[tokio::test]
async fn certificates_are_looked_at() {
    let right = receiver(&["--tls"]);
    let secure = |receiver: &Receiver| Webhook {
        url: Secret::new(format!("https://localhost:{}/ok", receiver.port)),
        ca: ca(receiver),
        ..webhook(receiver, "")
    };
    secure(&right).deliver(&message()).await.unwrap();
    let error = failed(&Webhook { ca: None, ..secure(&right) }).await;
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.reason.contains("an authority that this machine does not know"), "{error}");
    let other = receiver(&["--tls", "--name", "other.example.org"]);
    let error = failed(&secure(&other)).await;
    assert_eq!((error.kind, error.reason.as_str()), (Kind::Refused, "its certificate is for another name"));
    let plain = receiver(&[]);
    let url = Secret::new(format!("https://localhost:{}/ok", plain.port));
    let error = failed(&Webhook::new(url)).await;
    assert_eq!(error.kind, Kind::Refused, "{error}");
}

#[tokio::test]
async fn a_silent_receiver_is_not_waited_for() {
    let mut receiver = receiver(&[]);
    let place = webhook(&receiver, "/hang");
    let delivery = tokio::spawn(async move { place.deliver(&message()).await });
    let mut receiver = tokio::task::spawn_blocking(move || {
        assert_eq!(receiver.line()["path"], "/hang");
        receiver
    })
    .await
    .unwrap();
    // From now on nothing but time can pass.
    tokio::time::pause();
    let error = delivery.await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.reason.as_str()), (Kind::Again { after: None }, "no answer in 30 seconds"));
    assert_eq!(receiver.line()["event"], "left");
}

#[tokio::test]
async fn a_wrong_place_is_refused_before_anything_is_sent() {
    let error = failed(&Webhook::new(Secret::new("ftp://example.org/T00000"))).await;
    assert_eq!(
        error.to_string(),
        "cannot deliver to the webhook: its `url` begins with `ftp:`, which is not the web"
    );
}
