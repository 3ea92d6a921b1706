//! Why the API server did not do what it was asked for.

use kube::Error;
use kube::core::Status;

use crate::ExecutorError;
use crate::shell::one_line;

/// What went wrong, in our words.
pub(super) fn error(engine: &str, error: &Error) -> ExecutorError {
    let engine = engine.to_owned();
    match error {
        Error::Api(status) => of_status(engine, status),
        Error::SerdeError(_) | Error::FromUtf8(_) => {
            ExecutorError::Unintelligible { engine, answer: one_line(&with_causes(error)) }
        }
        // A credential may be made by a program that asks somebody else: that may go better the next time.
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) | Error::Auth(_) => {
            ExecutorError::Unreachable { engine, reason: one_line(&with_causes(error)) }
        }
        _ => ExecutorError::Refused { engine, reason: one_line(&with_causes(error)) },
    }
}

fn of_status(engine: String, status: &Status) -> ExecutorError {
    let reason = one_line(&status.message);
    match status.code {
        403 if reason.contains("quota") => ExecutorError::Full { engine, reason },
        // Two wrote at once, or it has too much to do, or something before it does not work.
        408 | 409 | 429 | 500.. => ExecutorError::Unreachable { engine, reason },
        _ => ExecutorError::Refused { engine, reason },
    }
}

/// An error with all that it stems from.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, message: &str) -> ExecutorError {
        error("kubernetes", &Error::Api(Status::failure(message, "").with_code(code).boxed()))
    }

    #[test]
    fn errors_are_told_apart() {
        let full = answered(
            403,
            "jobs.batch \"x\" is forbidden: exceeded quota: limit, requested: count/jobs.batch=1",
        );
        assert!(matches!(full, ExecutorError::Full { .. }));
        let forbidden =
            answered(403, "jobs.batch is forbidden: User \"user\" cannot create resource \"jobs\"");
        assert!(matches!(forbidden, ExecutorError::Refused { .. }));
        for refused in [400, 401, 404, 422] {
            assert!(matches!(answered(refused, ""), ExecutorError::Refused { .. }));
        }
        for passing in [409, 429, 500, 503] {
            assert!(matches!(answered(passing, ""), ExecutorError::Unreachable { .. }));
        }
        let broken = std::io::Error::other("connection reset");
        assert_eq!(
            error("kubernetes", &Error::ReadEvents(broken)),
            ExecutorError::Unreachable {
                engine: "kubernetes".to_owned(),
                reason: "Error reading events stream: connection reset".to_owned()
            }
        );
    }
}
