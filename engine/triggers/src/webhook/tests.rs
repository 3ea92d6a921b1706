//! What senders send is verified as they say, with the vectors of their documents.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::hmac;
use serde_json::json;

use super::{Hook, Secret, SecretError, Sender, Verified, WebhookError, sign_standard};
use crate::event::{CloudEvent, Data};

const GITHUB: &str = "It's a Secret to Everybody";
/// The secret, the id, the time and the body of the tests of all libraries of Standard Webhooks.
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SECOND: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value);
        headers
    })
}

pub(super) fn hook(sender: Sender, secrets: &[&str]) -> Hook {
    let secrets = secrets.iter().map(|secret| Secret::new(secret).unwrap()).collect();
    Hook { name: "a hook".to_owned(), sender, secrets, window: Duration::from_mins(5) }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(SECOND).unwrap()
}

fn github_signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    format!("sha256={}", super::secret::hex(tag.as_ref()))
}

/// A request of GitHub with this body, verified.
fn github(event: &str, kind: &str, body: &str) -> Result<Verified, WebhookError> {
    let headers = headers(&[
        ("x-hub-signature-256", &github_signature(GITHUB, body.as_bytes())),
        ("x-github-event", event),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("content-type", kind),
    ]);
    hook(Sender::Github, &["another secret, older", GITHUB]).verify(&headers, body.as_bytes(), now())
}

fn told(event: &CloudEvent) -> (&str, &str, &str, Option<&str>) {
    (event.kind(), event.source(), event.id(), event.subject())
}

/// <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>, Testing the webhook payload validation.
#[test]
fn the_vector_of_github() {
    let vector = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(github_signature(GITHUB, b"Hello, World!"), vector);
    let verify = |signature: &str| {
        let headers = headers(&[("x-hub-signature-256", signature), ("content-type", "application/json")]);
        hook(Sender::Github, &[GITHUB]).verify(&headers, b"Hello, World!", now()).unwrap_err()
    };
    // It is signed, and only then it shows that it is no JSON.
    assert_eq!(verify(vector).status(), 400);
    assert_eq!(verify(&vector.replace("757", "758")), WebhookError::Mismatch);
    assert_eq!(verify(&vector.to_uppercase()), WebhookError::Mismatch);
    assert_eq!(verify(&vector.replace("sha256", "sha1")), WebhookError::Mismatch);
    assert_eq!(verify(&vector[..70]), WebhookError::Mismatch);
    assert_eq!(verify(""), WebhookError::Missing { header: "x-hub-signature-256" });
}

#[test]
fn a_push_to_github_is_an_event() {
    let body = json!({"ref": "refs/heads/main", "repository": {"html_url": "https://github.com/o/r"}});
    let Verified { event, replay_key, window } =
        github("push", "application/json", &body.to_string()).unwrap();
    let id = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
    assert_eq!(told(&event), ("com.github.push", "https://github.com/o/r", id, Some("refs/heads/main")));
    assert_eq!((event.data(), event.time()), (Some(&Data::Json(body.clone())), Some(now())));
    assert!(replay_key.starts_with("a hook:") && window.is_none());

    // The same body, as a form, with an action, of an organization.
    let body = json!({"action": "opened", "organization": {"login": "o"}, "x": "ä&=+%"}).to_string();
    let form: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &body).finish();
    let event = github("pull_request", "application/x-www-form-urlencoded", &form).unwrap().event;
    assert_eq!(told(&event), ("com.github.pull_request.opened", "https://github.com/o", id, None));
    assert_eq!(event.data().unwrap().to_bytes(), body.as_bytes());
    assert_eq!(github("ping", "application/json", "{}").unwrap().event.source(), "https://github.com");
}

#[test]
fn what_no_signature_of_github_covers_is_not_trusted() {
    let body = r#"{"x":"&payload={}"}"#;
    assert!(github("push", "application/json", body).is_ok());
    assert_eq!(github("push", "application/x-www-form-urlencoded", body).unwrap_err().status(), 400);
    assert_eq!(github("push", "text/plain", body).unwrap_err().status(), 400);
    assert_eq!(github("no event", "application/json", body).unwrap_err().status(), 400);
    // Another delivery of the same body is a repetition.
    let keys = ["push", "ping"].map(|event| github(event, "application/json", body).unwrap().replay_key);
    assert_eq!(keys[0], keys[1]);
    for wrong in ["", "[]", r#"{"a":1,"a":2}"#, "{\"repository\":{\"html_url\":\"no URI\"}}"] {
        assert_eq!(github("push", "application/json", wrong).unwrap_err().status(), 400, "{wrong}");
    }
}

