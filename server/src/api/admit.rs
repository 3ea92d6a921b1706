//! Who may ask: before anything else is told, also what exists.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::problem::Problem;
use super::rate::Bucket;
use super::tokens::{Scope, TokenEntry};
use super::{Api, Served};

/// Requests of one token: so many in a second, and so many at once.
const RATE: f64 = 2_000.0;
const BURST: f64 = 4_000.0;
/// An answer that is no stream takes no longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) TokenEntry);

impl Caller {
    /// The project, if the caller may know of it.
    pub(super) fn project<'a>(&self, api: &'a Api, name: &str) -> Result<&'a Served, Problem> {
        let may = self.0.projects.is_empty() || self.0.projects.contains(name);
        api.projects
            .get(name)
            .filter(|_| may)
            .ok_or_else(|| Problem::missing(format!("there is no project {name:?}")))
    }

    /// Whether the caller may know of a project.
    pub(super) fn may_see(&self, name: &str) -> bool {
        self.0.projects.is_empty() || self.0.projects.contains(name)
    }
}

impl Api {
    /// Who brings these headers.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        match self.tokens.who(given, Timestamp::now()) {
            Some(entry) => {
                let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
                let bucket =
                    rates.entry(entry.digest.clone()).or_insert_with(|| Arc::new(Bucket::new(RATE, BURST)));
                match bucket.take(Instant::now()) {
                    true => Ok(Caller(entry)),
                    false => Err(too_many()),
                }
            }
            None => Err(if self.strangers.take(Instant::now()) { Problem::stranger() } else { too_many() }),
        }
    }
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
}

pub(super) fn too_many() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests; wait a second")
}

/// Lets in who has the scope. Without one, whoever has a token.
pub(super) async fn admit(
    State((api, scope)): State<(Arc<Api>, Option<Scope>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match api.caller(request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Some(scope) = scope.filter(|scope| !caller.0.scopes.contains(scope)) {
        let text = format!("the token {:?} has not the scope {:?}", caller.0.name, scope.as_str());
        return Problem::new(StatusCode::FORBIDDEN, text).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Ends what takes too long (a stream has begun by then), and has all refusals look alike, also those of the framework.
pub(super) async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) if response.status().is_client_error() && !is_problem(&response) => {
            let status = response.status();
            let detail = match status {
                StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 1 MiB",
                _ => "the request cannot be read",
            };
            Problem::new(status, detail).into_response()
        }
        Ok(response) => response,
        Err(_) => Problem::busy("it took too long").into_response(),
    }
}
