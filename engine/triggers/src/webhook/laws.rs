//! A request that was changed is not accepted, and nothing that comes in breaks anything.

use http::HeaderMap;
use proptest::prelude::*;
use ring::hmac;

use super::tests::{headers, hook, now};
use super::{Secret, Sender, sign_standard};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn flipped(text: &[u8], bit: prop::sample::Index) -> Vec<u8> {
    let bit = bit.index(text.len() * 8);
    let mut changed = text.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}

/// The same headers, one of them with a flipped bit; none if that cannot be a header.
fn changed(headers: &HeaderMap, name: &'static str, bit: prop::sample::Index) -> Option<HeaderMap> {
    let mut changed = headers.clone();
    changed.insert(name, flipped(headers[name].as_bytes(), bit).try_into().ok()?);
    Some(changed)
}

proptest! {
    #[test]
    fn a_changed_bit_of_standard_webhooks_does_not_verify(
        id in "[a-zA-Z0-9_-]{1,30}", text in any::<String>(), bit in any::<prop::sample::Index>(),
    ) {
        let body = serde_json::json!({"type": text}).to_string().into_bytes();
        for sender in [Sender::Standard, Sender::Gitlab] {
            let (hook, secret) = (hook(sender, &[SECRET]), Secret::new(SECRET).unwrap());
            let signed = sign_standard(&[secret], &id, now(), &body).unwrap();
            // What is signed may still be no event: nobody can tell before.
            let status = hook.verify(&signed, &body, now()).map_or_else(|error| error.status(), |_| 200);
            prop_assert!(status == 200 || status == 400);
            prop_assert_eq!(hook.verify(&signed, &flipped(&body, bit), now()).unwrap_err().status(), 401);
            for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
                if let Some(changed) = changed(&signed, name, bit) {
                    prop_assert!(hook.verify(&changed, &body, now()).is_err());
                }
            }
        }
    }

    #[test]
    fn a_changed_bit_of_github_does_not_verify(body in ".{0,40}", bit in any::<prop::sample::Index>()) {
        let body = serde_json::json!({"x": body}).to_string().into_bytes();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &body);
        let signature = format!("sha256={}", super::secret::hex(tag.as_ref()));
        let signed = headers(&[
            ("x-hub-signature-256", &signature), ("x-github-event", "push"), ("x-github-delivery", "1"),
            ("content-type", "application/json"),
        ]);
        let hook = hook(Sender::Github, &[SECRET]);
        prop_assert!(hook.verify(&signed, &body, now()).is_ok());
        prop_assert_eq!(hook.verify(&signed, &flipped(&body, bit), now()).unwrap_err().status(), 401);
        if let Some(changed) = changed(&signed, "x-hub-signature-256", bit) {
            prop_assert!(hook.verify(&changed, &body, now()).is_err());
        }
    }

    #[test]
    fn a_changed_bit_of_a_token_does_not_verify(token in "[!-~]{16,40}", bit in any::<prop::sample::Index>()) {
        prop_assume!(!token.starts_with("whsec_"));
        let sent = headers(&[("x-gitlab-token", &token)]);
        let (hook, body) = (hook(Sender::Gitlab, &[&token]), br#"{"object_kind":"push"}"#);
        prop_assert!(hook.verify(&sent, body, now()).is_ok());
        if let Some(changed) = changed(&sent, "x-gitlab-token", bit) {
            prop_assert!(hook.verify(&changed, body, now()).is_err());
        }
    }

    #[test]
    fn nothing_that_comes_in_breaks_anything(
        values in prop::collection::vec(any::<Vec<u8>>(), 9), body in any::<Vec<u8>>(), signature in "(sha256=|v1,)?[ -~]{0,90}",
    ) {
        let names = [
            "webhook-id", "webhook-timestamp", "x-github-event", "x-github-delivery", "content-type", "idempotency-key",
            "x-gitlab-event-uuid", "x-gitlab-instance", "x-gitlab-token",
        ];
        let mut all = HeaderMap::new();
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = value.try_into() {
                all.append(name, value);
            }
        }
        all.append("x-hub-signature-256", signature.parse().unwrap());
        all.append("webhook-signature", signature.parse().unwrap());
        for sender in [Sender::Github, Sender::Gitlab, Sender::Standard] {
            let error = hook(sender, &[SECRET]).verify(&all, &body, now()).unwrap_err();
            prop_assert!([400, 401].contains(&error.status()));
        }
    }
}
