//! One request to one address: how long is waited, what an answer means, and what is told of it without secrets.

use std::time::Duration;

use camino::Utf8Path;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode, Url};

use crate::error::{Failure, Kind, root};
use crate::text::{one_line, without};
use crate::{Secret, WrongPlace, tls};

/// For a connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// For a delivery.
pub(crate) const WHOLE: Duration = Duration::from_secs(30);
/// How much of an answer is read.
const ANSWER: usize = 4096;
/// How much of an answer is told, in characters.
const TOLD: usize = 300;

/// The address of a request.
pub(crate) fn address(url: &Secret) -> Result<Url, WrongPlace> {
    let url =
        Url::parse(url.expose().trim()).map_err(|error| WrongPlace::Url { reason: error.to_string() })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(WrongPlace::Scheme { scheme: scheme.to_owned() }),
    }
}

/// The place as people call it: the rest of an address may let in whoever knows it.
pub(crate) fn place(what: &str, url: &Secret) -> String {
    let Ok(url) = address(url) else { return what.to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{what} at {}{port}", url.host_str().unwrap_or("nowhere"))
}

/// Sends a request once. `secrets` are those beside the address which an answer could repeat.
pub(crate) async fn post(
    url: &Url,
    ca: Option<&Utf8Path>,
    headers: HeaderMap,
    body: Vec<u8>,
    secrets: &[&str],
) -> Result<(), Failure> {
    let client = client(ca)?;
    let request = client.post(url.clone()).headers(headers).body(body);
    let response = request.send().await.map_err(|error| unanswered(&error))?;
    let (status, retry_after) = (response.status(), response.headers().get(RETRY_AFTER).cloned());
    if status.is_success() {
        return Ok(());
    }
    let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
    let kind = meaning(status, retry_after, Timestamp::now());
    let mut secrets = secrets.to_vec();
    secrets.extend([
        url.as_str(),
        url.path(),
        url.query().unwrap_or_default(),
        url.password().unwrap_or_default(),
    ]);
    secrets.extend(url.path_segments().into_iter().flatten().filter(|part| part.len() >= 16));
    let words = one_line(&without(&beginning(response).await, &secrets), TOLD);
    let mut reason = match status {
        _ if status.is_redirection() => {
            format!("it answered {status} and points elsewhere, which is not followed")
        }
        StatusCode::GONE => format!("it answered {status}: nobody listens here any more"),
        _ => format!("it answered {status}"),
    };
    if !words.is_empty() {
        reason = format!("{reason}: {words}");
    }
    Err(Failure { reason, kind })
}

fn client(ca: Option<&Utf8Path>) -> Result<Client, Failure> {
    // Whoever came first has installed the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .referer(false)
        .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca {
        let pem = tls::authorities(path).map_err(|wrong| Failure::refused(wrong.to_string()))?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|error| Failure::refused(root(&error)))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| Failure::refused(format!("no client can be made: {}", root(&error))))
}

/// A request without an answer. What is told are the causes below the error itself, which would tell the address.
fn unanswered(error: &reqwest::Error) -> Failure {
    if let Some(failure) = tls::handshake(error) {
        return failure;
    }
    let cause = std::error::Error::source(error).map(root);
    match cause {
        _ if error.is_builder() => Failure::refused("the request cannot be made"),
        _ if error.is_timeout() && error.is_connect() => {
            Failure::again(format!("no connection in {} seconds", CONNECT.as_secs()))
        }
        _ if error.is_timeout() => Failure::again(format!("no answer in {} seconds", WHOLE.as_secs())),
        Some(cause) if error.is_connect() => Failure::again(format!("no connection: {cause}")),
        Some(cause) => Failure::again(format!("no answer: {cause}")),
        None => Failure::again("no answer"),
    }
}

/// Whether another try may help after this answer.
fn meaning(status: StatusCode, retry_after: Option<&str>, now: Timestamp) -> Kind {
    let later = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    match later {
        true => Kind::Again { after: retry_after.and_then(|text| wait(text, now)) },
        false => Kind::Refused,
    }
}

/// What `Retry-After` says: seconds, or a date of HTTP.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// The beginning of an answer, as far as it comes.
async fn beginning(mut response: Response) -> String {
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        read.extend_from_slice(&chunk[..chunk.len().min(ANSWER - read.len())]);
        if read.len() == ANSWER {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(url: &str) -> Secret {
        Secret::new(url)
    }

    #[test]
    fn an_address_is_of_the_web() {
        assert!(address(&secret(" https://example.org/x\n")).is_ok());
        assert!(matches!(address(&secret("example.org/x")), Err(WrongPlace::Url { .. })));
        let ftp = address(&secret("ftp://example.org")).unwrap_err();
        assert_eq!(ftp, WrongPlace::Scheme { scheme: "ftp".to_owned() });
        assert!(address(&secret("https://")).is_err());
    }

    #[test]
    fn only_the_host_is_named() {
        let url = secret("https://me:password@hooks.example.org:8443/services/T00/B00?token=x");
        assert_eq!(place("the chat", &url), "the chat at hooks.example.org:8443");
        assert_eq!(place("the chat", &secret("T00/B00/XX")), "the chat");
    }

    #[test]
    fn an_answer_tells_whether_to_come_back() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let kind = |status, after| meaning(StatusCode::from_u16(status).unwrap(), after, now);
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(kind(status, None), Kind::Again { after: None }, "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(kind(status, Some("5")), Kind::Refused, "{status}");
        }
        let after = |text| kind(429, Some(text));
        assert_eq!(after("7"), Kind::Again { after: Some(Duration::from_secs(7)) });
        assert_eq!(
            after("Mon, 30 Nov 2026 12:01:30 GMT"),
            Kind::Again { after: Some(Duration::from_secs(90)) }
        );
        assert_eq!(after("Mon, 30 Nov 2026 11:00:00 GMT"), Kind::Again { after: Some(Duration::ZERO) });
        assert_eq!(after("soon"), Kind::Again { after: None });
        assert_eq!(after("-1"), Kind::Again { after: None });
    }
}
