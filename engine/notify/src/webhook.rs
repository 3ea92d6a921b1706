//! A request that tells a program: JSON, signed as Standard Webhooks say, or an event that comes ready to be sent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::json;

use crate::error::{DeliveryError, Failure};
use crate::{Message, Secret, WrongPlace, http, message, tls};

/// A program that is told by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address, which may let in whoever knows it.
    pub url: Secret,
    /// Sent with each request; nothing that is told shows their values.
    pub headers: Vec<(String, Secret)>,
    /// Signs each request: `whsec_` and the base64 of 24 to 64 random bytes.
    pub secret: Option<Secret>,
    /// A file of authorities to trust beside those of this machine.
    pub ca: Option<Utf8PathBuf>,
}

/// What can be sent: a place without mistakes.
struct Ready {
    url: Url,
    headers: HeaderMap,
    key: Option<hmac::Key>,
}

/// How a signing secret begins.
const PREFIX: &str = "whsec_";
/// Set by the delivery, or by HTTP itself.
const RESERVED: [&str; 5] = ["connection", "content-length", "content-type", "host", "transfer-encoding"];

impl Webhook {
    /// One without headers, unsigned.
    #[must_use]
    pub fn new(url: Secret) -> Self {
        Self { url, headers: Vec::new(), secret: None, ca: None }
    }

    /// All that is wrong with it, before anything is sent.
    #[must_use]
    pub fn check(&self) -> Vec<WrongPlace> {
        let ca = self.ca.as_deref().and_then(|path| tls::authorities(path).err());
        self.ready().err().unwrap_or_default().into_iter().chain(ca).collect()
    }

    /// Delivers a message, once.
    ///
    /// # Errors
    /// If it did not arrive; the error tells whether another try may help.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.post_event(&message.id, headers, body(message)).await
    }

    /// Delivers an event that comes ready, as headers and a body, once. The id is the same for each delivery of the same event.
    ///
    /// # Errors
    /// If it did not arrive; the error tells whether another try may help.
    pub async fn post_event(&self, id: &str, headers: HeaderMap, body: Vec<u8>) -> Result<(), DeliveryError> {
        self.send(id, headers, body).await.map_err(|failure| failure.at(self.place()))
    }

    pub(crate) fn place(&self) -> String {
        http::place("the webhook", &self.url)
    }

    async fn send(&self, id: &str, headers: HeaderMap, body: Vec<u8>) -> Result<(), Failure> {
        let mut ready = self.ready().map_err(|wrong| {
            Failure::refused(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        ready.headers.extend(headers);
        let id = message::handle(id);
        ready.headers.insert("webhook-id", ascii(&id));
        // The time of this try, not of the event: a receiver turns old ones away, lest they be replayed.
        let now = Timestamp::now().as_second();
        ready.headers.insert("webhook-timestamp", HeaderValue::from(now));
        if let Some(key) = &ready.key {
            ready.headers.insert("webhook-signature", ascii(&signature(key, &id, now, &body)));
        }
        let mut secrets: Vec<&str> = self.headers.iter().map(|(_, value)| value.expose()).collect();
        secrets.extend(self.secret.as_ref().map(Secret::expose));
        http::post(&ready.url, self.ca.as_deref(), ready.headers, body, &secrets).await
    }

    fn ready(&self) -> Result<Ready, Vec<WrongPlace>> {
        let mut wrong = Vec::new();
        let url = http::address(&self.url).map_err(|error| wrong.push(error)).ok();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match header(name, value) {
                Ok((name, value)) => drop(headers.append(name, value)),
                Err(error) => wrong.push(error),
            }
        }
        let key = self.secret.as_ref().map(signing_key).transpose();
        let key = key.unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        match url {
            Some(url) if wrong.is_empty() => Ok(Ready { url, headers, key }),
            _ => Err(wrong),
        }
    }
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), WrongPlace> {
    let none = || WrongPlace::Header { name: name.to_owned() };
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| none())?;
    let own = known.as_str().starts_with("webhook-") || known.as_str().starts_with("ce-");
    if own || RESERVED.contains(&known.as_str()) {
        return Err(WrongPlace::ReservedHeader { name: name.to_owned() });
    }
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| none())?;
    value.set_sensitive(true);
    Ok((known, value))
}

fn signing_key(secret: &Secret) -> Result<hmac::Key, WrongPlace> {
    let wrong = |reason: &str| WrongPlace::SigningSecret { reason: reason.to_owned() };
    let text = secret.expose().trim();
    let bytes = BASE64_STANDARD
        .decode(text.strip_prefix(PREFIX).unwrap_or(text))
        .map_err(|_| wrong("it is no base64"))?;
    match bytes.len() {
        24..=64 => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        other => Err(wrong(&format!("it has {other} bytes, not 24 to 64"))),
    }
}

fn signature(key: &hmac::Key, id: &str, at: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids and signatures are of visible ASCII characters")
}

/// A message as Standard Webhooks lay it out.
fn body(message: &Message) -> Vec<u8> {
    let facts: Vec<_> =
        message.facts.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let body = json!({
        "type": format!("notification.{}", message.level.word()),
        "timestamp": message.time.to_string(),
        "data": {
            "id": message.id,
            "level": message.level.word(),
            "subject": message.headline(),
            "text": message.text,
            "facts": facts,
            "link": message.link,
        },
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::example;

    fn webhook() -> Webhook {
        Webhook::new(Secret::new("https://example.org/hook?token=secret-token"))
    }

    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = signing_key(&secret).unwrap();
        let signed =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let headers = vec![
            ("Authorization".to_owned(), Secret::new("Bearer x")),
            ("a b".to_owned(), Secret::new("x")),
            ("X-Line".to_owned(), Secret::new("a\r\nb")),
            ("Content-Type".to_owned(), Secret::new("text/plain")),
            ("Webhook-Id".to_owned(), Secret::new("x")),
        ];
        let url = Secret::new("mailto:x@example.org");
        let wrong = Webhook {
            url,
            headers,
            secret: Some(Secret::new("whsec_c2hvcnQ=")),
            ca: Some("/no/such/file".into()),
        };
        let found = wrong.check();
        let fields: Vec<_> = found.iter().map(WrongPlace::field).collect();
        assert_eq!(fields, ["url", "headers", "headers", "headers", "headers", "secret", "ca"]);
        assert!(found.iter().all(|wrong| !wrong.hint().is_empty()));
        assert_eq!(found[5].to_string(), "its `secret` cannot sign: it has 5 bytes, not 24 to 64");
        assert_eq!(webhook().check(), []);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut webhook = webhook();
        webhook.headers.push(("Authorization".to_owned(), Secret::new("Bearer secret-token")));
        assert!(!format!("{webhook:?}{}", webhook.place()).contains("secret-token"));
    }

    #[test]
    fn the_body_is_as_the_specification_lays_it_out() {
        let body: serde_json::Value = serde_json::from_slice(&body(&example())).unwrap();
        assert_eq!(body["type"], "notification.failure");
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(body["data"]["facts"][1], json!({"name": "exit code", "value": "3"}));
    }
}