fn standard(pairs: &[(&str, &str)], at: i64) -> Result<Verified, WebhookError> {
    let now = Timestamp::from_second(at).unwrap();
    hook(Sender::Standard, &["another secret, older", STANDARD]).verify(&headers(pairs), BODY, now)
}

/// The vector of the libraries, such as `libraries/python/tests/test_webhooks.py`.
#[test]
fn the_vector_of_standard_webhooks() {
    let sent = sign_standard(&[Secret::new(STANDARD).unwrap()], ID, now(), BODY).unwrap();
    let time = SECOND.to_string();
    let pairs = [("webhook-id", ID), ("webhook-timestamp", &time), ("webhook-signature", SIGNED)];
    assert_eq!(sent, headers(&pairs));
    let Verified { event, replay_key, window } = standard(&pairs, SECOND).unwrap();
    assert_eq!(told(&event), ("webhook", "urn:webhook:a%20hook", ID, None));
    assert_eq!((event.time(), window), (Some(now()), Some(Duration::from_mins(10))));
    assert_eq!(replay_key, format!("a hook:{ID}"));
    for at in [SECOND - 300, SECOND + 300] {
        assert!(standard(&pairs, at).is_ok());
    }
    for at in [SECOND - 301, SECOND + 301] {
        assert_eq!(standard(&pairs, at).unwrap_err(), WebhookError::Untimely);
    }
    for missing in 0..3 {
        let rest: Vec<_> =
            pairs.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, pair)| *pair).collect();
        assert_eq!(standard(&rest, SECOND).unwrap_err(), WebhookError::Missing { header: pairs[missing].0 });
    }
}

#[test]
fn one_signature_of_many_has_to_fit() {
    let time = SECOND.to_string();
    let wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let verify = |signature: &str| {
        let pairs = [("webhook-id", ID), ("webhook-timestamp", &time), ("webhook-signature", signature)];
        standard(&pairs, SECOND)
    };
    assert!(verify(&format!("{wrong} v1a,AAAA v2,x {SIGNED} {wrong}")).is_ok());
    for other in [wrong, "v1a,AAAA", &SIGNED.replace("v1,", "v2,"), "v1,", "x", &SIGNED[..SIGNED.len() - 1]] {
        assert_eq!(verify(other).unwrap_err(), WebhookError::Mismatch, "{other}");
    }
    let sixteen = vec![wrong; 16].join(" ");
    assert_eq!(verify(&format!("{sixteen} {SIGNED}")).unwrap_err(), WebhookError::Mismatch);
    for (id, time) in
        [("a.b", "1614265330"), (ID, "1.6e9"), (ID, "-1"), (ID, "+1614265330"), (ID, "9".repeat(30).as_str())]
    {
        let pairs = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", SIGNED)];
        assert_eq!(standard(&pairs, SECOND).unwrap_err().status(), 400, "{id} {time}");
    }
    assert!(hook(Sender::Standard, &[]).verify(&HeaderMap::new(), BODY, now()).is_err());
}

#[test]
fn bodies_of_standard_webhooks_may_name_type_and_time() {
    let secrets = [Secret::new(STANDARD).unwrap(), Secret::new("MDEyMzQ1Njc4OTAxMjM0NTY3ODk=").unwrap()];
    let verify = |body: &[u8], kind: &str| {
        let mut headers = sign_standard(&secrets, ID, now(), body).unwrap();
        headers.insert("content-type", kind.parse().unwrap());
        // Each of both secrets fits, with which it is signed.
        let event = hook(Sender::Standard, &["MDEyMzQ1Njc4OTAxMjM0NTY3ODk="]).verify(&headers, body, now());
        assert_eq!(event, hook(Sender::Standard, &[STANDARD]).verify(&headers, body, now()));
        event.map(|verified| verified.event)
    };
    let body = br#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":1}}"#;
    let event = verify(body, "application/json").unwrap();
    assert_eq!(
        (event.kind(), event.time().unwrap().to_string().as_str()),
        ("contact.created", "2022-11-03T20:26:10.344522Z")
    );
    assert_eq!(event.as_value()["data"]["data"]["id"], 1);
    assert_eq!(verify(b"a,b", "text/csv").unwrap().data(), Some(&Data::Text("a,b".to_owned())));
    assert_eq!(verify(b"", "application/json").unwrap().data(), None);
    assert_eq!(verify(b"[1]", "application/json").unwrap().kind(), "webhook");
    assert_eq!(verify(b"{", "application/json").unwrap_err().status(), 400);
    assert!(sign_standard(&secrets, "a.b", now(), body).is_err());
    assert!(sign_standard(&[Secret::new(GITHUB).unwrap()], ID, now(), body).is_err());
    assert_eq!(Sender::Standard.accepts(&Secret::new(GITHUB).unwrap()), Err(SecretError::NotSigning));
}

