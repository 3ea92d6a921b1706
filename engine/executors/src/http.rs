//! What clients over HTTP share: how long is waited, and what is told of a request that got no answer.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};

use crate::ExecutorError;
use crate::shell::one_line;

/// For connections.
const CONNECT: Duration = Duration::from_secs(15);
/// For a whole request, if nothing else is said of it.
const REQUEST: Duration = Duration::from_secs(60);

/// A client of the server at an address, which sends these headers with each request: nothing that is logged shows their values.
///
/// # Errors
/// If the address or a header cannot be one.
pub(crate) fn client<'a>(
    address: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Client, ExecutorError> {
    let wrong = |reason: String| ExecutorError::Refused { engine: address.to_owned(), reason };
    let url = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its address begins with http:// or https://".to_owned()));
    }
    let mut sent = HeaderMap::new();
    for (name, value) in headers {
        let none = || wrong(format!("{name} is no header, or its value cannot be one"));
        let mut value = HeaderValue::from_str(value).map_err(|_| none())?;
        value.set_sensitive(true);
        sent.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| none())?, value);
    }
    // Whoever came first has installed the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().default_headers(sent).connect_timeout(CONNECT).timeout(REQUEST);
    client.build().map_err(|error| wrong(said(&error)))
}

/// A request that got no answer.
pub(crate) fn unreachable(engine: &str, error: &reqwest::Error) -> ExecutorError {
    ExecutorError::Unreachable { engine: engine.to_owned(), reason: said(error) }
}

/// Why, without the address, which may hold a secret.
fn said(error: &reqwest::Error) -> String {
    let mut said = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    match said.is_empty() {
        true if error.is_timeout() => format!("no answer in {} seconds", REQUEST.as_secs()),
        true => "the request failed".to_owned(),
        false => one_line(&said.join(": ")),
    }
}

/// Bytes that cannot be understood.
pub(crate) fn unintelligible(engine: &str, answer: &[u8]) -> ExecutorError {
    let answer = one_line(&String::from_utf8_lossy(&answer[..answer.len().min(400)]));
    ExecutorError::Unintelligible { engine: engine.to_owned(), answer }
}
