//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use crate::event::{CloudEvent, Limits, received};
use crate::webhook::{Hook, Secret, WebhookError};
use crate::{Schedule, Sender};

/// A request with events: headers, a line each, an empty line, the body. What is taken can be sent on, and is the same then.
pub fn event(bytes: &[u8]) {
    let (headers, body) = request(bytes);
    let limits = Limits::default();
    let Ok(events) = received(&headers, body, &limits) else { return };
    for event in events {
        let again = serde_json::from_slice::<CloudEvent>(&event.to_structured());
        assert_eq!(again.expect("what was taken is an event"), event);
        assert_eq!(serde_json::from_value::<CloudEvent>(event.as_value()).expect("as a value too"), event);
        assert!(!event.id().is_empty() && !event.source().is_empty() && !event.kind().is_empty());
        // Whether its data can be sent as a body is its own affair.
        let _ = event.to_binary();
    }
}

/// A message to a webhook of each sender: nobody gets in who has not the secret.
pub fn webhook(bytes: &[u8]) {
    let (headers, body) = request(bytes);
    for sender in [Sender::Github, Sender::Gitlab, Sender::Standard] {
        let hook =
            Hook { name: "p:t".to_owned(), sender, secrets: secrets(), window: Duration::from_secs(300) };
        match hook.verify(&headers, body, now()) {
            Ok(verified) => {
                assert!(text(bytes).contains(TOKEN) || is_signed(body), "{verified:?} came in");
                assert!(verified.replay_key.starts_with("p:t:"));
            }
            Err(error) => {
                let is_malformed = matches!(error, WebhookError::Malformed { .. });
                assert_eq!(error.status(), if is_malformed { 400 } else { 401 });
            }
        }
        let locked = Hook { secrets: Vec::new(), ..hook };
        assert!(locked.verify(&headers, body, now()).is_err(), "without secrets nobody gets in");
    }
}

/// A schedule, and in a second line its time zone: its times come one after the other, and are counted as they are listed.
pub fn schedule(bytes: &[u8]) {
    let Ok(all) = str::from_utf8(bytes) else { return };
    let (cron, zone) = all.split_once('\n').map_or((all, None), |(cron, zone)| (cron, Some(zone)));
    let schedule = match Schedule::parse(cron, zone) {
        Ok(schedule) => schedule,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
            return;
        }
    };
    let until = now() + SignedDuration::from_hours(49);
    let mut before = now();
    let mut count = 0;
    for due in schedule.due_between(now(), until) {
        assert_eq!(schedule.next_after(before), Some(due), "no time is passed over");
        assert!(due > before && due <= until);
        (before, count) = (due, count + 1);
    }
    assert_eq!(schedule.count_between(now(), until), count);
    assert!(schedule.next_after(before).is_none_or(|due| due > until));
}

/// What messages are signed with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What GitLab may send along instead.
const TOKEN: &str = "a-token-that-nobody-guesses-42";

fn secrets() -> Vec<Secret> {
    [SECRET, TOKEN].map(|text| Secret::new(text).expect("it is a secret")).into()
}

/// When it is: in an autumn night in which clocks are set back in Europe.
fn now() -> Timestamp {
    Timestamp::from_second(1_793_490_000).expect("it is a time")
}

/// Headers, a line each, an empty line, and the body. What can be no header is passed over.
fn request(bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether this is what one of the examples has signed.
fn is_signed(body: &[u8]) -> bool {
    examples().iter().any(|example| request(example.as_bytes()).1 == body)
}

fn examples() -> Vec<String> {
    let body = "{\"action\":\"opened\",\"repository\":{\"html_url\":\"https://github.com/a/b\"}}";
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let digest = ring::hmac::sign(&key, body.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = Secret::new(SECRET).expect("it is a secret");
    let signed = crate::webhook::sign_standard(&[secret], "msg_1", now(), body.as_bytes());
    let signed = signed.expect("it signs");
    let mut standard = String::from("content-type:application/json\n");
    for (name, value) in &signed {
        standard.push_str(&format!("{name}:{}\n", value.to_str().expect("it is ASCII")));
    }
    vec![
        format!(
            "content-type:application/json\nx-github-event:issues\nx-github-delivery:d1\nx-hub-signature-256:sha256={hex}\n\n{body}"
        ),
        format!("{standard}\n{body}"),
        format!(
            "content-type:application/json\nx-gitlab-event:Push Hook\nx-gitlab-event-uuid:u1\nx-gitlab-token:{TOKEN}\n\n\
             {{\"object_kind\":\"push\",\"project\":{{\"web_url\":\"https://gitlab.com/a/b\"}}}}"
        ),
    ]
}

/// What a fuzzer begins with, by the name of the function.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    vec![
        (
            "event",
            texts(&[
                "content-type:application/json\nce-specversion:1.0\nce-id:1\nce-source:/a\nce-type:b.c\nce-time:2026-11-01T00:30:00.5+01:00\nce-subject:%C3%A9\nce-x1:true\n\n{\"month\": 3}",
                "content-type:application/cloudevents+json\n\n{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"urn:x\",\"type\":\"b\",\"datacontenttype\":\"text/plain\",\"data_base64\":\"AAE=\",\"dataschema\":\"a:b\",\"n\":-1}",
                "content-type:application/cloudevents-batch+json; charset=utf-8\n\n[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\",\"type\":\"b\",\"data\":null},{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"/\",\"type\":\"b\",\"data\":\"x\"}]",
            ]),
        ),
        ("webhook", examples().into_iter().map(String::into_bytes).collect()),
        (
            "schedule",
            texts(&[
                "*/15 2-3 * jan-DEC mon,5#2\nEurope/Berlin",
                "@daily",
                "30 2 l 2 sun-tue\nAmerica/New_York",
                "5 4 1,15 */2 7\nAustralia/Lord_Howe",
                "0 0 31 2 *",
                "0 30 2 * * *",
            ]),
        ),
    ]
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");

    #[test]
    fn the_laws_hold_for_what_was_kept() {
        kept::replay(KEPT, "event", event);
        kept::replay(KEPT, "webhook", webhook);
        kept::replay(KEPT, "schedule", schedule);
    }

    #[test]
    fn a_fuzzer_begins_with_what_is_taken() {
        let seeds = seeds();
        for bytes in &seeds[0].1 {
            let (headers, body) = request(bytes);
            assert!(received(&headers, body, &Limits::default()).is_ok(), "{}", text(bytes));
            event(bytes);
        }
        for (bytes, sender) in seeds[1].1.iter().zip([Sender::Github, Sender::Standard, Sender::Gitlab]) {
            let (headers, body) = request(bytes);
            let hook =
                Hook { name: "p:t".to_owned(), sender, secrets: secrets(), window: Duration::from_secs(300) };
            assert!(hook.verify(&headers, body, now()).is_ok(), "{}", text(bytes));
            webhook(bytes);
        }
        for bytes in &seeds[2].1 {
            schedule(bytes);
        }
    }
}