const PUSH: &[u8] =
    br#"{"object_kind":"push","ref":"refs/heads/main","project":{"web_url":"https://gitlab.com/g/p"}}"#;

#[test]
fn gitlab_sends_its_secret_token_along() {
    let verify = |secrets: &[&str], pairs: &[(&str, &str)]| {
        hook(Sender::Gitlab, secrets).verify(&headers(pairs), PUSH, now())
    };
    let token = ("x-gitlab-token", "a token that is long");
    let secrets = ["a token that is new!", token.1];
    let verified =
        verify(&secrets, &[token, ("idempotency-key", "k"), ("x-gitlab-event-uuid", "u")]).unwrap();
    let expected = ("com.gitlab.push", "https://gitlab.com/g/p", "k", Some("refs/heads/main"));
    assert_eq!((told(&verified.event), verified.window), (expected, None));
    // Older versions have no key, and one UUID for all that a hook sets off.
    let older = verify(&secrets, &[token, ("x-gitlab-event-uuid", "u")]).unwrap();
    assert!(older.event.id().starts_with("u-") && older.event.id().len() == 66);
    assert_eq!(verify(&secrets, &[token]).unwrap().event.id().len(), 64);
    assert_eq!(
        verify(&secrets, &[("x-gitlab-token", "a token that is lonG")]).unwrap_err(),
        WebhookError::Mismatch
    );
    assert_eq!(verify(&secrets, &[]).unwrap_err(), WebhookError::Missing { header: "x-gitlab-token" });
    assert_eq!(verify(&secrets, &[token, token]).unwrap_err().status(), 400);
}

#[test]
fn gitlab_signs_with_its_signing_token() {
    let signing = format!("whsec_{}", BASE64.encode([7; 32]));
    let mut signed = sign_standard(&[Secret::new(&signing).unwrap()], "k", now(), PUSH).unwrap();
    let alone = hook(Sender::Gitlab, &[&signing]);
    let verified = alone.verify(&signed, PUSH, now()).unwrap();
    assert_eq!((verified.event.id(), verified.window), ("k", Some(Duration::from_mins(10))));
    assert_eq!(alone.verify(&signed, b"{}", now()).unwrap_err(), WebhookError::Mismatch);
    // A signing token is never accepted in clear, nor the other way without one of them.
    let clear = headers(&[("x-gitlab-token", &signing)]);
    assert_eq!(
        alone.verify(&clear, PUSH, now()).unwrap_err(),
        WebhookError::Missing { header: "webhook-signature" }
    );
    let both = hook(Sender::Gitlab, &[&signing, "a token that is long"]);
    assert!(both.verify(&signed, PUSH, now()).is_ok());
    assert_eq!(both.verify(&signed, b"{}", now()).unwrap_err(), WebhookError::Mismatch);
    signed.insert("x-gitlab-token", "a token that is long".parse().unwrap());
    assert!(hook(Sender::Gitlab, &["a token that is long"]).verify(&signed, PUSH, now()).is_ok());
}

#[test]
fn what_happened_in_gitlab_is_in_the_type() {
    let kind = |body: serde_json::Value| {
        let headers = headers(&[
            ("x-gitlab-token", "a token that is long"),
            ("x-gitlab-instance", "https://git.example"),
        ]);
        let body = body.to_string();
        let verified =
            hook(Sender::Gitlab, &["a token that is long"]).verify(&headers, body.as_bytes(), now());
        verified.map(|verified| (verified.event.kind().to_owned(), verified.event.source().to_owned()))
    };
    for (body, expected) in [
        (
            json!({"object_kind": "merge_request", "object_attributes": {"action": "open"}}),
            "com.gitlab.merge_request.open",
        ),
        (
            json!({"object_kind": "pipeline", "object_attributes": {"status": "success"}}),
            "com.gitlab.pipeline.success",
        ),
        (json!({"object_kind": "build", "build_status": "failed"}), "com.gitlab.build.failed"),
        (json!({"event_name": "project_create"}), "com.gitlab.project_create"),
    ] {
        assert_eq!(kind(body).unwrap(), (expected.to_owned(), "https://git.example".to_owned()));
    }
    assert_eq!(kind(json!({"object_kind": "a b"})).unwrap_err().status(), 400);
}
